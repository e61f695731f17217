"""Each bug of stock MLflow that Palate does not follow: MLflow still has it, and Palate's answer is another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pandas")
pytest.importorskip("scipy")

from differential.answers import NAMES
from differential.bugs import ALL_BUGS
from differential.canonical import plain
from differential.examples import EXAMPLES, Example
from differential.judge import judge
from differential.worlds import World, ask

pytestmark = pytest.mark.mlflow

CASES = [(example.kind, example.schema, example.given) for example in EXAMPLES]


@pytest.fixture(scope="module")
def with_pandas_3(mlflow_python: Path) -> World:
    """Return what both answer with pandas 3."""
    return ask(mlflow_python, CASES, None)


@pytest.fixture(scope="module")
def with_pandas_2(mlflow_python: Path, pandas_2: Path) -> World:
    """Return what both answer with pandas 2."""
    return ask(mlflow_python, CASES, pandas_2)


def cells(answer: dict[str, Any]) -> Any:
    """Return what an example speaks of: the last column, the array or the param; None for a refusal."""
    if not answer["accepted"]:
        return None
    result = answer["answer"]
    if result[0] == "dict":
        result = result[1][-1][1]
    if result[0] == "frame":
        # A frame without columns still has rows.
        return ["list", result[4][-1] if result[4] else result[2]]
    # An array is told by its values; which dtype it has is the judge's business.
    return ["list", *result[2:]] if result[0] == "array" else result


def as_said(text: str) -> Any:
    """Return the same of what an expression stands for."""
    return cells({"accepted": True, "answer": plain(eval(text, dict(NAMES)))})


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{number} {e.bug}" for number, e in enumerate(EXAMPLES)])
@pytest.mark.parametrize("release", ["2", "3"])
def test_a_bug_is_there_and_not_followed(example: Example, release: str, request: pytest.FixtureRequest) -> None:
    """MLflow makes of the input what the example says, which is not what went in; Palate refuses it or keeps it."""
    world: World = request.getfixturevalue(f"with_pandas_{release}")
    theirs, ours = (side[EXAMPLES.index(example)] for side in (world.theirs, world.ours))
    assert world.pandas.startswith(release + ".")
    assert cells(ours) == (None if example.palate is None else as_said(example.palate))
    if release in example.pandas:
        assert cells(theirs) == as_said(example.mlflow)
        bugs, unexplained = judge(example.kind, example.schema, theirs, ours)
        assert (set(bugs), unexplained) == ({example.bug}, [])


@pytest.mark.parametrize("bug", ALL_BUGS)
def test_a_bug_has_an_example_and_a_paragraph(bug: str, repository: Path) -> None:
    """No difference from MLflow is excused that no example shows and that the decision does not describe."""
    assert any(example.bug == bug for example in EXAMPLES)
    assert f"**{bug}.**" in (repository / "docs" / "decisions" / "0002-enforcement.md").read_text()
