"""Columns of which more is known than MLflow's grammar says: gaps, bounds, time zones."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from one_column import enforce, enforce_any, problems

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

LONGS = st.integers(-(2**63), 2**63 - 1)
NULLABLE = {"integer": "Int32", "long": "Int64", "boolean": "boolean"}


def values(series: Any) -> list[Any]:
    """Return the values of a column, None for missing ones."""
    return [None if missing else value for value, missing in zip(series.tolist(), series.isna(), strict=True)]


# -- nullable ----------------------------------------------------------------------------------------------------------

GAPS = [
    pd.Series([1, 2]),
    pd.Series([1, 2], dtype="int8"),
    pd.Series([1, 2], dtype="uint64"),
    pd.Series([1, None], dtype="Int64"),
    pd.Series([1, None], dtype="UInt8"),
    pd.Series([1.0, None]),
    pd.Series([1.0, None], dtype="float32"),
    pd.Series([1.0, None], dtype="Float64"),
    pd.Series([None, None], dtype="float64"),
    pd.Series([1, None], dtype=object),
    pd.Series([1.0, None, float("nan"), pd.NA, np.int8(3)], dtype=object),
    pd.Series([None, None], dtype=object),
    pd.Series([1, None], dtype="category"),
    pd.Series(pd.arrays.SparseArray([1.0, float("nan")])),
    pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64())),
    pd.Series([1.0, None], dtype=pd.ArrowDtype(pa.float64())),
    pd.Series([None, None], dtype=pd.ArrowDtype(pa.null())),
    pd.Series([], dtype="int64"),
]


@pytest.mark.parametrize("kind", ["integer", "long"])
@pytest.mark.parametrize("series", GAPS, ids=lambda series: str(series.dtype))
def test_nullable_integers_stay_integers(series: Any, kind: str) -> None:
    """Whatever holds whole numbers and gaps becomes Int32 or Int64, gaps or not, with equal values."""
    result = enforce(series, kind, nullable=True)
    assert result.dtype == NULLABLE[kind]
    assert values(result) == values(series)
    assert result.index.equals(series.index)


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([True, False]),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([True, None], dtype=object),
        pd.Series([True, pd.NA, np.False_], dtype=object),
        pd.Series([True, None], dtype="category"),
        pd.Series([True, None], dtype=pd.ArrowDtype(pa.bool_())),
    ],
    ids=lambda series: str(series.dtype),
)
def test_nullable_truth_values_stay_truth_values(series: Any) -> None:
    """Truth values and gaps become pandas' boolean, gaps or not."""
    result = enforce(series, "boolean", nullable=True)
    assert result.dtype == "boolean"
    assert values(result) == values(series)


@pytest.mark.parametrize("kind", ["integer", "long"])
@pytest.mark.parametrize(
    "data",
    [
        pl.DataFrame({"a": [1, None]}),
        pa.table({"a": [1, None]}),
        {"a": np.array([1.0, math.nan])},
        [{"a": 1}, {"a": None}],
        [{"a": 1, "b": 0}, {"b": 0}],
    ],
    ids=["polars", "arrow", "dict", "records", "absent"],
)
def test_gaps_come_in_every_container(data: Any, kind: str) -> None:
    """polars, Arrow, a dict of columns and records bring integers with gaps to the model as integers."""
    result = enforce_any(data, kind, nullable=True)
    assert result.dtype == NULLABLE[kind]
    assert values(result) == [1, None]


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("long", pd.Series([1.5, None])),
        ("long", pd.Series([math.inf, None])),
        ("long", pd.Series([2.0**63, None])),
        ("long", pd.Series([2**63, 0], dtype="UInt64")),
        ("long", pd.Series([True, None], dtype="boolean")),
        ("long", pd.Series([True, None], dtype=object)),
        ("long", pd.Series(["1", None], dtype=object)),
        ("long", pd.Series(["1", None], dtype="string")),
        ("long", pd.Series([1, pd.NaT], dtype=object)),
        ("long", pd.Series([1, np.datetime64("NaT")], dtype=object)),
        ("long", pd.Series([pd.NaT, pd.NaT])),
        ("integer", pd.Series([2**31, None], dtype="Int64")),
        ("boolean", pd.Series([1, None], dtype="Int64")),
        ("boolean", pd.Series([1.0, None])),
        ("boolean", pd.Series([True, "x"], dtype=object)),
        ("boolean", pd.Series([True, 1, None], dtype=object)),
        ("boolean", pd.Series(["true", None], dtype=object)),
    ],
)
def test_a_nullable_column_takes_gaps_and_nothing_else(kind: str, series: Any) -> None:
    """What is no integer or truth value is refused among gaps as it is without them."""
    (problem,) = problems(series, kind, nullable=True)
    assert problem[0] in ("wrong_type", "wrong_value")


