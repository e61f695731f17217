"""What crosses between processes arrives as it went, and nothing else is taken for a message."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import os
import socket
import struct
import threading
import time
import uuid
import zoneinfo
from collections import OrderedDict, namedtuple
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

from palate import errors
from palate._isolation.channel import Channel, Closed
from palate._isolation.failures import RemoteTraceback, describe_exception, rebuild_exception
from palate._isolation.frame_wire import as_matrix
from palate._isolation.regions import ReadRegion, WriteRegion
from palate._isolation.tree import Junk
from palate._isolation.wire import Reader, Writer
from palate.matrix import Matrix

Point = namedtuple("Point", "x y")


def cross(value: object) -> Any:
    """Return what arrives on the other side."""
    writer = Writer()
    text = json.dumps(writer.encode(value))
    return Reader([memoryview(bytearray(buffer)) for buffer in writer.buffers]).decode(json.loads(text))


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


# -- what the other side might say -------------------------------------------------------------------------------------

HOSTILE = [
    {"t": "nothing"},
    {},
    {"t": []},
    {"t": "tuple"},
    {"t": "tuple", "v": 3},
    {"t": "dict", "k": [1], "v": []},
    {"t": "dict", "k": [[1]], "v": [1]},
    {"t": "bytes", "b": 7},
    {"t": "bytes", "b": True},
    {"t": "bytes", "b": -1},
    {"t": "array", "s": [10**18], "d": "<f8", "b": 0},
    {"t": "array", "s": [1], "d": "O", "b": 0},
    {"t": "array", "s": [1], "d": {"names": ["a"], "formats": ["O"], "offsets": [0], "itemsize": 8}, "b": 0},
    {"t": "array", "s": [-1], "d": "<f8", "b": 0},
    {"t": "array", "s": "x", "d": "<f8", "b": 0},
    {"t": "array", "s": [3], "v": [1]},
    {"t": "array", "s": [1], "texts": [0, 9]},
    {"t": "sparse", "f": "__class__", "s": [1, 1], "array": True, "v": []},
    {"t": "sparse", "f": "csr", "s": [1, 1], "array": True, "v": [1, 2, 3]},
    {
        "t": "frame",
        "l": {"t": "index", "range": [0, 2, 1], "n": None},
        "i": {"t": "index", "range": [0, 1, 1], "n": None},
        "blocks": [],
    },
    {"t": "timestamp", "a": {"t": "array", "s": [], "d": "<f8", "b": 0}, "z": None},
    {"t": "arrow", "batch": False, "b": 0},
    {"t": "polars", "frame": True, "b": 0},
    {"t": "timedelta", "v": [10**12, 0, 0]},
    {"t": "datetime", "v": "yesterday", "fold": 0},
    {"t": "datetime", "v": "2020-01-01", "fold": 0, "zone": "../../etc/passwd"},
    {"t": "decimal", "v": "x"},
    {"t": "uuid", "v": 3},
    {"t": "matrix", "a": 3, "c": []},
]


@pytest.mark.parametrize("node", HOSTILE, ids=repr)
def test_junk_is_no_value(node: object) -> None:
    """What is no value is Junk: nothing else is raised, and no memory is read but what came."""
    with pytest.raises(Junk):
        Reader([memoryview(bytearray(8))]).decode(node)


def test_sparse_indices_stay_inside() -> None:
    """Indices that lead native code out of its memory are refused."""
    writer = Writer()
    node = writer.encode(sp.csr_matrix(np.eye(3)))
    wrong = [memoryview(bytearray(buffer)) for buffer in writer.buffers]
    np.frombuffer(wrong[1], dtype=np.int32)[:] = 10**6
    with pytest.raises(Junk):
        Reader(wrong).decode(node)


@pytest.fixture
def ends() -> Any:
    """Yield a channel and the bare socket at its other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    channel = Channel(ours)
    channel.set_timeout(5)
    yield channel, theirs
    channel.close()
    theirs.close()


HEAD = struct.Struct("<4sIQ")


def framed(text: bytes, following: bytes = b"", mark: bytes = b"PLT\x01") -> bytes:
    """Return a message as a channel writes it."""
    return HEAD.pack(mark, len(text), len(following)) + text + following


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        framed(b"{}", mark=b"PLT\x02"),
        framed(b"null"),
        framed(b"[1]"),
        framed(b"[" * 100_000),
        framed(b"\xff"),
        framed(b"[1,[-1],true]"),
        framed(b"[1,[1.5],true]"),
        framed(b"[1,[true],true]", b"x"),
        framed(b"[1,7,true]"),
        framed(b"[1,[5],true]", b"x"),
        framed(b"[1,[5],false]"),
        HEAD.pack(b"PLT\x01", 0xFFFFFFFF, 0),
        HEAD.pack(b"PLT\x01", 1, 1 << 40),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_junk_is_no_message(ends: Any, content: bytes) -> None:
    """A side that says what no side says is found out at once; nothing is allocated on its word."""
    channel, theirs = ends
    theirs.sendall(content)
    with pytest.raises(Junk):
        channel.receive()


def test_half_a_message_is_an_end(ends: Any) -> None:
    """A side that ends amid a message has gone."""
    channel, theirs = ends
    theirs.sendall(framed(b"[1,[],true]")[:-2])
    theirs.close()
    with pytest.raises(Closed):
        channel.receive()


def test_memory_that_shrinks_is_no_memory(ends: Any) -> None:
    """Shared memory is sealed before it is read, so that its owner cannot take it away meanwhile."""
    channel, theirs = ends
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    socket.send_fds(theirs, [framed(b'[{"t":"bytes","b":0},[4096],false]')], [descriptor])
    assert channel.receive() == bytes(4096)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


