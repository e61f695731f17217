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


# -- containers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1.0, 2.0], "b": np.array(["x", "y"])},
        {"a": np.array([1, 2]), "b": ("x", "y")},
        [{"a": 1.0, "b": "x"}, {"b": "y", "a": 2.0}],
        pa.table({"b": ["x", "y"], "a": [1, 2]}),
        pa.record_batch({"b": ["x", "y"], "a": [1.0, 2.0]}),
        np.array([(1.0, "x"), (2.0, "y")], dtype=[("a", "f8"), ("b", "O")]),
    ],
)
def test_containers_become_the_same_frame(data: Any) -> None:
    """Dicts of columns, records, Arrow tables and structured arrays are all read as columns."""
    result: Any = plan("double", "string").enforce(data)
    assert result.to_dict("list") == {"a": [1.0, 2.0], "b": ["x", "y"]}


def test_polars_frames_are_read_by_way_of_arrow() -> None:
    """Polars integers with missing ones become doubles only as far as they are exact; its dates and text come along."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"b": ["x", None], "a": [2, None], "c": [dt.date(2020, 1, 1), None]})
    result: Any = plan("double", "string", "datetime").enforce(frame)
    assert result["a"].tolist()[0] == 2.0
    assert result["b"].isna().tolist() == [False, True]
    assert result["c"].tolist()[0] == pd.Timestamp("2020-01-01")
    with pytest.raises(InvalidInput, match="exactly"):
        plan("double").enforce(pl.DataFrame({"a": [2**53 + 1, None]}))
    assert plan("long").enforce(pl.Series("a", [1, 2])).equals(pd.DataFrame({"a": [1, 2]}))  # type: ignore[attr-defined]


def test_arrow_integers_beside_missing_ones_are_not_rounded() -> None:
    """Arrow's own way to pandas makes such a column a float column; ours refuses what no double holds."""
    with pytest.raises(InvalidInput, match="exactly"):
        plan("double").enforce(pa.table({"a": [2**53 + 1, None]}))


def test_a_dict_of_scalars_is_one_row() -> None:
    """Scalars, and as in MLflow lists of text, make one row; lists for number columns make rows."""
    assert plan("double", "string").enforce({"a": 1.0, "b": "x"}).shape == (1, 2)  # type: ignore[attr-defined]
    one: Any = plan("string").enforce({"a": ["x", "y"]})
    assert one["a"].tolist() == [["x", "y"]]
    times: Any = plan("datetime").enforce({"a": ["2020-01-01", "2020-01-02"]})
    assert len(times) == 2
    assert plan("double").enforce({"a": []}).shape == (0, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [None, (1.0,), object(), {1.0}, {"a": [1.0, 2.0], "b": ["x"]}, {"a": np.array(1.0)}])
def test_what_has_no_rows_and_columns_is_refused(data: Any) -> None:
    """Other objects, and ragged columns, are one problem that shows no values."""
    with pytest.raises(InvalidInput, match="inputs"):
        plan("double").enforce(data)


def test_sparse_matrices_have_no_columns() -> None:
    """A sparse matrix for a column signature is refused with the way to make a frame of it."""
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InvalidInput, match="from_spmatrix"):
        plan("double").enforce(sparse.csr_matrix(np.eye(1)))


def test_one_value_is_enough_for_one_unnamed_column() -> None:
    """A scalar is a frame of one cell, labelled 0."""
    result: Any = plan("string", names=None).enforce("x")
    assert result.to_dict("list") == {0: ["x"]}


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
