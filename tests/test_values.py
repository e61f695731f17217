"""Predictions as JSON and back, their differences and tolerances."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
import math
import random
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from palate._stored.values import decode_value, differences, encode_value, tolerance_of
from palate.errors import InvalidExample

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

EXACT = {"rtol": 0.0, "atol": 0.0}
NOON = dt.datetime.fromisoformat("2024-01-02T12:00:00.000001")


def stored(value: object) -> Any:
    """Return what comes back after a real JSON text without NaN tokens, with keys in another order."""
    return decode_value(json.loads(json.dumps(encode_value(value), allow_nan=False, sort_keys=True)))


def assert_same(given: Any, expected: Any) -> None:
    """Assert that two values are equal to the bit, and of one class."""
    assert type(given) is type(expected)
    if isinstance(expected, np.ndarray) and expected.dtype != object:
        assert (given.dtype, given.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(given, expected)
        if expected.dtype.kind in "fc":
            assert (np.signbit(given.real) == np.signbit(expected.real))[~np.isnan(expected.real)].all()
    elif isinstance(expected, np.ndarray | list | tuple):
        assert getattr(given, "shape", len(given)) == getattr(expected, "shape", len(expected))
        for one, other in zip(np.ravel(given) if isinstance(given, np.ndarray) else given, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(given) == list(expected)
        assert_same(list(given.values()), list(expected.values()))
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(given, expected, check_freq=False, check_column_type="exact")
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(given, expected, check_freq=False)
    else:
        assert given == expected or (given != given and expected != expected)


# -- round trips -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, 10**30, -0.0, 0.1, math.nan, math.inf, -math.inf, "text", "\ud800", b"\x00\xff", 1 + 2j),
        *(NOON, NOON.replace(tzinfo=dt.UTC), NOON.date(), NOON.time(), dt.timedelta(-1, 2, 3), Decimal("1.10")),
        *([], [1, [2.5, None]], (1, (2,)), {}, {"b": 1, "a": [2]}, {1: "x", None: (1, 2), (1, 2): 3}, {"kind": "dict"}),
        *(np.float32(0.1), np.float64(0.1), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True), np.str_("x")),
        *(np.bytes_(b"x"), np.datetime64("2024-01-02", "D"), np.timedelta64(5, "s"), np.complex64(1 + 2j)),
        *(pd.NaT, pd.NA, pd.Timestamp("2024-01-01T00:00:00.000000001"), pd.Timestamp("2024-01-01", tz="UTC")),
    ],
    ids=repr,
)
def test_scalars_and_plain_containers_come_back(value: object) -> None:
    """Every plain value comes back equal, of its own class, with keys in order."""
    if value is pd.NA:
        assert stored(value) is pd.NA
    else:
        assert_same(stored(value), value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, math.nan, math.inf, -math.inf, -0.0, 5e-324]),
        np.array([0.1, 65504, 6e-8], dtype="float16"),
        np.array([[0.1, math.nan]], dtype="float32"),
        np.array([0.1, math.nan], dtype=np.longdouble),
        np.array([1 + 2j, complex(math.nan, -0.0)]),
        np.array([1 + 2j], dtype="complex64"),
        np.array([1, -2], dtype=">i4"),
        np.array([2**64 - 1], dtype="uint64"),
        np.array([[True], [False]]),
        np.array(["a", "bcd", ""]),
        np.array(["ü", "\ud800"]),
        np.array([b"a\x00b", b"\xff"]),
        np.array(["2024-01-01", "NaT"], dtype="datetime64[s]"),
        np.array(["2024-01-01"], dtype=">M8[ns]"),
        np.array([1, -1], dtype="timedelta64[ms]"),
        np.array([5], dtype="datetime64[25s]"),
        np.array([1, "a", None, {"x": math.nan}, [1]], dtype=object),
        np.zeros((0, 3)),
        np.zeros((2, 0, 2), dtype="int8"),
        np.array(1.5),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back(array: Any) -> None:
    """Every dtype comes back with its byte order and shape, and every item to the bit."""
    assert_same(stored(array), array)


@given(npst.arrays(dtype=npst.scalar_dtypes(), shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_array_comes_back(array: Any) -> None:
    """Arrays of any scalar dtype and shape come back with the same bytes, apart from the payload of NaN."""
    assert_same(stored(array), array)


@given(st.floats(width=32))
def test_any_float32_comes_back(number: float) -> None:
    """float32 numbers come back to the bit."""
    assert_same(stored(np.float32(number)), np.float32(number))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=15,
)


@given(PLAIN)
def test_any_plain_data_comes_back(value: object) -> None:
    """Nested plain data comes back, and does not differ from itself."""
    assert_same(stored(value), value)
    assert differences(value, stored(value), **EXACT) == []


def frames() -> list[Any]:
    """Return frames of every dtype that is stored."""
    columns = {
        "i": [1, 2],
        "f": np.array([0.1, math.nan], dtype="float32"),
        "s": ["x", None],
        "o": pd.Series([[1], {"a": math.nan}], dtype=object),
        "c": pd.Categorical(["u", None], categories=["v", "u"], ordered=True),
        "n": pd.Categorical([3, 1]),
        "d": pd.to_datetime(["2024-01-01", None]),
        "t": pd.to_timedelta([1, None], unit="s"),
        "z": pd.to_datetime(["2024-01-01", "2024-07-01"], utc=True).tz_convert("Europe/Paris"),
        "w": pd.to_datetime(["2024-01-01T00:00+02:00", None]),
        "I": pd.array([1, None], dtype="Int64"),
        "U": pd.array([2**64 - 1, None], dtype="UInt64"),
        "B": pd.array([True, None], dtype="boolean"),
        "F": pd.array([0.5, None], dtype="Float32"),
        "S": pd.array(["a", None], dtype="string"),
    }
    frame = pd.DataFrame(columns)
    return [
        frame,
        frame.set_axis(["r", "q"]),
        frame.set_index("d"),
        frame.set_index("c"),
        frame.set_axis(pd.RangeIndex(10, 14, 2, name="n")),
        pd.DataFrame([[1, "a"]], columns=["same", "same"]),
        pd.DataFrame(np.eye(2)),
        pd.DataFrame(np.eye(2), columns=[5, "x"]),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame({"a": []}),
        pd.DataFrame(),
        pd.Series([1.5, 2.5], name="x"),
        pd.Series(["a", "b"], index=[3, 4], name=0),
        frame["z"],
    ]


@pytest.mark.parametrize("position", range(14))
def test_frames_and_series_come_back(position: int) -> None:
    """Columns keep dtypes, labels, categories, zones and gaps; the index comes back too."""
    frame = frames()[position]
    assert_same(stored(frame), frame)
    assert differences(frame, stored(frame), **EXACT) == []


@pytest.mark.parametrize("build", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "csc_array", "coo_array"])
def test_sparse_matrices_come_back(build: str) -> None:
    """The format, the container and the stored values come back."""
    sparse = pytest.importorskip("scipy.sparse")
    matrix = getattr(sparse, build)(np.array([[0, 1.5, 0], [math.nan, 0, 0]], dtype="float32"))
    back = stored(matrix)
    assert (type(back), back.dtype, back.shape) == (type(matrix), matrix.dtype, matrix.shape)
    assert differences(matrix, back, **EXACT) == []
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())


def test_arrow_tables_come_back() -> None:
    """Types, gaps and nanoseconds come back."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int16()),
            "f": pa.array([0.1, math.nan], pa.float32()),
            "s": ["a", None],
            "b": [b"x", None],
            "t": pa.array([1, None], pa.timestamp("ns")),
            "d": pa.array([NOON.date(), None]),
            "l": [[1.5, None], None],
        }
    )
    assert stored(table).equals(table) or str(stored(table)) == str(table)  # NaN is not equal to itself
    assert stored(table).schema == table.schema
    assert differences(table, stored(table), **EXACT) == []
    batch = table.select(["i", "s"]).to_batches()[0]
    assert stored(batch).equals(batch)
    with pytest.raises(InvalidExample, match="decimal128"):
        encode_value(pa.table({"x": [Decimal(1)]}))


