"""Data without names for a model whose columns have some."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


def plan(*names: str | int, required: bool = True) -> Any:
    """Compile columns of doubles."""
    return compile_inputs(Schema(tuple(ColSpec(type="double", name=name, required=required) for name in names)))


@pytest.mark.parametrize(
    ("data", "given", "hint"),
    [
        ("secret.json", "got text", "a file is to be read first"),
        (b"secret", "got bytes", "a file is to be read first"),
        (3, "got a single int", "a list of records"),
        (np.float64(3), "got a single float64", "a list of records"),
        ([], "got an empty list", "a DataFrame of no rows"),
        (FRAME.iloc[1], "got a Series, which is one column", "df.iloc[[1]]"),
    ],
    ids=["text", "bytes", "number", "scalar", "empty list", "row"],
)
def test_what_came_is_said_beside_what_is_needed(data: Any, given: str, hint: str) -> None:
    """One problem says what was given, the columns' names and the way out, and nothing of the data."""
    with pytest.raises(InvalidInput) as caught:
        plan("a", "b").enforce(data)
    (problem,) = caught.value.problems
    assert problem.where == ("inputs",)
    assert problem.message.startswith("needs the column(s) a, b, got")
    assert given in problem.message
    assert hint in problem.message.partition("Hint: ")[2]
    assert "secret" not in problem.message


def test_many_names_are_cut_short() -> None:
    """Ten names are enough to know which model this is."""
    with pytest.raises(InvalidInput, match=r"c0, c1, .*, c9, …, got text"):
        plan(*(f"c{number}" for number in range(600))).enforce("x")


def test_what_needs_no_name_passes_as_before() -> None:
    """A single number has the name 0 to pandas, and columns that are optional need not come."""
    assert plan(0).enforce(3.0).to_dict("list") == {0: [3.0]}
    assert plan("0").enforce(pd.Series([3.0], name="0")).to_dict("list") == {"0": [3.0]}
    assert len(plan("a", required=False).enforce([])) == 0
    assert plan("a").enforce(pd.Series([1.0], index=["a"], name="a")).to_dict("list") == {"a": [1.0]}
