"""No container changes a value, its type, its zone or its label: it keeps all of them, or they are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate._outputs.conversion import convert_output
from palate._outputs.equality import are_same
from palate.errors import UnsupportedOutput

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

ODD = 2**53 + 1  # no double
NAN = float("nan")
VIENNA = ZoneInfo("Europe/Vienna")
NOON = datetime(2020, 1, 1, 12)  # noqa: DTZ001
FRAMES = ("pandas", "polars", "arrow")


def convert(predictions: object, container: str, *, given: object = None) -> Any:
    """Convert what a model's predict returned."""
    return convert_output(predictions, container, method="predict", schema=None, given=given)


def objects(items: list[Any]) -> Any:
    """Return an array with each item as one object."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def read(frame: Any) -> list[Any]:
    """Return the only column of a frame as a list, with nanoseconds, and None for what is missing to pandas."""
    if isinstance(frame, pd.DataFrame):
        return without_nan(frame["predict"].tolist())
    column = frame["predict"]
    found: list[Any] = column.to_list() if isinstance(frame, pl.DataFrame) else column.to_pylist()
    if isinstance(frame, pl.DataFrame) and getattr(column.dtype, "time_unit", None) == "ns":
        found = column.to_arrow().to_pylist()
    return found


def without_nan(items: list[Any]) -> list[Any]:
    """Return values with None for what is missing to pandas."""
    return [None if isinstance(item, float) and math.isnan(item) else item for item in items]


# -- lists and objects -------------------------------------------------------------------------------------------------

CELLS: dict[str, tuple[list[Any], tuple[str, ...]]] = {
    "dicts of different keys": ([{"cat": 0.9}, {"dog": 0.8}], ("arrow",)),
    "lists of integers and of floats": ([[1, 2], [1.5]], ("arrow",)),
    "decimals of many digits": ([Decimal("12345678901234567890.1"), Decimal("0.12345678901234567891")], ("arrow",)),
    "an integer that is no double": ([0.5, ODD], ()),
    "lists of text and of integers": ([["a"], [1, 2]], ()),
    "a truth value among integers": ([1, True], ()),
    "a truth value among floats": ([1.5, True], ()),
    "a truth value of numpy": ([np.True_, 1], ()),
    "floats of two widths": ([np.float32(0.1), np.float64(0.1)], ("arrow",)),
    "a date and a datetime": ([date(2020, 1, 1), NOON], ()),
    "datetimes with and without a zone": ([NOON, NOON.replace(tzinfo=UTC)], ()),
    "datetimes of two zones": ([NOON.replace(tzinfo=VIENNA), NOON.replace(tzinfo=UTC)], ()),
    "a zone": ([NOON.replace(tzinfo=VIENNA), None], ("arrow", "polars")),
    "a zone without a name": ([NOON.replace(tzinfo=timezone(timedelta(hours=2)))], ("arrow",)),
    "a time of day with a zone": ([time(1, tzinfo=UTC)], ()),
    "nanoseconds": ([pd.Timestamp(1), None], ("arrow", "polars")),
    "a nanosecond's length": ([pd.Timedelta(1, "ns")], ("arrow", "polars")),
    "nanoseconds in lists": ([[pd.Timestamp(1)]], ()),
    "nanoseconds of numpy": ([np.datetime64(1, "ns"), None], ("arrow",)),
    "NaN in lists": ([[1.0, NAN], [2.0]], ("arrow", "polars")),
    "NaN and None": ([1.5, None, NAN], ("arrow", "polars")),
    "NaN among text": (["a", NAN], ()),
    "text and bytes": (["a", b"b"], ()),
    "a decimal that is no number": ([Decimal("NaN"), Decimal(1)], ()),
    "a set": ([{1, 2}], ()),
    "keys that are no text": ([{1: "a"}], ()),
    "arrays of integers and of floats": ([np.array([1]), np.array([0.5, 1.5])], ("arrow",)),
}


@pytest.mark.parametrize("container", ["arrow", "polars"])
@pytest.mark.parametrize("case", CELLS)
def test_values_of_python_are_kept_or_refused(case: str, container: str) -> None:
    """pyarrow and polars go by the first items and change the others; what they would change is an error."""
    items, containers = CELLS[case]
    if container in containers:
        assert are_same(items, read(convert(objects(items), container)))
        return
    with pytest.raises(UnsupportedOutput, match="cannot be put into"):
        convert(objects(items), container)


@pytest.mark.parametrize("container", ["arrow", "polars"])
@pytest.mark.parametrize("case", CELLS)
def test_cells_of_a_pandas_frame_are_kept_or_refused(case: str, container: str) -> None:
    """Objects in a DataFrame are objects as any; only that NaN is missing there."""
    items, containers = CELLS[case]
    frame = pd.DataFrame({"predict": pd.Series(items, dtype=object)})
    if container in containers or case == "NaN among text":
        assert are_same(without_nan(items), read(convert(frame, container)))
        return
    with pytest.raises(UnsupportedOutput, match="cannot be put into"):
        convert(frame, container)


@pytest.mark.parametrize("case", CELLS)
def test_pandas_and_numpy_keep_everything(case: str) -> None:
    """What they have no type for are objects."""
    items, _ = CELLS[case]
    assert are_same(without_nan(items), read(convert(objects(items), "pandas")))
    if not any(isinstance(item, dict) for item in items):  # which are records
        assert are_same(items, list(convert(items, "numpy")))


@pytest.mark.parametrize(
    "items",
    [
        [np.datetime64(1, "ns"), np.float32(1)],
        [[np.datetime64(1, "ns"), None], [np.int8(1)]],
        [{"a": np.datetime64(1, "s")}, {"a": np.True_}],
        [np.array([1], "M8[ns]"), np.array([1.0], "f4")],
        [objects([np.datetime64(1, "D")]), [np.uint64(2**63)]],
    ],
    ids=["items", "lists", "records", "arrays", "arrays of objects"],
)
def test_times_of_numpy_beside_its_numbers_do_not_end_the_process(items: list[Any]) -> None:
    """pyarrow crashes over them, so it is not asked."""
    with pytest.raises(UnsupportedOutput, match="pyarrow has no type for values like these"):
        convert(objects(items), "arrow")


def test_times_and_numbers_of_numpy_in_fields_of_their_own_are_kept() -> None:
    """What stands in different fields of a record is of different types anyhow."""
    items = [{"at": np.datetime64(1, "ns"), "value": np.float32(0.5)}]
    assert are_same(items, read(convert(objects(items), "arrow")))


SCALARS: list[Any] = [
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, ODD, 2**63, 2**70]),
    st.floats(),
    st.booleans(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.none(),
    st.decimals(allow_nan=True, allow_infinity=True, min_value=None, max_value=None).filter(lambda d: not d.is_snan()),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC, VIENNA, timezone(timedelta(hours=-5))])),
    st.times(timezones=st.sampled_from([None, UTC])),
    st.timedeltas(min_value=timedelta(-(10**4)), max_value=timedelta(10**4)),
    st.sampled_from(
        [np.float32(0.1), np.int8(3), np.uint64(2**64 - 1), np.True_, np.datetime64(1, "ns"), pd.Timestamp(1)]
    ),
]


def nested(leaves: Any) -> Any:
    """Return a strategy of values with lists, dicts and arrays around them."""
    inner = st.recursive(
        leaves,
        lambda values: st.one_of(
            st.lists(values, max_size=3),
            st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3),
            st.lists(values, max_size=3).map(objects),
        ),
        max_leaves=5,
    )
    return st.lists(inner, max_size=4)


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        nested(st.one_of(SCALARS)),
        st.tuples(st.sampled_from(SCALARS), st.sampled_from(SCALARS)).flatmap(lambda pair: nested(st.one_of(*pair))),
    ),
    st.sampled_from(FRAMES),
)
def test_what_a_container_accepts_reads_back_equal(items: list[Any], container: str) -> None:
    """Nothing is changed, whatever values stand beside and in each other."""
    try:
        frame = convert(objects(items), container)
    except UnsupportedOutput:
        assert container != "pandas"
        return
    expected = without_nan(items) if container == "pandas" else items
    assert are_same(expected, read(frame))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (True, 1),
        (1, True),
        (0, False),
        (ODD, float(ODD)),
        (NAN, None),
        (None, NAN),
        ("a", b"a"),
        (Decimal(1), 1),
        (np.float64(0.1), float(np.float32(0.1))),
        (date(2020, 1, 1), datetime(2020, 1, 1)),  # noqa: DTZ001
        (NOON, NOON.replace(tzinfo=UTC)),
        (NOON.replace(tzinfo=VIENNA), NOON.replace(tzinfo=VIENNA).astimezone(UTC)),
        (NOON.replace(tzinfo=VIENNA), NOON.replace(tzinfo=timezone(timedelta(hours=1)))),
        (NOON.replace(tzinfo=VIENNA), NOON.replace(tzinfo=ZoneInfo("Europe/Berlin"))),
        (time(1, tzinfo=UTC), time(1)),
        (pd.Timestamp(1), datetime(1970, 1, 1)),  # noqa: DTZ001
        (np.datetime64(1, "ps"), datetime(1970, 1, 1)),  # noqa: DTZ001
        (pd.Timedelta(1, "ns"), timedelta(0)),
        (np.timedelta64(1, "ns"), 1),
        ([1], [1, None]),
        ([[1], [2]], [[1, 2], []]),
        ({"a": 1}, {"a": None}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": True}, {"a": 1}),
        ({1}, [1]),
        (1.0, "1.0"),
    ],
)
def test_what_changed_is_told(given: Any, found: Any) -> None:
    """Python's own == takes half of these for equal."""
    assert not are_same([given], [found])
    assert not are_same([given, None], [found, None])
    assert not are_same([[given]], [[found]])
    assert not are_same([{"a": given}, {"b": given}], [{"a": found}, {"b": found}])