def test_what_is_among_nullable_truth_values_is_named() -> None:
    """The error says of which types the others are."""
    series = pd.Series([True, None, "x", 2], dtype=object)
    given = "needs boolean, got int, str among the values"
    assert problems(series, "boolean", nullable=True) == [("wrong_type", given)]


def test_a_nullable_column_that_fits_passes_untouched() -> None:
    """Int64 for a nullable long column is left alone: the model gets the very frame."""
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    assert compile_inputs(Schema((ColSpec(type="long", name="a", nullable=True),))).enforce(frame) is frame


@pytest.mark.parametrize("series", [pd.Series([1, 2]), pd.Series([1.0, 2.0]), pd.Series([1, 2], dtype="category")])
def test_what_a_model_writes_stays_its_own(series: Any) -> None:
    """A model that writes into a converted column does not write into the caller's, on an index with twins too."""
    series = series.set_axis([7, 7])
    result = enforce(series, "long", nullable=True)
    result.iloc[0] = 9
    assert series.tolist() == [1, 2]
    assert result.index.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("double", pd.Series([1.5, None])),
        ("float", pd.Series([1.5, None], dtype="float32")),
        ("string", pd.Series(["x", None], dtype=object)),
        ("datetime", pd.Series([pd.Timestamp(0), None]).astype("datetime64[ns]")),
    ],
)
def test_types_that_have_gaps_anyway_stay_as_they_are(kind: str, series: Any) -> None:
    """nullable=True changes nothing for types whose dtype has room for a missing value."""
    frame = pd.DataFrame({"a": series})
    assert compile_inputs(Schema((ColSpec(type=kind, name="a", nullable=True),))).enforce(frame) is frame


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("double", pd.Series([1.5, None])),
        ("double", pd.Series([1, None], dtype="Int64")),
        ("double", pd.Series([1.5, None], dtype=object)),
        ("double", pd.Series(pa.array([1.5, math.nan]), dtype=pd.ArrowDtype(pa.float64()))),
        ("long", pd.Series([1, None], dtype="Int64")),
        ("long", pd.Series([1.0, None])),
        ("boolean", pd.Series([True, None], dtype=object)),
        ("boolean", pd.Series([True, None], dtype="boolean")),
        ("string", pd.Series(["x", None], dtype=object)),
        ("string", pd.Series(["x", None], dtype="string")),
        ("string", pd.Series(["x", float("nan")], dtype=object)),
        ("binary", pd.Series([b"x", pd.NA], dtype=object)),
        ("datetime", pd.Series(["2024-01-01", pd.NaT], dtype=object)),
        ("datetime", pd.to_datetime(pd.Series(["2024-01-01", None]))),
    ],
)
def test_a_column_without_gaps_refuses_each_of_them(kind: str, series: Any) -> None:
    """nullable=False refuses NaN, NaT, None and NA, and counts them."""
    ((problem, message),) = problems(series, kind, nullable=False)
    assert problem == "missing"
    assert "1 missing value(s)" in message
    whole = series[series.notna()][:1]
    assert len(enforce(whole, kind, nullable=False)) == len(whole)


