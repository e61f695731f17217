"""Arrays, objects and maps in cells: checked and converted on a copy, kinds of containers kept."""

from __future__ import annotations

import copy
import datetime as dt
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, Array, ColSpec, Map, Object, Property, Schema, SparkVector

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

PERSON = Object(
    (Property("name", "string"), Property("age", "long", required=False), Property("tags", Array("string")))
)


def enforce(kind: Any, *cells: Any, required: bool = True) -> list[Any]:
    """Enforce one nested column of these cells and return its cells."""
    frame = pd.DataFrame({"a": pd.Series(list(cells), dtype=object)})
    before = copy.deepcopy(list(cells))
    schema = Schema((ColSpec(type=kind, name="a", required=required),))
    result: Any = compile_inputs(schema).enforce(frame)
    for cell, was in zip(cells, before, strict=True):
        assert str(cell) == str(was), "the caller's cell was changed"
    return list(result["a"].tolist())


def problems(kind: Any, *cells: Any, required: bool = True) -> list[Any]:
    """Return what is wrong with these cells."""
    with pytest.raises(InvalidInput) as failure:
        enforce(kind, *cells, required=required)
    return list(failure.value.problems)


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("double", [0, 1], [0.0, 1.0]),
        ("double", [1, 2], [1.0, 2.0]),
        ("double", [], []),
        ("long", [1, np.int32(2)], [1, 2]),
        ("integer", [2.0], [2]),
        ("boolean", [np.bool_(True), False], [True, False]),
        ("string", ["abcdef", ""], ["abcdef", ""]),
        ("string", ["a\0"], ["a\0"]),
        ("binary", [b"a\0", bytearray(b"b")], [b"a\0", b"b"]),
        ("datetime", [dt.date(2020, 1, 1), "2020-01-02"], [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")]),
    ],
)
def test_lists_stay_lists_with_equal_items(kind: Any, cell: Any, expected: Any) -> None:
    """A list comes out as a list, whole: no text cut, no NUL lost, no time as an integer."""
    (result,) = enforce(Array(kind), cell)
    assert isinstance(result, list)
    assert result == expected
    assert list(map(type, result)) == list(map(type, expected))


def test_missing_doubles_and_times_stay_missing() -> None:
    """None among doubles is NaN and among times NaT; no other type has a missing item."""
    assert math.isnan(enforce(Array("double"), [1.0, None])[0][1])
    assert enforce(Array("datetime"), [None])[0][0] is pd.NaT
    for kind in ("boolean", "integer", "long", "string", "binary"):
        (problem,) = problems(Array(kind), [None])
        assert problem.kind == "missing"


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("double", [True]),
        ("double", ["1"]),
        ("double", [2**53 + 1]),
        ("long", [1.5]),
        ("long", [True]),
        ("long", [2**63]),
        ("integer", np.array([2**31])),
        ("float", [0.1]),
        ("boolean", [1]),
        ("boolean", ["false"]),
        ("string", ["a", 1]),
        ("string", [b"a"]),
        ("binary", ["é"]),
        ("datetime", [1]),
        ("double", np.ones((1, 1))),
        ("double", np.array(1.0)),
        ("long", np.array([1], dtype="m8[ns]")),
        ("double", (1.0,)),
        ("double", "1.0"),
        ("string", "abc"),
        ("double", None),
        ("double", {"0": 1.0}),
    ],
)
def test_items_that_do_not_fit_are_refused(kind: Any, cell: Any) -> None:
    """Nothing is made text, a truth value or a rounded number to fit."""
    (problem,) = problems(Array(kind), cell)
    assert problem.where == ("inputs", "a")


def test_arrays_stay_arrays() -> None:
    """A numpy array that fits is the same object; another comes out as an array of the item type."""
    cell = np.array([1.0, 2.0])
    assert enforce(Array("double"), cell)[0] is cell
    (wide,) = enforce(Array("double"), np.array([1, 2], dtype="int8"))
    assert (wide.dtype, wide.tolist()) == (np.dtype("float64"), [1.0, 2.0])
    (text,) = enforce(Array("string"), np.array(["a", "bcd"], dtype=object))
    assert text.tolist() == ["a", "bcd"]
    (nul,) = enforce(Array("string"), np.array(["a\0"], dtype=object))
    assert nul.tolist() == ["a\0"]
    moment = pd.Timestamp("2020-01-01 00:00:00.123456789")
    (times,) = enforce(Array("datetime"), np.array([moment, None], dtype=object))
    assert times.dtype == "datetime64[ns]"
    assert times[0] == moment.to_datetime64()