# -- arrays and columns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("items", [["a\0b", "c"], [b"a\0b", b"c"]])
def test_text_with_a_nul_is_whole(items: list[Any], container: str) -> None:
    """pyarrow takes the first NUL in a numpy text array for the end."""
    assert read(convert(np.array(items), container)) == items
    assert read(convert(np.array(items).reshape(1, 1, 2), container))[0][0] == items


def test_a_text_keeps_its_last_nul() -> None:
    """numpy's own types of text drop it."""
    assert convert("a\0", "numpy").item() == "a\0"


@pytest.mark.parametrize("container", FRAMES)
def test_times_that_are_too_fine_or_too_far_are_refused(container: str) -> None:
    """pandas cuts picoseconds off, Arrow and polars wrap days around."""
    with pytest.raises(UnsupportedOutput):
        convert(np.array([1], "M8[ps]"), container)
    with pytest.raises(UnsupportedOutput):
        convert(np.array([10**15], "M8[D]"), container)
    assert read(convert(np.array([1000], "M8[ps]"), container)) == [pd.Timestamp(1)]


@pytest.mark.parametrize("container", ["numpy", *FRAMES])
def test_times_in_lists_of_arrays_are_no_integers(container: str) -> None:
    """numpy makes integers of nanoseconds among objects."""
    times = [np.array([1, 2], "M8[ns]"), np.array([3, 4], "M8[ns]")]
    back = convert(convert(times, container), "numpy")
    assert back.dtype == "M8[ns]"
    assert back.astype(int).tolist() == [[1, 2], [3, 4]]
    assert are_same([[np.datetime64(1, "ns")]], list(convert([np.array([1], "M8[ns]"), np.array([0.5])], "numpy")[:1]))
    cube = np.array([1000, 2000], "M8[ns]").reshape(1, 1, 2)
    if container == "pandas":
        assert read(convert(cube, container)) == [[[datetime(1970, 1, 1, 0, 0, 0, n) for n in (1, 2)]]]  # noqa: DTZ001
        with pytest.raises(UnsupportedOutput):
            convert(cube.astype(int).view("M8[ns]") + np.timedelta64(1, "ns"), container)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.Categorical([ODD, None])),
        pd.Series([ODD, None], dtype=pd.ArrowDtype(pa.int64())),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([ODD, None])),
        pa.array([ODD, None]).dictionary_encode(),
        pl.Series([ODD, None]),
    ],
)
def test_integers_with_gaps_are_not_rounded_in_numpy(column: Any) -> None:
    """Whatever holds them: categories, dictionaries, nullable types."""
    assert convert(column, "numpy").tolist() == [ODD, None]


