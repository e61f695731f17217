"""Columns are found in a frame by position or by name, and named in the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")


def plan(*kinds: Any, names: tuple[Any, ...] | None = ("a", "b", "c"), **more: Any) -> InputPlan:
    """Compile a schema of required columns; names None leaves them unnamed."""
    specs = (ColSpec(type=kind, name=names[i] if names else None, **more) for i, kind in enumerate(kinds))
    return compile_inputs(Schema(tuple(specs)))


# -- columns and names -------------------------------------------------------------------------------------------------


def test_columns_are_put_in_order_and_extra_ones_left_out() -> None:
    """The model gets the schema's columns in the schema's order, on the given index."""
    frame = pd.DataFrame({"b": ["x"], "z": [1], "a": [1.0]}, index=["row"])
    result: Any = plan("double", "string").enforce(frame)
    assert result.columns.tolist() == ["a", "b"]
    assert result.index.tolist() == ["row"]
    assert frame.columns.tolist() == ["b", "z", "a"]


def test_every_problem_is_in_one_error() -> None:
    """Missing columns, repeated ones and wrong types are all listed, by name."""
    frame = pd.DataFrame([[1, 2, "x"]], columns=["b", "b", "c"])
    with pytest.raises(InvalidInput) as failure:
        plan("double", "double", "long").enforce(frame)
    assert [(p.where, p.kind) for p in failure.value.problems] == [
        (("inputs", "a"), "missing"),
        (("inputs", "b"), "wrong_value"),
        (("inputs", "c"), "wrong_type"),
    ]


def test_text_is_not_taken_for_integers() -> None:
    """A column called "0" is not one called 0."""
    with pytest.raises(InvalidInput, match="missing"):
        plan("double", names=("0",)).enforce(pd.DataFrame({0: [1.0]}))
    result: Any = plan("double", "double", names=(0, 1)).enforce([[1.0, 2.0]])
    assert result.columns.tolist() == [0, 1]


@pytest.mark.parametrize("label", [True, np.True_])
def test_truth_values_are_not_taken_for_integers(label: object) -> None:
    """A column called True is not one called 1, though they are equal to Python and to numpy."""
    frame = pd.DataFrame({"z": [1.0]}).set_axis(pd.Index([label], dtype=object), axis=1)
    with pytest.raises(InvalidInput, match="missing"):
        plan("double", names=(1,)).enforce(frame)


def test_optional_columns_may_be_absent_but_not_wrong() -> None:
    """An optional column that is not there is not added; one that is there is checked like any other."""
    schema = Schema((ColSpec(type="double", name="a"), ColSpec(type="long", name="b", required=False)))
    frame = pd.DataFrame({"a": [1.0]})
    assert compile_inputs(schema).enforce(frame[["a"]]) is not None
    assert compile_inputs(schema).enforce(frame).columns.tolist() == ["a"]  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="missing value"):
        compile_inputs(schema).enforce(frame.assign(b=[np.nan]))


def test_unnamed_columns_go_by_position() -> None:
    """Without names the first columns count, whatever they are called; the others are left out."""
    frame = pd.DataFrame({"q": [1.0], "p": ["x"], "o": [3]})
    result: Any = plan("double", "string", names=None).enforce(frame)
    assert result.columns.tolist() == ["q", "p"]
    with pytest.raises(InvalidInput, match=r"needs 4 column\(s\), got 3"):
        plan(*["double"] * 4, names=None).enforce(frame)


def test_a_bare_array_for_a_named_column_says_what_to_pass() -> None:
    """An array has no column names; the error names the missing one and the ways to give it."""
    for data in (np.ones((2, 1)), np.ones(2), [1.0, 2.0], [[1.0]]):
        with pytest.raises(InvalidInput, match=r"inputs\.a: this column is missing .*pass a DataFrame or a dict"):
            plan("double").enforce(data)


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"1": [2.0], "0": [1.0]}),
        pd.DataFrame({"1": [2], "0": [1], "more": ["x"]}),
        pl.DataFrame({"0": [1.0], "1": [2.0]}),
        pa.table({"1": [2], "0": [1]}),
        [{"0": 1.0, "1": 2}],
        {"0": [1.0], "1": [2.0]},
    ],
    ids=["pandas", "one more", "polars", "arrow", "records", "dict"],
)
def test_numbers_are_found_by_their_text(data: Any) -> None:
    """Where labels can only be text, "0" is the column 0, and the model gets numbers for labels."""
    plans = plan("double", "double", names=(0, 1))
    for _ in range(2):
        result: Any = plans.enforce(data)
        assert result.columns.tolist() == [0, 1]
        assert result.iloc[0].tolist() == [1.0, 2.0]
    if isinstance(data, pd.DataFrame):
        assert list(map(type, data.columns)) == [str] * data.shape[1]


def test_lists_of_times_are_columns_of_numbered_names_too() -> None:
    """Text that stands for a number has the type of that column, in which a list can be no cell."""
    result: Any = plan("datetime", names=(0,)).enforce({"0": ["2024-01-01", "2024-01-02"]})
    assert result[0].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ([0, 1], ["0", 1]),  # numbers can be labels here, so that "0" is something else
        ([0, 1], ["00", "1"]),
        ([0, "0"], ["0"]),
        ([0, 1], ["0", "0", "1"]),
    ],
    ids=["one is a number", "not its text", "also a name", "twice"],
)
def test_text_that_may_be_something_else_is_no_number(names: list[Any], labels: list[Any]) -> None:
    """Text stands for a number only where nothing else can be meant."""
    with pytest.raises(InvalidInput):
        plan(*["double"] * len(names), names=tuple(names)).enforce(pd.DataFrame([[1.0] * len(labels)], columns=labels))