def test_a_categorical_column_without_gaps_refuses_them() -> None:
    """nullable=False holds for categories as well."""
    facts = {"categories": ("u", "v"), "categorical": True, "nullable": False}
    assert problems(pd.Series(["u", None]), "string", **facts)[0][0] == "missing"
    assert enforce(pd.Series(["u", "v"]), "string", **facts).cat.categories.tolist() == ["u", "v"]


@given(st.lists(LONGS | st.none(), min_size=1))
def test_nullable_longs_come_out_as_they_went_in(items: list[int | None]) -> None:
    """Every 64-bit integer survives beside gaps, from objects, from Int64, and from Arrow."""
    for dtype in (object, "Int64", pd.ArrowDtype(pa.int64())):
        assert values(enforce(pd.Series(items, dtype=dtype), "long", nullable=True)) == items


@given(st.lists(st.floats() | LONGS | st.none() | st.booleans(), min_size=1), st.sampled_from(["integer", "long"]))
def test_whatever_a_nullable_column_accepts_is_equal(items: list[Any], kind: str) -> None:
    """Objects of any kind either come out equal, as exact integers with gaps at the same places, or are refused."""
    wanted = [None if item is None or item != item else item for item in items]
    fits = all(
        item is None or (not isinstance(item, bool) and math.isfinite(item) and item == int(item)) for item in wanted
    ) and all(item is None or np.iinfo(NULLABLE[kind].lower()).min <= item for item in wanted)
    fits = fits and all(item is None or item <= int(np.iinfo(NULLABLE[kind].lower()).max) for item in wanted)
    series = pd.Series(items, dtype=object)
    if not fits:
        assert problems(series, kind, nullable=True)
        return
    result = enforce(series, kind, nullable=True)
    assert result.dtype == NULLABLE[kind]
    assert values(result) == wanted


@given(st.lists(st.floats(), min_size=1))
def test_whatever_a_nullable_column_accepts_of_floats_is_equal(items: list[float]) -> None:
    """A float64 column comes out equal, or is refused, by whether all its values but NaN are 64-bit integers."""
    wanted = [None if math.isnan(item) else item for item in items]
    series = pd.Series(items, dtype="float64")
    if all(item is None or (item.is_integer() and -(2.0**63) <= item < 2.0**63) for item in wanted):
        assert values(enforce(series, "long", nullable=True)) == wanted
    else:
        assert problems(series, "long", nullable=True)


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_bounds_are_inclusive_and_counted() -> None:
    """Values on the bounds pass; what lies outside is counted on each side, and the message names the bound only."""
    assert enforce(pd.Series([0, 120]), "long", minimum=0, maximum=120).tolist() == [0, 120]
    found = problems(pd.Series([-1, -7, 50, 121]), "long", minimum=0, maximum=120)
    assert [kind for kind, _ in found] == ["wrong_value", "wrong_value"]
    assert "2 value(s) below the minimum, 0" in found[0][1]
    assert "1 value(s) above the maximum, 120" in found[1][1]
    assert "7" not in found[0][1]


@pytest.mark.parametrize("kind", ["integer", "long", "float", "double"])
@pytest.mark.parametrize("minimum", [0, 0.5, np.float32(0.5), np.int8(0)])
def test_bounds_hold_for_each_type_of_number(kind: str, minimum: Any) -> None:
    """Each numeric type takes whole and broken bounds, of Python's and of numpy's types."""
    dtype = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}[kind]
    assert enforce(pd.Series([1, 2], dtype=dtype), kind, minimum=minimum).tolist() == [1, 2]
    assert problems(pd.Series([1, -1], dtype=dtype), kind, minimum=minimum)
    assert problems(pd.Series([1, -1], dtype="Int16"), kind, minimum=minimum)


