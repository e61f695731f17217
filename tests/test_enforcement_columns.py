"""Column signatures: what passes, what is converted without loss, what is refused."""

# ruff: noqa: DTZ001 - datetimes without a zone are the subject

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, Array, ColSpec, Map, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

DTYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
KINDS = (*DTYPES, "string", "binary", "datetime")


def plan(*kinds: Any, names: tuple[Any, ...] | None = ("a", "b", "c"), **more: Any) -> InputPlan:
    """Compile a schema of required columns; names None leaves them unnamed."""
    specs = (ColSpec(type=kind, name=names[i] if names else None, **more) for i, kind in enumerate(kinds))
    return compile_inputs(Schema(tuple(specs)))


def enforce(kind: Any, series: Any, **more: Any) -> Any:
    """Enforce one column called a."""
    frame = series.to_frame("a")
    before = frame.copy(deep=True)
    try:
        return plan(kind, **more).enforce(frame)["a"]  # type: ignore[index]
    finally:
        pd.testing.assert_frame_equal(frame, before)


def problems(kind: Any, series: Any, **more: Any) -> list[tuple[str, str]]:
    """Return the kinds and messages of what is wrong with one column."""
    with pytest.raises(InvalidInput) as failure:
        enforce(kind, series, **more)
    assert all(problem.where[:2] == ("inputs", "a") for problem in failure.value.problems)
    return [(problem.kind, problem.message) for problem in failure.value.problems]


# -- the matrix of FORMAT 9.1 -----------------------------------------------------------------------------------------

WIDENING = {
    "integer": "int8 int16 int32 uint8 uint16",
    "long": "int8 int16 int32 int64 uint8 uint16 uint32",
    "float": "float16 float32",
    "double": "float16 float32 float64 int8 int16 int32 uint8 uint16 uint32",
}


@pytest.mark.parametrize(("kind", "dtype"), [(k, d) for k, dtypes in WIDENING.items() for d in dtypes.split()])
def test_widening_gives_the_dtype_of_the_type(kind: str, dtype: str) -> None:
    """Narrower numbers become the type's own dtype, with equal values, on the same index."""
    series = pd.Series([0, 1, 100], dtype=dtype, index=[7, 7, 8])
    result = enforce(kind, series)
    assert result.dtype == DTYPES[kind]
    assert result.tolist() == series.tolist()
    assert result.index.tolist() == [7, 7, 8]


LOSSLESS = [
    ("integer", pd.Series([1, -(2**31)], dtype="int64"), "int32"),
    ("integer", pd.Series([3.0, -4.0]), "int32"),
    ("integer", pd.Series([1, 2], dtype="Int64"), "int32"),
    ("integer", pd.Series([1, 2], dtype=object), "int32"),
    ("long", pd.Series([2**63 - 1], dtype="uint64"), "int64"),
    ("long", pd.Series([2.0**62]), "int64"),
    ("long", pd.Series([1, 2], dtype="category"), "int64"),
    ("long", pd.Series(pd.arrays.SparseArray([0, 5])), "int64"),
    ("float", pd.Series([0.5, np.nan, np.inf]), "float32"),
    ("float", pd.Series([2**24], dtype="int64"), "float32"),
    ("double", pd.Series([2**53, 2**54], dtype="int64"), "float64"),
    ("double", pd.Series([2**63], dtype="uint64"), "float64"),
    ("double", pd.Series([1, None], dtype="Int64"), "float64"),
    ("double", pd.Series([1.5, None], dtype="Float32"), "float64"),
    ("double", pd.Series([1, None], dtype=object), "float64"),
    ("double", pd.Series([Decimal("0.5"), None], dtype=object), "float64"),
    ("double", pd.Series([True, None], dtype=object), "float64"),
    ("double", pd.Series([1.5, None], dtype="category"), "float64"),
    ("double", pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64())), "float64"),
    ("double", pd.Series([Decimal("1.5")], dtype=pd.ArrowDtype(pa.decimal128(5, 1))), "float64"),
    ("boolean", pd.Series([True, False], dtype="boolean"), "bool"),
    ("boolean", pd.Series([True, False], dtype=object), "bool"),
    ("boolean", pd.Series([True, False], dtype=pd.ArrowDtype(pa.bool_())), "bool"),
    ("boolean", pd.Series([True, False], dtype="category"), "bool"),
    ("double", pd.Series([1.5], dtype=">f8"), "float64"),
]