@pytest.mark.parametrize("kind", ["file", "unsealable", "pipe"])
def test_other_descriptors_are_no_memory(ends: Any, kind: str, tmp_path: Any) -> None:
    """A descriptor of anything but memory that can be sealed is refused, and closed."""
    channel, theirs = ends
    (tmp_path / "file").write_bytes(bytes(4096))
    if kind == "file":
        descriptor = os.open(tmp_path / "file", os.O_RDWR)
    elif kind == "unsealable":
        descriptor = os.memfd_create("test", 0)
        os.ftruncate(descriptor, 4096)
    else:
        descriptor, other = os.pipe()
        os.close(other)
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(theirs, [framed(b"[1,[],true]")], [descriptor])
    with pytest.raises(Junk, match="no memory"):
        channel.receive()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(descriptor)


def test_more_than_one_descriptor_is_junk(ends: Any) -> None:
    """Whatever else is sent along is closed, and found out."""
    channel, theirs = ends
    made = [os.memfd_create("test", os.MFD_ALLOW_SEALING) for _ in range(2)]
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(theirs, [framed(b"[1,[],true]")], made)
    with pytest.raises(Junk, match="more than one"):
        channel.receive()
    assert len(os.listdir("/proc/self/fd")) == before
    for descriptor in made:
        os.close(descriptor)


def test_own_memory_cannot_be_taken_away(ends: Any) -> None:
    """The other side has the descriptor of what this one writes into, and cannot make it smaller."""
    channel, theirs = ends
    channel.send({"array": np.zeros(10**6)})
    _, (descriptor,), _, _ = socket.recv_fds(theirs, 1 << 16, 1)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def test_time_is_for_a_whole_message(ends: Any) -> None:
    """A side that drips is no answer in time: the time counts from the beginning."""
    channel, theirs = ends
    channel.set_timeout(0.5)
    done = threading.Event()

    def drip() -> None:
        for byte in framed(b"[1,[],true]") + bytes(100):
            if done.wait(0.1):
                return
            theirs.send(bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        channel.receive()
    assert time.monotonic() - begin < 2
    done.set()
    thread.join()


def test_regions_grow_and_shrink() -> None:
    """Memory is made anew when it is too small, and given back when it is far too large."""
    written, read = WriteRegion(), ReadRegion()
    made = []
    for size in (10, 5 << 20, 1 << 20, 200 << 20, 100):
        buffer = memoryview(bytearray(os.urandom(16)) + bytearray(size))
        descriptor = written.write([buffer, memoryview(b"end")])
        made.append(descriptor is not None)
        if descriptor is not None:
            read.replace(os.dup(descriptor))
        found = read.read([len(buffer), 3])
        assert found is not None
        assert (found[0], bytes(found[1])) == (buffer, b"end")
    assert made == [True, True, False, True, True]
    written.close()
    read.close()


def test_messages_of_all_sizes(ends: Any) -> None:
    """Small and large messages follow each other over one channel, whatever the socket holds at a time."""
    channel, theirs = ends
    other = Channel(theirs)
    sizes = (0, 1, 60_000, 10**6, 10**7, 5)

    def echo() -> None:
        for _ in sizes:
            other.send(other.receive())

    thread = threading.Thread(target=echo)
    thread.start()
    for size in sizes:
        message = {"array": np.arange(size, dtype=np.uint8), "text": "x" * (size // 10)}
        channel.send(message)
        answer = channel.receive()
        np.testing.assert_array_equal(answer["array"], message["array"])
        assert answer["text"] == message["text"]
        assert answer["array"].flags.writeable
    thread.join()


# -- exceptions --------------------------------------------------------------------------------------------------------

RAISED = [
    errors.InvalidInput([errors.Problem(("inputs", "a"), "missing", "this column is missing")]),
    errors.TrustRequired("m", reasons=[errors.CodeReason("a.pkl", "a pickle")], safe_format="skops"),
    errors.MethodNotFound("transform", available=["predict"]),
    errors.SaveFailed("x", cause=OSError(28, "No space left on device")),
    errors.ModelChanged("m", changed=["a"]),
    ValueError("no"),
    KeyError("a", 1),
    FileNotFoundError(2, "gone"),
    FileNotFoundError(2, "gone", "a file"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
    StopIteration(3),
    ExceptionGroup("two", [ValueError(1)]),
]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_exception_arrives_as_it_went(raised: Exception) -> None:
    """Errors of Palate keep their facts, Python's own their arguments, and each tells where it came from."""
    try:
        raise raised
    except Exception as exc:
        told = cross(describe_exception(exc))
    found = rebuild_exception(told)
    if not isinstance(raised, ExceptionGroup):
        assert type(found) is type(raised)
        assert str(found) == str(raised)
    assert getattr(found, "problems", None) == getattr(raised, "problems", None)
    assert getattr(found, "reasons", None) == getattr(raised, "reasons", None)
    assert getattr(found, "errno", None) == getattr(raised, "errno", None)
    if not isinstance(raised, errors.InvalidInput):
        assert isinstance(found.__cause__, RemoteTraceback)
        assert "raise raised" in str(found.__cause__)


@pytest.mark.parametrize(
    "kinds",
    [
        ["builtins.SystemExit", "builtins.BaseException"],
        ["builtins.KeyboardInterrupt"],
        ["builtins.exec"],
        ["palate.errors.Problem"],
        ["palate.errors.annotations"],
        ["os.system"],
        [],
    ],
)
def test_only_exceptions_are_raised(kinds: list[str]) -> None:
    """The other side names a class; only an ordinary exception of Python's or Palate's own is taken for one."""
    told = {"kinds": kinds, "quoted": "q", "args": [], "errno": None, "facts": {}, "files": None}
    told |= {"notes": [], "traceback": ""}
    assert type(rebuild_exception(told)) is RuntimeError