def test_polars_frames_come_back() -> None:
    """Types, gaps and units come back."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None], dtype=pl.UInt8),
            "f": pl.Series([0.1, math.nan], dtype=pl.Float32),
            "s": ["a", None],
            "b": [b"x", None],
            "t": pl.Series([1, None], dtype=pl.Int64).cast(pl.Datetime("ns")),
            "d": [NOON.date(), None],
            "l": [[1.5, None], None],
        }
    )
    assert stored(frame).equals(frame)
    assert stored(frame).schema == frame.schema
    assert stored(frame["i"]).equals(frame["i"])
    assert differences(frame, stored(frame), **EXACT) == []
    with pytest.raises(InvalidExample, match="Duration"):
        encode_value(pl.DataFrame({"x": [dt.timedelta(1)]}))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param(object(), "builtins.object", id="object"),
        ({1, 2}, "builtins.set"),
        (iter([]), "list_iterator"),
        ([{"a": lambda: None}], "function"),
        (np.zeros(1, dtype=[("a", "i4")]), "dtype"),
        (pd.DataFrame({"a": pd.period_range("2024", periods=2)}), "period"),
        (pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), "multi-level"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([(1, 2)])), "multi-level"),
    ],
)
def test_what_has_no_plain_form_is_refused_by_name(value: object, name: str) -> None:
    """Nothing is stored as something else; the error names the type."""
    with pytest.raises(InvalidExample, match=name):
        encode_value(value)


def test_cyclic_values_are_refused() -> None:
    """A value that holds itself ends in an error, not in a crash."""
    cyclic: list[object] = []
    cyclic.append(cyclic)
    with pytest.raises(InvalidExample, match="nested deeper"):
        encode_value(cyclic)


def test_frames_need_pandas_and_say_so() -> None:
    """Without pandas, reading a stored frame names what to install; plain data needs nothing."""
    document = json.dumps(encode_value(pd.DataFrame({"a": [1]})))
    script = (
        "import json, sys; sys.modules['pandas'] = None\n"
        "from palate._stored.values import decode_value\n"
        "from palate.errors import DependencyMissing\n"
        "assert decode_value([1, {'kind': 'dict', 'items': []}]) == [1, {}] and 'numpy' not in sys.modules\n"
        "try: decode_value(json.loads(sys.argv[1]))\n"
        "except DependencyMissing as exc: print(exc)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, document], capture_output=True, text=True, check=True)
    assert "pip install palate[pandas]" in ran.stdout


# -- hostile documents -------------------------------------------------------------------------------------------------

ARRAY = {"kind": "array", "dtype": "<f8", "shape": [2], "data": [1.0, 2.0]}
SERIES = {"kind": "series", "name": None, "index": {"kind": "range", "start": 0, "stop": 2, "step": 1}, "data": ARRAY}
SPARSE = encode_value(pytest.importorskip("scipy.sparse").csr_matrix(np.eye(2)))
TIMES = {**ARRAY, "dtype": "<M8[ns]", "data": [1, 2]}
CATEGORIES = {**ARRAY, "dtype": "|O", "data": ["a", "b"]}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "unknown"},
        {"kind": ["array"]},
        {"kind": "__class__"},
        {"kind": "dict", "items": [[1]]},
        {"kind": "dict", "items": [[[], 1]]},
        {"kind": "dict", "items": "ab"},
        {"kind": "tuple"},
        {"kind": "bytes", "value": "%"},
        {"kind": "datetime", "value": "now"},
        {"kind": "timestamp", "value": "now"},
        {"kind": "timestamp", "value": "today"},
        {"kind": "timedelta", "value": "9" * 30},
        {"kind": "decimal", "value": "x"},
        {"kind": "complex", "value": ""},
        {"kind": "float", "value": "1.5x"},
        {"kind": "missing", "value": "__name__"},
        {**ARRAY, "shape": [3]},
        {**ARRAY, "shape": [-2]},
        {**ARRAY, "shape": [2.0]},
        {**ARRAY, "shape": [True, 2]},
        {**ARRAY, "shape": [2**70], "data": []},
        {**ARRAY, "shape": [0, 2**62, 2**62], "data": []},
        {**ARRAY, "shape": [1] * 64},
        {**ARRAY, "shape": None},
        {**ARRAY, "data": ["1.0", 2.0]},
        {**ARRAY, "data": [None, 2.0]},
        {**ARRAY, "data": [[1.0], [2.0]]},
        {**ARRAY, "dtype": "object_"},
        {**ARRAY, "dtype": "<f8,<f8"},
        {**ARRAY, "dtype": "V8"},
        {**ARRAY, "dtype": "<U9999999", "data": ["a", "b"], "shape": [2], "x": 0}
        | {"shape": [100], "data": ["a"] * 100},
        {**ARRAY, "dtype": "<U1", "data": ["ab", "c"]},
        {**ARRAY, "dtype": "|i1", "data": [300, 1]},
        {**ARRAY, "dtype": "<i8", "data": [1.0, 2]},
        {**ARRAY, "dtype": "<i8", "data": [True, 2]},
        {**ARRAY, "dtype": "<i8", "data": [2**80, 2]},
        {**ARRAY, "dtype": "|b1", "data": [1, 0]},
        {**ARRAY, "dtype": "<c16"},
        {**ARRAY, "dtype": "|O", "data": [{"kind": "x"}, 1]},
        {"kind": "scalar", "dtype": "|O", "data": [1]},
        {"kind": "scalar", "dtype": "<f8", "data": []},
        {**SERIES, "index": {"kind": "range", "start": 0, "stop": 3, "step": 1}},
        {**SERIES, "index": {"kind": "range", "start": 0, "stop": 2, "step": 0}},
        {**SERIES, "index": {"kind": "range", "start": 0, "stop": 2**80, "step": 1}},
        {**SERIES, "index": {"kind": "range"}},
        {**SERIES, "index": {"kind": "index", "values": 5}},
        {**SERIES, "index": 5},
        {**SERIES, "name": []},
        {**SERIES, "data": {**ARRAY, "shape": [2, 1]}},
        {**SERIES, "data": {"kind": "text", "missing": "NaN", "data": [1, 2]}},
        {**SERIES, "data": {"kind": "text", "missing": "?", "data": ["a", "b"]}},
        {**SERIES, "data": {"kind": "masked", "dtype": "Int64", "data": ARRAY, "missing": ARRAY}},
        {**SERIES, "data": {"kind": "zoned", "zone": "../../etc/passwd", "data": TIMES}},
        {**SERIES, "data": {"kind": "zoned", "zone": "dateutil//etc/passwd", "data": TIMES}},
        {
            **SERIES,
            "data": {"kind": "zoned", "zone": "No/Where", "data": {**ARRAY, "dtype": "<M8[ns]", "data": [1, 2]}},
        },
        {**SERIES, "data": {"kind": "categorical", "ordered": False, "categories": CATEGORIES, "codes": ARRAY}},
        {
            **SERIES,
            "data": {
                "kind": "categorical",
                "ordered": False,
                "categories": CATEGORIES,
                "codes": {**ARRAY, "dtype": "|i1", "data": [0, 9]},
            },
        },
        {"kind": "dataframe"},
        {"kind": "dataframe", "index": SERIES["index"], "columns": SERIES["index"], "data": []},
        {**SPARSE, "shape": [1, 1]},
        {**SPARSE, "shape": [2**62, 2]},
        {**SPARSE, "shape": [-1, 2]},
        {**SPARSE, "format": "dok"},
        {**SPARSE, "container": "__class__"},
        {**SPARSE, "indices": {**ARRAY, "dtype": "<i4", "data": [0, 9]}},
        {**SPARSE, "indices": {**ARRAY, "dtype": "<i4", "data": [-1, 0]}},
        {**SPARSE, "indptr": {**ARRAY, "dtype": "<i4", "shape": [3], "data": [0, 5, 2]}},
        {"kind": "arrow", "container": "Table", "columns": [{"name": "a", "type": "int64", "data": ["x"]}]},
        {"kind": "arrow", "container": "Table", "columns": [{"name": "a", "type": "extension", "data": []}]},
        {"kind": "arrow", "container": "x", "columns": []},
        {"kind": "arrow", "container": "Table", "columns": [5]},
        b"bytes",
    ],
    ids=str,
)
def test_malformed_documents_are_refused(document: Any) -> None:
    """A document that does not fit together is an InvalidExample, whatever is wrong with it."""
    with pytest.raises(InvalidExample):
        decode_value(document)


def test_deep_documents_are_refused() -> None:
    """Nesting ends at a limit, before Python's stack does."""
    document: Any = 1
    for _ in range(100_000):
        document = [document]
    with pytest.raises(InvalidExample, match="nested deeper"):
        decode_value(document)