def test_categories_are_their_values_in_numpy() -> None:
    """A gap among them is what it is in a column of the values."""
    assert convert(pd.Categorical(["a", None, "b"]), "numpy").tolist() == ["a", None, "b"]
    np.testing.assert_array_equal(convert(pd.Categorical([0.5, None]), "numpy"), [0.5, np.nan])
    assert convert(pd.Categorical([pd.Timestamp(1), None]), "numpy").tolist() == [1, None]
    assert convert(pd.Categorical([ODD, 1]), "numpy").dtype == "int64"


@pytest.mark.parametrize("nested", [[[ODD, None]], [{"a": ODD}, {"a": None}]])
@pytest.mark.parametrize("make", [pl.Series, pa.array])
def test_integers_in_nested_columns_are_not_rounded(make: Callable[..., Any], nested: list[Any]) -> None:
    """pandas would make floats of integers beside nulls."""
    frame = convert({"predict": make(nested)}, "pandas")
    cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in frame["predict"]]
    assert cells == nested


def test_columns_with_times_that_python_does_not_have_are_refused() -> None:
    """pyarrow and polars cut them off on the way to Python's own times."""
    nanoseconds = pa.array([[1]], pa.list_(pa.time64("ns")))
    for predictions in (nanoseconds, pl.Series([[1]]).cast(pl.List(pl.Datetime("ns"))), pl.Series([1]).cast(pl.Time)):
        with pytest.raises(UnsupportedOutput):
            convert(predictions, "numpy")
    day_and_more = pa.array([1], pa.int64()).view(pa.date64())
    for column in (nanoseconds, day_and_more):
        with pytest.raises(UnsupportedOutput, match="with a time of day"):
            convert(pa.table({"a": column}), "pandas")
    seconds = pa.array([[10**17]], pa.list_(pa.timestamp("s")))
    with pytest.raises(UnsupportedOutput, match="milliseconds"):
        convert(pa.table({"a": seconds}), "polars")
    assert convert(pl.Series([[1000]]).cast(pl.List(pl.Datetime("ns"))), "numpy")[0][0].microsecond == 1