@pytest.mark.parametrize(("kind", "series", "dtype"), LOSSLESS)
def test_lossless_conversions_are_made(kind: str, series: Any, dtype: str) -> None:
    """What MLflow refuses but no value suffers from is converted; what is missing stays missing."""
    result = enforce(kind, series)
    assert result.dtype == dtype
    for before, after in zip(series.tolist(), result.tolist(), strict=True):
        assert math.isnan(after) if pd.isna(before) else after == before


REFUSED = [
    *((kind, pd.Series([1.7])) for kind in ("integer", "long", "boolean", "string", "binary", "datetime")),
    *((kind, pd.Series(["3", "4"])) for kind in ("integer", "long", "float", "double", "boolean")),
    *((kind, pd.Series(["3", 1], dtype=object)) for kind in ("integer", "long", "float", "double", "datetime")),
    *((kind, pd.Series([b"3", 1], dtype=object)) for kind in ("integer", "long", "float", "double", "datetime")),
    *((kind, pd.Series(["false"])) for kind in ("boolean", "datetime")),
    *((kind, pd.Series(["false"], dtype=object)) for kind in ("boolean", "datetime")),
    *((kind, pd.Series([True])) for kind in ("integer", "long", "float", "double", "string", "binary", "datetime")),
    *((kind, pd.Series([True], dtype=object)) for kind in ("integer", "long", "float", "double", "datetime")),
    *((kind, pd.Series([0, 1])) for kind in ("boolean", "string", "binary", "datetime")),
    *((kind, pd.Series([1, None], dtype="Int64")) for kind in ("integer", "long")),
    *((kind, pd.Series([1, None], dtype="category")) for kind in ("integer", "long")),
    *((kind, pd.Series([1, None], dtype=object)) for kind in ("integer", "long")),
    *((kind, pd.Series([None, None], dtype=object)) for kind in ("integer", "long")),
    *((kind, pd.Series([pd.Timedelta(1)])) for kind in KINDS),
    *((kind, pd.Series([1j])) for kind in KINDS),
    *((kind, pd.Series(pd.period_range("2020", periods=1))) for kind in KINDS),
    ("integer", pd.Series([2**31])),
    ("integer", pd.Series([np.inf])),
    ("long", pd.Series([2**63], dtype="uint64")),
    ("long", pd.Series([2.0**63])),
    ("long", pd.Series([2**70], dtype=object)),
    ("float", pd.Series([0.1])),
    ("float", pd.Series([1e300])),
    ("float", pd.Series([2**24 + 1])),
    ("double", pd.Series([2**53 + 1])),
    ("double", pd.Series([2**63 - 1])),
    ("double", pd.Series([2**53 + 1, None], dtype=object)),
    ("double", pd.Series([{}, 1.5], dtype=object)),
    ("double", pd.Series([pd.NaT, 1.5], dtype=object)),
    ("string", pd.Series([1, 2], dtype="category")),
    ("datetime", pd.Series(["2020-02-30"])),
    ("datetime", pd.Series(["20200101"])),
    ("datetime", pd.Series(["3020-01-01"])),
    ("datetime", pd.Series(np.array(["3020-01-01"], dtype="datetime64[s]"))),
    ("datetime", pd.Series([dt.date(3020, 1, 1)])),
    ("datetime", pd.Series([dt.datetime(2020, 1, 1), 5], dtype=object)),
]


@pytest.mark.parametrize(("kind", "series"), REFUSED)
def test_what_would_change_is_refused(kind: str, series: Any) -> None:
    """Nothing is cut, rounded, wrapped around or read as another type; the message holds no value."""
    (problem,) = problems(kind, series)
    assert problem[0] in ("missing", "wrong_type", "wrong_value")
    assert not any(text in problem[1] for text in ("false", "2**", "3020", "1.7"))


def test_missing_integers_are_refused_with_a_cure() -> None:
    """NaN in an integer column is refused, and the message says what to do about it."""
    ((kind, message),) = problems("long", pd.Series([1.0, None, None]))
    assert kind == "missing"
    assert "2 missing value(s)" in message
    assert "pandas' Int64" in message


@pytest.mark.parametrize("kind", ["string", "binary"])
@pytest.mark.parametrize("dtype", [object, "string"])
def test_text_and_bytes_pass_untouched(kind: str, dtype: Any) -> None:
    """Object and string columns are handed on as they are, missing cells and all."""
    frame = pd.DataFrame({"a": pd.Series(["x", None], dtype=dtype)})
    assert plan(kind).enforce(frame) is frame


def test_categories_and_arrow_text_become_plain_text() -> None:
    """A category column for a text column gives the same values; so does Arrow's string type."""
    assert enforce("string", pd.Series(["x", None, "y"], dtype="category")).tolist()[::2] == ["x", "y"]
    assert enforce("string", pd.Series(["x", "y"], dtype=pd.ArrowDtype(pa.string()))).tolist() == ["x", "y"]
    assert enforce("binary", pd.Series([b"x"], dtype=pd.ArrowDtype(pa.binary()))).tolist() == [b"x"]


