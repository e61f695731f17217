"""What crosses between processes arrives as it went."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import socket
import uuid
import zoneinfo
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import dateutil.tz
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from isolated import cross

from palate import errors
from palate._isolation.channel import Channel
from palate._isolation.frame_wire import as_matrix
from palate.matrix import Matrix

Point = namedtuple("Point", "x y")


def assert_same(found: Any, expected: Any) -> None:
    """Compare type, dtype, shape and values."""
    assert type(found) is type(expected)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_freq=False)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    elif isinstance(expected, pd.Index):
        pd.testing.assert_index_equal(found, expected, exact=True)
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
    elif sp.issparse(expected):
        assert (found.dtype, found.format, (found != expected).nnz) == (expected.dtype, expected.format, 0)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, pl.DataFrame | pl.Series | pa.Table | pa.RecordBatch):
        assert found.equals(expected)
    elif isinstance(expected, Matrix):
        assert found.columns == expected.columns
        assert_same(found.values, expected.values)
    elif expected is pd.NA or expected is pd.NaT:
        assert found is expected
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(found)
    else:
        assert found == expected


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
MOMENTS = pd.to_datetime(["2020-01-01", "2021-07-01", None])

VALUES = {
    "none": None,
    "true": True,
    "large int": 10**5000,
    "float": 0.1,
    "nan": float("nan"),
    "infinity": -math.inf,
    "text": "ü\ud800\0",
    "bytes": b"\0\xff",
    "no bytes": b"",
    "bytearray": bytearray(b"x"),
    "list": [1, [2, None]],
    "tuple": (1, ("a",)),
    "dict": {"a": 1, 2: None, (1, 2): "x", "t": "list"},
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "complex": 1 + 2j,
    "date": dt.date(2020, 1, 1),
    "time": dt.time(1, 2, 3, 4),
    "datetime": dt.datetime(2020, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
    "datetime with a zone": dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    "datetime with an offset": dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "timedelta": dt.timedelta(-1, 2, 3),
    "time with a zone": dt.time(1, 2, tzinfo=BERLIN, fold=1),
    "datetime with an odd offset": dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=3723))),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=7),
    "numpy float": np.float64(0.1),
    "numpy int8": np.int8(3),
    "numpy date": np.datetime64("2020-01-01", "ms"),
    "numpy text": np.str_("x"),
    "array": np.arange(6).reshape(2, 3),
    "array in Fortran's order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "array with gaps": np.arange(10)[::2],
    "empty array": np.zeros((0, 3), np.float32),
    "array of no dimension": np.array(3),
    "array of texts": np.array(["a", "bc"]),
    "array of empty texts": np.array(["", ""]),
    "array of no texts": np.array([], dtype="U"),
    "array of text objects": np.array([["a", None], ["ü", ""]], dtype=object),
    "array of objects": np.array([[1, "a"], [None, 2.5]], dtype=object),
    "array of bytes": np.array([b"a", b"bc"]),
    "array of dates": np.array(["2020", "NaT"], dtype="M8[D]"),
    "array of durations": np.array([1, 2], dtype="m8[s]"),
    "array of records": np.array([(1, 2.0, "a")], dtype=[("a", "i4"), ("b", "f8"), ("c", "U3")]),
    "array of booleans": np.array([True, False]),
    "array of the other byte order": np.array([1, 2], dtype=">f4"),
    "array of halves": np.float16([1]),
    "array of complex": np.array([1j]),
    "array of variable texts": np.array(["a", "bcd"], dtype=np.dtypes.StringDType()),
    "csr": sp.csr_matrix(np.eye(3)),
    "csc array": sp.csc_array(np.eye(3)),
    "bsr": sp.bsr_matrix(np.eye(4), blocksize=(2, 2)),
    "object index of timestamps": pd.Index([pd.Timestamp("2020-01-01")], dtype=object),
    "categorical index": pd.CategoricalIndex(["a", "b"]),
    "nullable floats that are no numbers": pd.Series(
        pd.arrays.FloatingArray(np.array([np.nan, 1]), np.array([False, True]))
    ),
    "coo": sp.coo_matrix(np.eye(3)),
    "lil": sp.lil_matrix(np.eye(3)),
    "tensor": torch.arange(4.0),
    "matrix": Matrix(np.ones((2, 2)), ("a", 1)),
    "timestamp": pd.Timestamp("2020-01-01 00:00:00.000000001"),
    "timestamp with a zone": pd.Timestamp("2020-01-01", tz="Europe/Berlin"),
    "pandas timedelta": pd.Timedelta("1s"),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "index": pd.Index(["a", "b"], name="q"),
    "object index": pd.Index(["a", "b"], dtype=object),
    "range": pd.RangeIndex(1, 9, 2, name="r"),
    "frame of one type": pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=list("ab")),
    "frame": pd.DataFrame(
        {
            "ints": [1, 2, 3],
            "floats": [1.0, 2.0, None],
            "texts": ["x", None, "z"],
            "ordered": pd.Categorical(["u", "v", None], categories=["v", "u", "w"], ordered=True),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "moments": MOMENTS,
            "zoned": MOMENTS.tz_localize("Europe/Berlin"),
            "also zoned": MOMENTS.tz_localize("Europe/Berlin"),
            "booleans": pd.array([True, None, False], dtype="boolean"),
            "strings": pd.array(["a", None, "b"], dtype="string"),
            "objects": [{"x": 1}, [1], None],
            "small": np.float32([1, 2, 3]),
            "arrow": pd.array([1, None, 3], dtype="int64[pyarrow]"),
            "nullable floats": pd.array([1.0, None, 3], dtype="Float32"),
        }
    ),
    "frame with an index of two levels": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", None])
    ),
    "frame with numbers for labels": pd.DataFrame({0: [1, 2], 1: [3.5, 4]}, index=pd.date_range("2020", periods=2)),
    "frame with one label twice": pd.DataFrame([[1, "b"]], columns=["a", "a"]),
    "frame without columns": pd.DataFrame(index=[1, 2]),
    "frame without rows": pd.DataFrame({"a": np.zeros(0), "b": np.zeros(0, int)}),
    "frame put together": pd.DataFrame({"a": [1, 2]}).assign(b=[3, 4])[["b", "a"]],
    "series": pd.Series([1, 2, 3], name=("a", 1)),
    "series of categories": pd.Series(pd.Categorical([1, 2])),
    "polars frame": pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
    "polars series": pl.Series("s", [1, 2]),
    "arrow table": pa.table({"a": [1, 2], "b": ["x", None]}),
    "arrow batch": pa.record_batch({"a": [1, 2]}),
    "empty arrow batch": pa.record_batch({"a": pa.array([], pa.int8())}),
    "problem": errors.Problem(("inputs", 0), "missing", "is missing"),
    "reason": errors.CodeReason("a.pkl", "a pickle"),
}


@pytest.mark.parametrize("name", VALUES)
def test_value_arrives_as_it_went(name: str) -> None:
    """Type, dtype, order, names and every value are the same on the other side."""
    assert_same(cross(VALUES[name]), VALUES[name])


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda part: (
        st.lists(part)
        | st.tuples(part, part)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), part)
    ),
    max_leaves=20,
)


@given(JSON_LIKE)
def test_any_nesting_crosses(value: object) -> None:
    """Lists, tuples and dicts of any depth and key come back equal, and of the same types."""
    assert cross(value) == value
    assert repr(cross(value)) == repr(value)


def test_subclasses_arrive_as_the_plain_type() -> None:
    """A named tuple is a tuple on the other side, which does not know its class."""
    assert cross([Point(1, 2), OrderedDict(a=1), pd.Series([1]).name]) == [(1, 2), {"a": 1}, None]
    assert type(cross(Point(1, 2))) is tuple


class Color(str, enum.Enum):  # noqa: UP042 - a StrEnum shows itself as its value
    """A text that shows itself as something else."""

    RED = "red"


def test_enumerations_arrive_as_their_values() -> None:
    """The value, not what the class would print, wherever it stands: a model looks it up among its categories."""
    assert cross([Color.RED, enum.IntEnum("Number", {"ONE": 1}).ONE]) == ["red", 1]
    assert cross(np.array([Color.RED], dtype=object)).tolist() == ["red"]


def test_sparse_matrices_keep_their_arrays() -> None:
    """Explicit zeros, and indices out of order, cross as they are."""
    made = sp.csr_matrix((np.array([0.0, 2.0]), np.array([2, 0]), np.array([0, 2])), shape=(1, 3))
    found = cross(made)
    assert (found.data.tolist(), found.indices.tolist()) == ([0.0, 2.0], [2, 0])


class Unknown:
    """A type that nobody else knows."""


@pytest.mark.parametrize(
    "value",
    [
        Unknown(),
        Unknown,
        len,
        [{"a": {1, Unknown}}],
        np.array([Unknown()], dtype=object),
        np.ma.masked_array([1], [True]),
        np.array(["a"], dtype=np.dtypes.StringDType(na_object=None)),
        dt.datetime(2020, 1, 1, tzinfo=dateutil.tz.tzoffset("x", 3600)),
        pd.Series(pd.to_datetime(["2020"]).tz_localize(dateutil.tz.tzoffset("x", 3600))),
        pl.DataFrame({"a": [Unknown()]}, schema={"a": pl.Object}),
        np.array([(1,)], dtype=[("a", "O")]),
        pd.Series(pd.period_range("2020", periods=2)),
        torch.zeros(1, dtype=torch.bfloat16),
        sp.coo_array(np.eye(3)[0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused(value: object) -> None:
    """What is of none of the types that cross is refused with its name, wherever it stands."""
    with pytest.raises(errors.NotTransferable, match="cannot cross"):
        cross(value)


class Kept(dt.tzinfo):
    """A zone as pytz has them: it keeps which of two equal times is meant, and the time does not."""

    zone = "Europe/Berlin"

    def __init__(self, hours: int) -> None:
        self._ahead = dt.timedelta(hours=hours)

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta:
        """Return what it keeps."""
        return self._ahead


@pytest.mark.parametrize(("hours", "fold"), [(2, 0), (1, 1)])
def test_a_zone_that_keeps_its_offset_keeps_the_moment(hours: int, fold: int) -> None:
    """It arrives as zoneinfo has it: the same moment."""
    moment = dt.datetime(2024, 10, 27, 2, 30, tzinfo=Kept(hours))
    arrived = cross(moment)
    assert arrived.utcoffset() == moment.utcoffset()
    assert (arrived, arrived.fold) == (dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold), fold)


class Odd(list[int]):
    """A list that cannot be looked through."""

    def __iter__(self) -> Iterator[int]:
        """Fail."""
        raise RuntimeError("no")


class Unknown(dt.tzinfo):
    """A zone of a name that no other process knows."""

    key = "Nowhere/Never"


@pytest.mark.parametrize(
    "value",
    [Odd([1]), dt.datetime(2020, 1, 1, tzinfo=Unknown()), np.zeros(3, dtype=[])],
    ids=["list", "zone", "record"],
)
def test_what_cannot_be_read_is_refused_before_it_is_sent(value: object) -> None:
    """Its own class raises, or nobody there would know it: the process lives on."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(errors.NotTransferable):
            Channel(ours).send(value)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def test_circles_end() -> None:
    """A list that holds itself is refused, not followed for ever."""
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(errors.NotTransferable, match="200 others"):
        cross(circle)


@pytest.mark.parametrize(
    ("frame", "crosses"),
    [
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), True),
        (pd.DataFrame({"a": [1.0], "b": [2]}), False),
        (pd.DataFrame({"a": [1.0]}, index=[7]), False),
        (pd.DataFrame({"a": [1.0]}, index=pd.RangeIndex(1, name="i")), False),
        (pd.DataFrame({0: [1.0]}), False),
        (pd.DataFrame({"a": [1.0]}).rename_axis(columns="c"), False),
        (pd.DataFrame({"a": ["x"]}), False),
        (pd.DataFrame({"a": [1.0]}).set_axis(pd.Index(["a"], dtype=object), axis=1), False),
        (pd.DataFrame({"a": [1.0]}).set_axis(pd.CategoricalIndex(["a"]), axis=1), False),
        (pd.DataFrame({"a": [True]}), False),
    ],
)
def test_plain_frames_of_numbers_are_matrices(frame: pd.DataFrame, crosses: bool) -> None:
    """A frame that is no more than numbers under names goes as that; one with anything besides does not."""
    matrix = as_matrix(frame)
    assert (matrix is not None) is crosses
    if matrix is not None:
        pd.testing.assert_frame_equal(matrix.to_frame(), frame)
