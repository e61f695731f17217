"""What MLmodel records of an environment, narrowed whoever wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from palate._environment.declared import IndexOptions
from palate._environment.environment import Environment, environment_facts
from palate._environment.facts import RecordedFacts, read_facts

HOST = "https://packages.example.com/simple"


def test_what_is_written_is_read_back() -> None:
    """Each fact that a save records has its place; one that is missing is empty."""
    written = Environment(
        python="3.11.7",
        index_options=IndexOptions(index_url=HOST, extra_index_urls=(HOST, "http://[::1]:8080/"), find_links=(HOST,)),
        local_labels={"torch": "cpu"},
        unresolved=("lost",),
        unpublished=("own",),
    )
    assert read_facts(environment_facts(written)) == RecordedFacts(
        index_options=written.index_options,
        local_labels={"torch": "cpu"},
        unresolved=("lost",),
        unpublished=("own",),
    )
    assert read_facts({}) == RecordedFacts()
    assert read_facts({"environment": None, "unresolved_modules": None}) == RecordedFacts()


def test_names_are_normalised() -> None:
    """Names are compared as indexes do."""
    wheels = {"My_Pkg": "wheels/my_pkg-1.0-py3-none-any.whl"}
    found = read_facts({"environment": {"wheels": wheels, "local_labels": {"Torch.Like": "cpu"}}})
    assert (found.wheels, found.local_labels) == ({"my-pkg": wheels["My_Pkg"]}, {"torch-like": "cpu"})


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ({"local_labels": {"torch": 7}}, "palate.environment.local_labels: 'torch' has to be text"),
        ({"local_labels": {3: "x"}}, "palate.environment.local_labels: 3 has to be text"),
        ({"wheels": {"a": "wheels/../a-1.whl"}}, "is not the name of a wheel in 'wheels/'"),
        ({"wheels": {"a": "a-1-py3-none-any.whl"}}, "is not the name of a wheel in 'wheels/'"),
        ({"wheels": {"a": None}}, "None is not the name of a wheel"),
        ({"wheels": {"a": "wheels/b-1-py3-none-any.whl"}}, "is a wheel of another package than 'a'"),
        ({"index_options": {"index_url": "--extra-index-url=x"}}, "index_options.index_url: '--extra-index-url=x' is"),
        ({"index_options": {"index_url": 1}}, "'1' is no http:// or https:// address"),
        ({"index_options": {"find_links": ["file:///etc"]}}, "'file:///etc' is no http:// or https:// address"),
        ({"index_options": {"find_links": [f"{HOST} -r /etc/passwd"]}}, "is no http:// or https:// address"),
        ({"index_options": {"extra_index_urls": HOST}}, "extra_index_urls: has to be a list of addresses"),
    ],
)
def test_odd_values_are_told_and_left_out(section: dict[str, Any], wrong: str) -> None:
    """What a stranger wrote is what it has to be, or it is a problem and nothing else."""
    found = read_facts({"environment": section})
    [problem] = found.problems
    assert wrong in str(problem)
    assert found == RecordedFacts(problems=(problem,))


def test_all_problems_are_told_beside_what_is_right() -> None:
    """One odd entry hides no other, right or wrong, and passwords are not repeated."""
    links = [HOST, "ftp://user:secret@host/", "x"]
    found = read_facts({"environment": {"index_options": {"find_links": links}, "local_labels": {"a": 1, "b": "cpu"}}})
    assert (found.index_options.find_links, found.local_labels) == ((HOST,), {"b": "cpu"})
    assert len(found.problems) == 3
    assert "secret" not in str(found.problems)