def test_arrow_lists_of_text_come_in_whatever_layout() -> None:
    """pandas makes no column of a list of Arrow's newest texts by itself."""
    kind = pa.map_(pa.string(), pa.list_(pa.string_view()))
    series = pd.Series(pd.array(pa.array([[("k", ["x", "y"])]], kind), dtype=pd.ArrowDtype(kind)))
    column = plan(Map(Array("string"))).enforce(series.to_frame("a"))["a"]  # type: ignore[index]
    assert [list(texts) for texts in column[0].values()] == [["x", "y"]]


def test_a_map_with_a_key_twice_is_refused() -> None:
    """A dict would lose one of the two."""
    kind = pa.map_(pa.string(), pa.int64())
    series = pd.Series(pd.array(pa.array([[("k", 1), ("k", 2)]], kind), dtype=pd.ArrowDtype(kind)))
    assert problems(Map("long"), series) == [("wrong_type", "pandas has no type for values like these")]


DAY = pd.Timestamp("2020-01-02 03:04:05")
TIMES = [
    pd.Series(np.array(["2020-01-02T03:04:05"], dtype="datetime64[s]")),
    pd.Series(pd.to_datetime(["2020-01-02 05:04:05+02:00"])),
    pd.Series(["2020-01-02T03:04:05"]),
    pd.Series(["2020-01-02 03:04:05.000000000"], dtype=object),
    pd.Series(["2020-01-02T05:04:05+02:00"]),
    pd.Series(["2020-01-02T03:04:05Z"], dtype="category"),
    pd.Series([DAY.to_pydatetime()], dtype=object),
    pd.Series([DAY.tz_localize("UTC")], dtype=object),
    pd.Series([DAY.to_datetime64()], dtype=object),
    pd.Series([DAY], dtype=pd.ArrowDtype(pa.timestamp("us"))),
    pd.Series([DAY], dtype=pd.ArrowDtype(pa.timestamp("us", tz="UTC"))),
]


@pytest.mark.parametrize("series", TIMES)
def test_times_become_nanoseconds_in_utc(series: Any) -> None:
    """Every unit, zone, ISO text and date object gives the same instant as datetime64[ns]."""
    result = enforce("datetime", series)
    assert result.dtype == "datetime64[ns]"
    assert result.tolist() == [DAY]


def test_missing_times_stay_missing() -> None:
    """None among dates becomes NaT."""
    result = enforce("datetime", pd.Series([dt.date(2020, 1, 1), None], dtype=object))
    assert result.isna().tolist() == [False, True]


def test_nanoseconds_are_kept() -> None:
    """Neither text nor timestamps lose their last digits."""
    precise = pd.Timestamp("2020-01-02 03:04:05.123456789")
    assert enforce("datetime", pd.Series(["2020-01-02T03:04:05.123456789"])).tolist() == [precise]
    assert enforce("datetime", pd.Series([precise, None], dtype=object)).tolist()[0] == precise


# -- properties --------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4).map(
        lambda items: pd.Series(items, dtype="int64")
    ),
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4).map(lambda items: pd.Series(items, dtype="uint64")),
    st.lists(st.floats(), min_size=1, max_size=4).map(lambda items: pd.Series(items, dtype="float64")),
    st.lists(st.floats(width=16), min_size=1, max_size=4).map(lambda items: pd.Series(items, dtype="float16")),
    st.lists(st.one_of(st.integers(), st.none(), st.floats()), min_size=1, max_size=4).map(
        lambda items: pd.Series(items, dtype=object)
    ),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=4).map(
        lambda items: pd.Series(items, dtype="Int64")
    ),
)


@given(series=NUMBERS, kind=st.sampled_from(["integer", "long", "float", "double"]))
def test_numbers_come_out_equal_or_not_at_all(series: Any, kind: str) -> None:
    """Whatever the dtypes, every converted number equals the given one as Python compares them."""
    try:
        result = enforce(kind, series)
    except InvalidInput:
        return
    assert result.dtype == DTYPES[kind]
    for before, after in zip(series.tolist(), result.tolist(), strict=True):
        assert math.isnan(after) if pd.isna(before) else after == before