def nodes(document: Any) -> list[Any]:
    """Return every dict and list inside a document."""
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return ([document] if isinstance(document, dict | list) and document else []) + [n for i in inner for n in nodes(i)]


SOUND = [encode_value(frames()[0]), encode_value(frames()[2]), SPARSE, SERIES]


@given(st.integers(0, 2**32))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_damaged_documents_never_crash(seed: int) -> None:
    """A document with parts dropped or replaced is read or refused; no other error comes out."""
    chance = random.Random(seed)
    document = copy.deepcopy(chance.choice(SOUND))
    for _ in range(chance.randint(1, 3)):
        node = chance.choice(nodes(document))
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        junk = [None, True, -1, 2**40, 1.5, "x", "<f8", [], [1, 2], {}, {"kind": "array"}, ARRAY]
        if isinstance(node, dict) and chance.random() < 0.3:
            del node[key]
        else:
            node[key] = copy.deepcopy(chance.choice(junk))
        if not document:
            break
    with contextlib.suppress(InvalidExample):
        decode_value(document)


# -- differences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "given", "sentence"),
    [
        (1.0, 1.5, "the prediction was 1.0, is 1.5"),
        (1, 1.0, "was an integer, is a number"),
        (True, 1, "was a boolean, is an integer"),
        ("a", "b", "was 'a', is 'b'"),
        (None, math.nan, "was None, is a number"),
        ([1.0], np.array([1.0]), "was a list, is an ndarray"),
        ((1,), [1], "was a tuple, is a list"),
        ([1, 2], [1], "had 2 items, has 1"),
        ([1.0, 2.0], [1.0, 3.0], "differs in 1 of 2 values, first at [1] (was 2.0, is 3.0)"),
        (["a", "b"], ["a", "c"], "the prediction[1] was 'b', is 'c'"),
        ({"a": [1]}, {"a": [2]}, "the prediction['a'][0] was 1, is 2"),
        ({"a": 1}, {}, "lacks key 'a'"),
        ({}, {"a": 1}, "has a new key 'a'"),
        (np.eye(2), np.eye(3), "had the shape (2, 2), has (3, 3)"),
        (np.eye(2), np.eye(2, dtype=int), "held numbers, holds integers"),
        (np.eye(2), np.eye(2) * 2, "differs in 2 of 4 values, first at [0, 0] (was 1.0, is 2.0)"),
        (np.array(["a"]), np.array(["b"]), "differs in 1 of 1 values"),
        (np.array([1, [2]], dtype=object), np.array([1, [3]], dtype=object), "the prediction[1][0] was 2, is 3"),
        (np.array(["2024"], dtype="M8[D]"), np.array(["NaT"], dtype="M8[D]"), "differs in 1"),
        (math.nan, 1.0, "was nan, is 1.0"),
        (math.inf, -math.inf, "was inf, is -inf"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), "lacks column 'a'"),
        (pd.DataFrame({"a": [1], "b": [1]}), pd.DataFrame({"b": [1], "a": [1]}), "columns in another order"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1, 2]}), "had 1 rows, has 2"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}, index=[5]), "another row index"),
        (pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.0, None]}), "missing values in other rows"),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1]}), "column 'a', held numbers, holds integers"),
        (
            pd.DataFrame({"a": ["x"]}),
            pd.DataFrame({"a": ["x"]}, dtype="category"),
            "held plain values, holds categories",
        ),
        (pd.Series([1], name="a"), pd.Series([1], name="b"), "was named 'a', is named 'b'"),
        (pd.Series([1]), pd.DataFrame({0: [1]}), "was a Series, is a DataFrame"),
        pytest.param(object(), object(), "was <object", id="objects"),
    ],
    ids=str,
)
def test_a_difference_is_a_sentence(expected: object, given: object, sentence: str) -> None:
    """Each kind of difference is told in words that name the place."""
    found = differences(expected, given, rtol=1e-7, atol=0.0)
    assert len(found) >= 1
    assert sentence in found[0]


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (1.0, 1.0 + 1e-9),
        (np.float32(1), 1.0),
        (np.int64(1), 1),
        (math.nan, math.nan),
        ([math.nan, math.inf], [math.nan, math.inf]),
        (np.float32([1]), np.float64([1])),
        (np.array([1], dtype="i2"), np.array([1], dtype="u8")),
        (np.array(["a"]), np.array(["a"], dtype=object)),
        (np.array(["NaT", "2024"], dtype="M8[s]"), np.array(["NaT", "2024"], dtype="M8[ns]")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": pd.array(["x", None], dtype="string")})),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": pd.array([1, 2], dtype="Int64")})),
        (pd.Series([1.0, None]), pd.Series([1.0 + 1e-9, None], dtype="Float64")),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (pd.NA, pd.NA),
    ],
    ids=str,
)
def test_what_differs_only_in_class_or_noise_is_equal(expected: object, given: object) -> None:
    """Widths, pandas' ways to hold a column, the order of keys and noise below the tolerance do not count."""
    assert differences(expected, given, rtol=1e-7, atol=0.0) == []


