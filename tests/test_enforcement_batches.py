"""Signatures from type hints: the model gets a plain list of plain Python values."""

# ruff: noqa: DTZ001 - datetimes without a zone are the subject

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, Array, ColSpec, Map, Object, Property, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

PERSON = Object((Property("name", "string"), Property("age", "long", required=False)))


def enforce(kind: Any, data: Any) -> Any:
    """Enforce the input of a function that takes a list of this type."""
    return compile_inputs(Schema((ColSpec(type=kind),)), from_type_hints=True).enforce(data)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("string", ["a", "b"]),
        ("long", [1, 2**70, True]),
        ("double", [1.5, math.inf, np.float64(2)]),
        ("boolean", [True]),
        ("binary", [b"a"]),
        ("datetime", [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]),
        (Array("long"), [[1], [], [None]]),
        (Map(Array("string")), [{"k": ["a"]}, {}]),
        (AnyType(), [1, "a", None, object()]),
        (PERSON, [{"name": "a"}, {"name": "b", "age": None}]),
        ("string", []),
    ],
)
def test_a_list_that_fits_is_the_same_object(kind: Any, data: list[Any]) -> None:
    """What MLflow's check of the hints lets through passes untouched."""
    assert enforce(kind, data) is data


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("double", [1, 2], [1.0, 2.0]),
        ("long", [2.0, np.int32(3)], [2, 3]),
        ("boolean", [np.bool_(True)], [True]),
        ("binary", [bytearray(b"a")], [b"a"]),
        (
            "datetime",
            ["2020-01-01T02:00:00", dt.date(2020, 1, 2)],
            [dt.datetime(2020, 1, 1, 2), dt.datetime(2020, 1, 2)],
        ),
        ("datetime", [np.datetime64("2020-01-01")], [dt.datetime(2020, 1, 1)]),
        ("string", ("a", "b"), ["a", "b"]),
        ("long", np.array([1, 2], dtype="int8"), [1, 2]),
        (Array("double"), np.ones((1, 2)), [[1.0, 1.0]]),
        (Array("double"), [np.array([1, 2])], [[1.0, 2.0]]),
        ("long", pd.Series([1, 2]), [1, 2]),
        ("double", pd.Series([1.5, None]), [1.5, math.nan]),
        ("string", pd.DataFrame({"any name": ["a"]}), ["a"]),
        (Array("string"), pd.DataFrame({"x": [np.array(["a"])]}), [["a"]]),
        (PERSON, pd.DataFrame({"name": ["a"], "age": [4]}), [{"name": "a", "age": 4}]),
        (PERSON, pd.DataFrame({0: [{"name": "a"}]}), [{"name": "a"}]),
        (
            PERSON,
            pd.DataFrame({"name": ["a", "b"], "age": [4, None]}),
            [{"name": "a", "age": 4}, {"name": "b", "age": None}],
        ),
        ("long", pa.table({"x": [1, 2]}), [1, 2]),
        (PERSON, pa.table({"name": ["a"], "age": [None]}), [{"name": "a", "age": None}]),
    ],
)
def test_other_containers_and_numbers_convert_to_plain_python(kind: Any, data: Any, expected: list[Any]) -> None:
    """Arrays, series, frames and tables become lists, and their values Python's own."""
    result = enforce(kind, data)
    for given, wanted in zip(result, expected, strict=True):
        assert type(given) is type(wanted)
        assert given == wanted or given != given


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("string", [1]),
        ("string", [None]),
        ("long", ["1"]),
        ("long", [1.5]),
        ("double", [True]),
        ("double", ["1"]),
        ("double", [2**53 + 1]),
        ("double", [10**400]),
        ("boolean", [1]),
        ("binary", ["a"]),
        ("datetime", [1]),
        ("datetime", ["yesterday"]),
        ("datetime", ["2020-01-01T00:00:00.123456789"]),
        (Array("long"), [1]),
        (Array("long"), [["a"]]),
        (Map("long"), [{1: 2}]),
        (Map("long"), [[1]]),
        (PERSON, [{"name": 3}]),
        (PERSON, ["a"]),
        ("string", "abc"),
        ("string", None),
        ("string", {"a": 1}),
        ("string", pd.DataFrame({"a": ["x"], "b": ["y"]})),
    ],
)
def test_what_does_not_fit_is_refused(kind: Any, data: Any) -> None:
    """Wrong elements and containers are one error that shows no values."""
    with pytest.raises(InvalidInput) as failure:
        enforce(kind, data)
    assert all(problem.where[0] == "inputs" for problem in failure.value.problems)
    assert "yesterday" not in str(failure.value)


def test_every_problem_is_told_with_its_place_and_row() -> None:
    """One error covers all elements; a repeated problem is told once."""
    with pytest.raises(InvalidInput) as failure:
        enforce(PERSON, [{"name": "a"}, {"name": 1, "age": "x"}, {"name": 2}])
    assert {problem.where: problem.message for problem in failure.value.problems} == {
        ("inputs", "name"): "needs string, got int (first in row 1; 2 times)",
        ("inputs", "age"): "needs long, got str (in row 1)",
    }


def test_instances_and_aliases_are_left_to_the_models_own_class() -> None:
    """A dataclass or pydantic instance passes; keys the signature does not know may be aliases of those it misses."""

    @dataclass
    class Person:
        name: str

    given = [Person("a"), {"fullName": "a"}, {"name": "a", "note": 1}]
    assert enforce(PERSON, given) is given


def test_pydantic_instances_pass() -> None:
    """An instance of a pydantic model has been validated by its class."""
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("Person", name=(str, ...))(name="a")
    given = [person]
    assert enforce(PERSON, given) is given


def test_the_callers_list_is_not_changed() -> None:
    """Converted elements go to a new list; dicts inside are copied before a member changes."""
    element = {"name": "a", "age": 4.0}
    given = [element]
    assert enforce(PERSON, given) == [{"name": "a", "age": 4}]
    assert given[0] is element
    assert type(element["age"]) is float


@pytest.mark.parametrize("kind", ["double", "long", Array("double"), Array("long")])
@pytest.mark.parametrize("unit", ["ns", "us", "D"])
def test_times_are_no_numbers(kind: Any, unit: str) -> None:
    """A time, a span of time, or an array of them is refused, although numpy's item() may count its nanoseconds."""
    for moment in (np.datetime64(5, unit), np.timedelta64(5, unit)):
        array = np.array([moment])
        cells = pd.DataFrame({"a": pd.Series([np.array(moment)], dtype=object)})
        for data in ([moment], array, [[moment]], [array], pd.Series(array.astype(f"{array.dtype.kind}8[ns]")), cells):
            with pytest.raises(InvalidInput):
                enforce(kind, data)


def test_lists_that_hold_themselves_are_told_of() -> None:
    """A list that holds itself, or 100,000 others, does not fit, and brings no RecursionError."""
    itself: list[Any] = []
    itself.append(itself)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for cell in (itself, deep):
        frame = pd.DataFrame({"a": pd.Series([cell], dtype=object)})
        with pytest.raises(InvalidInput, match="nested too deeply"):
            enforce(Array(Array("double")), frame)