@given(st.lists(st.one_of(st.none(), st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))), max_size=4))
def test_times_come_out_equal(moments: list[dt.datetime | None]) -> None:
    """Datetimes, as objects or as ISO text, keep every microsecond."""
    texts = [moment and moment.isoformat() for moment in moments]
    for cells in (moments, texts):
        result = enforce("datetime", pd.Series(cells, dtype=object)).tolist()
        assert [None if pd.isna(value) else value.to_pydatetime() for value in result] == moments


# -- passing through ---------------------------------------------------------------------------------------------------

MATCHING = pd.DataFrame(
    {
        "boolean": [True],
        "integer": np.array([1], dtype="int32"),
        "long": np.array([1], dtype="int64"),
        "float": np.array([1], dtype="float32"),
        "double": [1.0],
        "string": ["x"],
        "binary": pd.Series([b"x"], dtype=object),
        "datetime": np.array(["2020-01-01"], dtype="datetime64[ns]"),
    }
)


@pytest.mark.parametrize("named", [True, False])
def test_a_frame_that_fits_is_the_same_object(named: bool) -> None:
    """A frame with the right columns and dtypes is not even copied, with names and without."""
    assert plan(*MATCHING.columns, names=tuple(MATCHING.columns) if named else None).enforce(MATCHING) is MATCHING


def test_a_frame_that_only_needed_a_look_is_the_same_object() -> None:
    """Nested cells that fit leave the frame what it was."""
    frame = pd.DataFrame({"a": pd.Series([[1.0], [2.0]], dtype=object), "b": pd.Series([True, None], dtype=object)})
    schema = Schema((ColSpec(type=AnyType(), name="a"), ColSpec(type="boolean", name="b")))
    assert compile_inputs(schema).enforce(frame) is frame


def test_no_schema_lets_everything_pass() -> None:
    """Without declared inputs the data is not looked at."""
    data = object()
    assert compile_inputs(None).enforce(data) is data


# -- categoricals ------------------------------------------------------------------------------------------------------

COLOURS = {"categories": ("red", "green"), "categorical": True}


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["green", "red", None]),
        pd.Series(["green", "red", None], dtype=object),
        pd.Series(["green", "red", None], dtype="category"),
        pd.Series(pd.Categorical(["green", "red", None], categories=["green", "red", "unused"])),
    ],
)
def test_a_categorical_column_gets_exactly_the_known_categories(series: Any) -> None:
    """Plain values and other orders become a categorical with the model's categories in the model's order."""
    result = enforce("string", series, **COLOURS)
    assert result.cat.categories.tolist() == ["red", "green"]
    assert result.cat.codes.tolist() == [1, 0, -1]


def test_a_categorical_that_fits_passes() -> None:
    """The right categories in the right order are left alone."""
    frame = pd.DataFrame({"a": pd.Categorical(["red"], categories=["red", "green"])})
    assert plan("string", **COLOURS).enforce(frame) is frame


def test_unknown_categories_are_refused_without_showing_them() -> None:
    """A value the model has never seen is a problem, told by count."""
    for series in (pd.Series(["mauve", "red"]), pd.Series(["mauve", "red"], dtype="category")):
        ((kind, message),) = problems("string", series, **COLOURS)
        assert kind == "wrong_value"
        assert "mauve" not in message


def test_categories_of_numbers_may_be_missing() -> None:
    """Integer categories take missing cells, which have no code, and numbers of any exact dtype."""
    for series in (pd.Series([2.0, None]), pd.Series([2, None], dtype="Int64"), pd.Series([2, None], dtype="category")):
        result = enforce("long", series, categories=(1, 2), categorical=True)
        assert result.cat.codes.tolist() == [1, -1]
    assert problems("long", pd.Series([True]), categories=(0, 1), categorical=True)


def test_truth_values_are_not_the_categories_zero_and_one() -> None:
    """False == 0 to Python; a categorical of truth values still does not pass for one of integers."""
    assert problems("long", pd.Series([True, False], dtype="category"), categories=(0, 1), categorical=True)


def test_only_columns_need_pandas() -> None:
    """Without pandas a tensor signature works, and a column signature compiles; data for it names what to install."""
    code = """
import sys
sys.modules["pandas"] = None
import numpy as np
from palate._enforcement.plan import compile_inputs
from palate.errors import DependencyMissing
from palate.schema import ColSpec, Schema, TensorSpec
tensor = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
assert tensor.enforce([1, 2]).tolist() == [1.0, 2.0]
batch = compile_inputs(Schema((ColSpec(type="double"),)), from_type_hints=True)
assert batch.enforce(np.array([1])) == [1.0]
columns = compile_inputs(Schema((ColSpec(type="double", name="a"),)))
try:
    columns.enforce({"a": [1.0]})
except DependencyMissing as exc:
    assert "palate[pandas]" in str(exc)
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