def test_sparse_differences() -> None:
    """Sparse matrices are compared by value, whatever their format."""
    sparse = pytest.importorskip("scipy.sparse")
    eye = sparse.csr_matrix(np.eye(3))
    assert differences(eye, sparse.coo_array(np.eye(3)), **EXACT) == []
    assert "differs in 3 of 3" in differences(eye, eye * 2, **EXACT)[0]
    assert "other places" in differences(eye, sparse.csr_matrix(np.eye(3)[::-1]), **EXACT)[0]
    assert "had the shape" in differences(eye, sparse.csr_matrix(np.eye(2)), **EXACT)[0]


def test_differences_stay_short() -> None:
    """However much differs, there are at most five short sentences."""
    frame = pd.DataFrame(np.zeros((1000, 50)))
    found = differences(frame, frame + 1, **EXACT)
    assert len(found) == 5
    assert all(len(sentence) < 200 for sentence in found)
    found = differences({f"key {i}": 0 for i in range(1000)}, {}, **EXACT)
    assert "and 995 more" in found[0]
    assert len(differences("x" * 10_000, "y" * 10_000, **EXACT)[0]) < 200


def test_the_tolerance_is_relative_and_absolute() -> None:
    """A float may be off by atol + rtol * abs(expected), and not by more."""
    assert differences(100.0, 100.9, rtol=0.01, atol=0.0) == []
    assert differences(100.0, 101.1, rtol=0.01, atol=0.0) != []
    assert differences(0.0, 0.05, rtol=0.01, atol=0.1) == []
    assert differences(np.array([math.inf]), np.array([1.0]), rtol=0.01, atol=1.0) != []
    assert differences(np.array([1.0]), np.array([math.nan]), rtol=0.01, atol=1.0) != []