def test_ragged_lists_of_lists_keep_their_shape() -> None:
    """Inner lists may differ in length; a two-dimensional array stays one."""
    nested = Array(Array("double"))
    assert enforce(nested, [[1], [2.0, 3.0], []]) == [[[1.0], [2.0, 3.0], []]]
    (square,) = enforce(nested, np.eye(2, dtype="float32"))
    assert square.shape == (2, 2)
    assert problems(nested, [[1.0], None])[0].message.startswith("needs array(double), got a missing value")


def test_objects_are_converted_on_a_copy() -> None:
    """Members are converted in their order; the caller's dict is not touched, and one that fits is the same object."""
    fits = {"tags": ["x"], "name": "a"}
    assert enforce(PERSON, fits)[0] is fits
    given = {"age": 4.0, "name": "a", "tags": []}
    (result,) = enforce(PERSON, given)
    assert result == {"age": 4, "name": "a", "tags": []}
    assert list(result) == ["age", "name", "tags"]
    assert enforce(PERSON, {"name": "a", "tags": [], "age": None}) == [{"name": "a", "tags": [], "age": None}]


def test_all_problems_of_all_rows_are_told_once_each() -> None:
    """One error names each member and reason, the first row that has it, and how many do."""
    bad = {"name": 1, "extra": 2}
    found = problems(PERSON, {"name": "a", "tags": []}, bad, bad)
    told = {problem.where: problem.message for problem in found if problem.where != ("inputs", "a")}
    assert told == {("inputs", "a", "name"): "needs string, got int (first in row 1; 2 times)"}
    kinds = [problem.kind for problem in found if problem.where == ("inputs", "a")]
    assert kinds == ["missing", "extra"]


def test_a_million_bad_rows_make_one_problem() -> None:
    """The error does not grow with the data."""
    assert len(problems(Array("long"), *[["x"]] * 10_000)) == 1


@pytest.mark.parametrize("cell", [None, float("nan"), pd.NA])
def test_optional_nested_cells_may_be_missing(cell: Any) -> None:
    """A missing cell of an optional column is None; of a required one it is a problem."""
    for kind in (Array("double"), PERSON, Map("double"), Array(PERSON)):
        assert enforce(kind, cell, required=False) == [None]
        assert problems(kind, cell)
    assert enforce(PERSON, {}, required=False) == [{}]


def test_maps_have_text_keys_and_values_of_one_type() -> None:
    """A map converts its values and refuses other keys and missing values."""
    assert enforce(Map("double"), {"k": 1, "l": 2.5}, {}) == [{"k": 1.0, "l": 2.5}, {}]
    assert problems(Map("double"), {1: 1.0})[0].kind == "wrong_type"
    assert problems(Map("double"), {"secret key": None})[0].kind == "missing"
    assert "secret" not in str(problems(Map("double"), {"secret key": "secret value"})[0])
    anything = {"k": Ellipsis}
    assert enforce(Map(AnyType()), anything)[0] is anything


def test_any_and_arrays_of_any_pass_unchecked() -> None:
    """Whatever is declared as any is handed on as it is."""
    cell = [1, "a", None, Ellipsis]
    assert enforce(Array(AnyType()), cell)[0] is cell
    assert enforce(AnyType(), cell)[0] is cell
    assert problems(Array(AnyType()), "abc")


def test_vectors_are_arrays_of_doubles() -> None:
    """Spark's vector type takes what array(double) takes."""
    assert enforce(SparkVector(), [1, 2.5]) == [[1.0, 2.5]]


def test_arrow_structs_lists_and_maps_are_unpacked() -> None:
    """Columns of Arrow's nested types become dicts and arrays of the declared types."""
    table = pa.table({"a": pa.array([{"name": "x", "tags": ["t"], "age": None}])})
    schema = Schema((ColSpec(type=PERSON, name="a"),))
    result: Any = compile_inputs(schema).enforce(table)
    assert result["a"][0]["name"] == "x"
    assert list(result["a"][0]["tags"]) == ["t"]
    mapped = pa.table({"a": pa.array([[("k", 1)]], type=pa.map_(pa.string(), pa.int64()))})
    result = compile_inputs(Schema((ColSpec(type=Map("double"), name="a"),))).enforce(mapped)
    assert result["a"].tolist() == [{"k": 1.0}]


@given(st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.none()), max_size=4))
def test_items_come_out_equal_or_not_at_all(items: list[Any]) -> None:
    """For every item type, a list either comes out item by item equal, or is refused."""
    for kind in ("boolean", "integer", "long", "float", "double", "string"):
        try:
            (result,) = enforce(Array(kind), items)  # type: ignore[arg-type]
        except InvalidInput:
            continue
        for before, after in zip(items, result, strict=True):
            assert after == before or (pd.isna(before) and math.isnan(after))