def test_a_column_within_its_bounds_passes_untouched() -> None:
    """Looking at the values copies nothing: the model gets the very frame."""
    frame = pd.DataFrame({"a": [1.0, None, 3.0]})
    spec = ColSpec(type="double", name="a", minimum=1, maximum=3, nullable=None)
    assert compile_inputs(Schema((spec,))).enforce(frame) is frame


def test_missing_cells_are_within_all_bounds() -> None:
    """NaN passes for floats and NA for nullable integers; all problems of a column come at once."""
    assert values(enforce(pd.Series([5.0, None]), "double", minimum=1)) == [5.0, None]
    assert values(enforce(pd.Series([5, None], dtype="Int64"), "long", minimum=1, nullable=True)) == [5, None]
    found = problems(pd.Series([0.0, None]), "double", minimum=1, nullable=False)
    assert [kind for kind, _ in found] == ["missing", "wrong_value"]


def test_infinity_is_above_every_maximum() -> None:
    """Bounds are finite, so that they keep infinities out, of float32 too, where the bound is beyond all numbers."""
    for kind, dtype in (("double", "float64"), ("float", "float32")):
        assert problems(pd.Series([math.inf], dtype=dtype), kind, maximum=1e300)
        assert problems(pd.Series([-math.inf], dtype=dtype), kind, minimum=-1e300)


def test_a_decimal_bound_of_a_float_column_is_a_float() -> None:
    """0.1 in a float column is the float32 nearest to it, and so is the bound 0.1; the next float32 is outside."""
    tenth = np.float32(0.1)
    for bound in ("minimum", "maximum"):
        assert enforce(pd.Series([tenth]), "float", **{bound: 0.1}).tolist() == [float(tenth)]
    assert problems(pd.Series([np.nextafter(tenth, np.float32(1))]), "float", maximum=0.1)
    assert problems(pd.Series([np.nextafter(tenth, np.float32(0))]), "float", minimum=0.1)


@given(LONGS, LONGS | st.floats(-1e19, 1e19), st.booleans())
def test_integers_are_compared_exactly(value: int, bound: float, upper: bool) -> None:
    """Neighbours beyond 2**53 are told apart: no integer is compared as a float."""
    low, high = (-(2**63), bound) if upper else (bound, 2**63 - 1)
    assume(math.ceil(low) <= 2**63 - 1 and math.floor(high) >= -(2**63))
    facts = {"maximum": bound} if upper else {"minimum": bound}
    series = pd.Series([value], dtype="int64")
    if low <= value <= high:
        assert enforce(series, "long", **facts).tolist() == [value]
    else:
        assert problems(series, "long", **facts)


@given(st.floats(allow_nan=False), st.integers(-(2**80), 2**80), st.booleans())
def test_floats_are_compared_exactly_with_integer_bounds(value: float, bound: int, upper: bool) -> None:
    """A float is inside an integer bound exactly when its exact value is."""
    series = pd.Series([value], dtype="float64")
    exact = value if math.isinf(value) else Fraction(value)
    inside = exact <= bound if upper else exact >= bound
    facts = {"maximum": bound} if upper else {"minimum": bound}
    assert inside == (not _refused(series, **facts))


@given(LONGS, st.sampled_from([-1, 0, 1]), st.booleans())
def test_neighbours_of_an_integer_bound_are_told_apart(bound: int, step: int, upper: bool) -> None:
    """The floats next to a large integer bound are judged by their exact values."""
    near = math.nextafter(float(bound), math.inf * step) if step else float(bound)
    facts = {"maximum": bound} if upper else {"minimum": bound}
    inside = int(near) <= bound if upper else int(near) >= bound
    assume(near == int(near))
    assert inside == (not _refused(pd.Series([near], dtype="float64"), **facts))


def _refused(series: Any, **facts: Any) -> bool:
    try:
        enforce(series, "double", **facts)
    except InvalidInput:
        return True
    return False