def test_tables_are_compared_by_column() -> None:
    """Arrow tables differ by column names, types without their width, and values."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": pa.array([1.5], pa.float32())})
    assert differences(table, pa.table({"a": [1.5]}), **EXACT) == []
    assert "differs" in differences(table, pa.table({"a": [2.5]}), **EXACT)[0]
    assert "held float, holds int" in differences(table, pa.table({"a": [1]}), **EXACT)[0]
    assert "lacks column 'a'" in differences(table, pa.table({"b": [1]}), **EXACT)[0]


@pytest.mark.parametrize(
    ("value", "rtol"),
    [
        (np.zeros(1), 1e-7),
        (np.zeros(1, "float32"), 1e-4),
        (np.zeros(1, "float16"), 1e-2),
        (np.zeros(1, "complex64"), 1e-4),
        (np.zeros(1, "longdouble"), 1e-7),
        (np.zeros(1, "int8"), 1e-7),
        (1.5, 1e-7),
        ({"a": [1.5, (np.float32(1),)]}, 1e-4),
        (pd.DataFrame({"a": np.zeros(1, "float32"), "b": [1.0]}), 1e-4),
        (pd.Series([1], dtype="Float32"), 1e-4),
        (np.array([np.float16(1), "x"], dtype=object), 1e-2),
        ("text", 1e-7),
        ([], 1e-7),
    ],
    ids=str,
)
def test_the_least_exact_float_sets_the_tolerance(value: object, rtol: float) -> None:
    """float16 anywhere inside allows for more noise than float32, and that for more than float64."""
    found, atol = tolerance_of(value)
    assert found == rtol
    assert 0 < atol < found


def test_the_tolerance_of_tables() -> None:
    """Arrow's float is the one of 32 bits."""
    pa = pytest.importorskip("pyarrow")
    assert tolerance_of(pa.table({"a": pa.array([1.0], pa.float32()), "b": [1.0]}))[0] == 1e-4
    assert tolerance_of(pa.table({"a": [1.0]}))[0] == 1e-7
    pl = pytest.importorskip("polars")
    assert tolerance_of(pl.DataFrame({"a": pl.Series([1.0], dtype=pl.Float32)}))[0] == 1e-4
    assert tolerance_of(pl.Series([1.0]))[0] == 1e-7
