"""Whether another version matters: promises, and the guess where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._environment.promises import PROMISES, judge_version

MATTERS = [
    # wanted, here, and whether it matters under exact, patch, minor, newer, and with no promise known
    ("1.5.2", "1.5.3", (True, False, False, False, False)),
    ("1.5.2", "1.5.0", (True, False, False, False, False)),
    ("1.5.2", "1.6.0", (True, True, False, False, False)),
    ("1.5.2", "1.4.0", (True, True, True, True, True)),
    ("1.5.2", "2.0.0", (True, True, True, False, True)),
    ("2.0.0", "1.9.9", (True, True, True, True, True)),
    ("0.8.1", "0.8.2", (True, False, False, False, False)),
    ("0.8.1", "0.9.0", (True, True, False, False, True)),
    ("2024.1", "2025.2", (True, True, True, False, False)),
    ("2025.2", "2024.1", (True, True, True, True, True)),
    ("1!1.0", "2.0", (True, True, True, True, True)),
    ("2.0", "1!1.0", (True, True, True, False, True)),
    ("1.5.2", "1.5.2.post1", (True, False, False, False, False)),
    ("2.0", "2.0rc1", (True, False, False, False, False)),
]


@pytest.mark.parametrize(("wanted", "here", "expected"), MATTERS)
def test_what_each_promise_covers(wanted: str, here: str, expected: tuple[bool, ...]) -> None:
    """The rule stands once, for every framework."""
    promises = ("exact", "patch", "minor", "newer", None)
    assert tuple(judge_version("x", wanted, here, promise).matters for promise in promises) == expected  # type: ignore[arg-type]


def test_a_guess_is_called_one() -> None:
    """Without a promise the reason says that it is semantic versioning and a guess; with one it names the package."""
    guess = judge_version("pandas", "2.0.0", "3.0.0", None)
    assert not guess.known
    assert guess.why.endswith("(a guess: no promise of pandas is known)")
    promised = judge_version("xgboost", "2.0.0", "3.0.0", "newer")
    assert promised.known
    assert promised.why == "xgboost promises that later releases read it"


@pytest.mark.parametrize(
    ("wanted", "here", "matters"), [("2.5.5", "2.4.6", False), ("2.5.5", "1.26.0", True), ("0.8.1", "0.7.0", True)]
)
def test_a_model_without_code_uses_no_package_itself(wanted: str, here: str, matters: bool) -> None:
    """What reads its file is here in a version that goes with the others; so an earlier minor version will do."""
    assert judge_version("numpy", wanted, here, None, runs_code=False).matters is matters
    assert judge_version("numpy", wanted, here, None, runs_code=True).matters
    assert judge_version("numpy", wanted, here, "exact", runs_code=False).matters


@pytest.mark.parametrize("version", ["2.0-final-beta", "", "1.0.dev", "what"])
def test_versions_that_cannot_be_compared_matter(version: str) -> None:
    """Some packages were installed before there was an order of versions."""
    verdict = judge_version("x", "1.0", version, "newer")
    assert (verdict.matters, verdict.known) == (version != "1.0.dev", version == "1.0.dev")


NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))


@given(NUMBERS, NUMBERS)
def test_a_wider_promise_never_matters_more(wanted: str, here: str) -> None:
    """What a narrow promise lets pass passes under each wider one."""
    order = ("exact", "patch", "minor", "newer")
    assert set(order) == PROMISES
    matters = [judge_version("x", wanted, here, promise).matters for promise in order]
    assert matters == sorted(matters, reverse=True)