@pytest.mark.parametrize("container", ["pandas", "arrow"])
def test_objects_of_polars_do_not_leave_it(container: str) -> None:
    """polars would hand out their addresses in memory as bytes."""
    with pytest.raises(UnsupportedOutput, match="only polars"):
        convert(pl.Series("a", [object()]), container)


def test_a_decimal_too_wide_for_polars_is_refused() -> None:
    """It panics, which is no Exception of Python's."""
    wide = pa.array([Decimal(10**45)], pa.decimal256(60, 1))
    with pytest.raises(UnsupportedOutput):
        convert(pa.table({"a": wide}), "polars")


@pytest.mark.parametrize("container", ["arrow", "polars"])
def test_an_array_of_objects_that_holds_itself_is_refused(container: str) -> None:
    """pyarrow would end the process."""
    endless = objects([None])
    endless[0] = [endless]
    with pytest.raises(UnsupportedOutput, match="holds itself"):
        convert(endless, container)


def test_periods_and_intervals_are_no_integers_in_polars() -> None:
    """It would show what pandas stores."""
    for column in (pd.period_range("2020", "2021", freq="Y"), pd.interval_range(0, 2)):
        with pytest.raises(UnsupportedOutput, match="polars has no type"):
            convert(column, "polars")


# -- columns side by side ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", FRAMES)
def test_columns_in_a_dict_keep_their_types(container: str) -> None:
    """Categories and zones stay, as they do in a frame; columns of any package may stand beside arrays."""
    zoned = pd.Series(pd.DatetimeIndex([NOON]).tz_localize(VIENNA))
    parts = {"a": zoned, "b": pl.Series([ODD]), "c": pa.array([ODD]), "d": pd.Index([ODD]), "e": np.ones((1, 2))}
    frame = convert(parts, container)
    back = (
        frame.to_dict("list")
        if container == "pandas"
        else frame.to_pydict()
        if container == "arrow"
        else frame.to_dict()
    )
    assert [next(iter(back[name])) for name in ("b", "c", "d", "e_0", "e_1")] == [ODD, ODD, ODD, 1.0, 1.0]
    assert str(next(iter(back["a"])).tzinfo) == "Europe/Vienna"
    if container == "pandas":
        words = convert({"a": pd.Categorical(["x"]), "b": [1]}, container)
        assert words.dtypes["a"] == "category"


def test_row_labels_of_columns_in_a_dict_stay() -> None:
    """They are those of the frame; of the input's, where there are none; two that differ are refused."""
    source = pd.DataFrame({"x": [1, 2]}, index=["m", "n"])
    labelled = pd.Series([1, 2], index=pd.Index(["x", "y"], name="key"))
    frame = convert({"a": labelled, "b": [0.5, 1.5], "c": pd.Series([3, 4])}, "pandas", given=source)
    assert frame.index.tolist() == ["x", "y"]
    assert frame.index.name == "key"
    assert frame.to_dict("list") == {"a": [1, 2], "b": [0.5, 1.5], "c": [3, 4]}
    assert convert({"a": pd.Series([3, 4])}, "pandas", given=source).index.tolist() == ["m", "n"]
    for container in FRAMES:
        with pytest.raises(UnsupportedOutput, match="different row labels"):
            convert({"a": labelled, "b": labelled[::-1]}, container)


def test_row_labels_in_an_arrow_table_stay() -> None:
    """pandas writes its index into the table's metadata; the input's takes its place only where it is none."""
    source = pd.DataFrame({"x": [1, 2]}, index=["m", "n"])
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=["x", "y"]))
    assert convert(table, "pandas", given=source).index.tolist() == ["x", "y"]
    plain = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}))
    assert convert(plain, "pandas", given=source).index.tolist() == ["m", "n"]


@pytest.mark.parametrize("container", ["numpy", *FRAMES])
def test_a_stream_that_fails_midway_is_no_empty_frame(container: str) -> None:
    """The failure reaches the caller, after however many batches."""

    def batches() -> Any:
        yield pa.record_batch({"a": [1]})
        raise RuntimeError("the database went away")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches())
    with pytest.raises(Exception, match=r"the database went away|cannot be put into"):
        convert(reader, container)
