"""What a snapshot holds, and the tolerance it calls for."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from palate._stored.differences import differences
from palate._stored.snapshots import snapshot, tolerance_of
from palate.errors import InvalidExample

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

NOON = dt.datetime.fromisoformat("2024-01-02T12:00:00.000001")


def assert_stored(value: object) -> None:
    """Assert that a snapshot survives a JSON text without NaN tokens, and equals that of a second look."""
    document = snapshot(value)
    stored = json.loads(json.dumps(document, allow_nan=False, sort_keys=True))
    assert stored == document
    assert differences(stored, snapshot(value), rtol=0.0, atol=0.0) == []


@pytest.mark.parametrize(
    ("value", "document"),
    [
        *((value, value) for value in (None, True, 0, 10**30, 0.1, "text", "\ud800", [], [1, [2.5, None]])),
        *((np.int8(-1), -1), (np.uint64(2**64 - 1), 2**64 - 1), (np.bool_(True), True), (np.str_("x"), "x")),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), {"kind": "scalar", "holds": "numbers", "bytes": 4, "data": [0.5]}),
        (math.nan, {"kind": "scalar", "holds": "numbers", "bytes": 8, "data": ["nan"]}),
        (1 - 2j, {"kind": "scalar", "holds": "complex numbers", "bytes": 8, "data": [[1.0, -2.0]]}),
        (b"\x00\xff", {"kind": "bytes", "value": "AP8="}),
        (NOON, {"kind": "datetime", "value": "2024-01-02T12:00:00.000001"}),
        (pd.Timestamp(1, tz="UTC"), {"kind": "datetime", "value": "1970-01-01T00:00:00.000000001+00:00"}),
        (NOON.date(), {"kind": "date", "value": "2024-01-02"}),
        (Decimal("1.10"), {"kind": "Decimal", "value": "1.10"}),
        (pd.NA, {"kind": "NA", "value": None}),
        ((1, "a"), {"kind": "tuple", "items": [1, "a"]}),
        ({1: "x"}, {"kind": "dict", "items": [[1, "x"]]}),
        (np.float32([[1, np.inf]]), {"kind": "array", "shape": [1, 2], "holds": "numbers", "bytes": 4}
         | {"data": [1.0, "inf"]}),
        (np.array(["2024", "NaT"], "M8[D]"), {"kind": "array", "shape": [2], "holds": "datetimes"}
         | {"data": ["2024-01-01T00:00:00.000000000", None]}),
    ],
    ids=str,
)  # fmt: skip
def test_a_snapshot_is_plain_json(value: object, document: object) -> None:
    """Plain values stand for themselves; everything else says its kind."""
    assert snapshot(value) == document
    assert_stored(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, math.nan, -0.0, 5e-324]),
        np.array([0.1, 65504, 6e-8], dtype="float16"),
        np.array([0.1, math.nan, np.finfo(np.longdouble).max], dtype=np.longdouble),
        np.array([1 + 2j, complex(math.nan, -0.0)], dtype="complex64"),
        np.array([1, -2], dtype=">i4"),
        np.array(["ü", "\ud800", ""]),
        np.array([b"a\x00b", b"\xff"]),
        np.array(["9999-01-01"], dtype=">M8[D]"),
        np.array([1, "NaT"], dtype="timedelta64[Y]"),
        np.array([1, "a", None, {"x": math.nan}, [1]], dtype=object),
        np.zeros((2, 0, 2), dtype="int8"),
        np.array(1.5),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_have_snapshots(array: Any) -> None:
    """Every dtype, byte order, memory layout and shape."""
    assert_stored(array)


@given(npst.arrays(dtype=npst.scalar_dtypes(), shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_array_has_a_snapshot(array: Any) -> None:
    """Arrays of any scalar dtype and shape do."""
    assert_stored(array)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=15,
)


@given(PLAIN)
def test_any_plain_data_has_a_snapshot(value: object) -> None:
    """Nested plain data does."""
    assert_stored(value)


def frame() -> Any:
    """Return a frame with a column of every dtype."""
    return pd.DataFrame(
        {
            "i": [1, 2],
            "f": np.array([0.1, math.nan], dtype="float32"),
            "x": [1j, None],
            "s": ["x", None],
            "o": pd.Series([[1], {"a": math.nan}], dtype=object),
            "c": pd.Categorical(["u", None], categories=["v", "u"], ordered=True),
            "n": pd.Categorical([3, 1]),
            "d": pd.to_datetime(["2024-01-01", None]),
            "t": pd.to_timedelta([1, None], unit="s"),
            "z": pd.to_datetime(["2024-01-01", "2024-07-01"], utc=True).tz_convert("Europe/Paris"),
            "U": pd.array([2**64 - 1, None], dtype="UInt64"),
            "B": pd.array([True, None], dtype="boolean"),
            "F": pd.array([0.5, None], dtype="Float32"),
            "S": pd.array(["a", None], dtype="string"),
            ("a", 1): pd.arrays.SparseArray([0, 1]),
        }
    )


@pytest.mark.parametrize(
    "data",
    [
        frame(),
        frame().set_axis(["r", "q"]),
        frame().set_index("d"),
        frame().set_axis(pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])),
        pd.DataFrame([[1, "a"]], columns=["same", "same"]),
        pd.DataFrame(np.eye(2), columns=[5, "x"]),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame({"a": []}),
        pd.DataFrame(),
        pd.Series(["a", "b"], index=[3, 4], name=0),
        frame()["z"],
    ],
    ids=range(11),
)
def test_frames_and_series_have_snapshots(data: Any) -> None:
    """Every dtype, with gaps, labels and index."""
    assert_stored(data)


def test_tables_have_snapshots() -> None:
    """Columns of Arrow and polars with gaps, lists and nanoseconds."""
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int16()),
            "f": pa.array([math.nan, None], pa.float32()),
            "t": pa.array([NOON, None], pa.timestamp("us")),
            "l": [[1.5, None], None],
        }
    )
    for data in (table, table.to_batches()[0], pl.from_arrow(table), pl.from_arrow(table)["f"]):
        assert_stored(data)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param(object(), "builtins.object", id="object"),
        ({1, 2}, "builtins.set"),
        (iter([]), "list_iterator"),
        ([{"a": lambda: None}], "function"),
        (np.zeros(1, dtype=[("a", "i4")]), "dtype"),
        (pd.DataFrame({"a": pd.period_range("2024", periods=2)}), "Period"),
    ],
)
def test_what_has_no_plain_form_is_refused_by_name(value: object, name: str) -> None:
    """Nothing is stored as something else; the error names the type."""
    with pytest.raises(InvalidExample, match=name):
        snapshot(value)


def test_cyclic_values_are_refused() -> None:
    """A value that holds itself ends in an error, not in a crash."""
    cyclic: list[object] = []
    cyclic.append(cyclic)
    with pytest.raises(InvalidExample, match="nested deeper"):
        snapshot(cyclic)


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
    found, atol = tolerance_of(snapshot(value))
    assert found == rtol
    assert 0 < atol < found


def test_the_tolerance_of_tables() -> None:
    """Arrow's float is the one of 32 bits, in lists too."""
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")

    def rtol(data: object) -> float:
        return tolerance_of(snapshot(data))[0]

    assert rtol(pa.table({"a": pa.array([1.0], pa.float32()), "b": [1.0]})) == 1e-4
    assert rtol(pa.table({"a": pa.array([[1.0]], pa.list_(pa.float32()))})) == 1e-4
    assert rtol(pa.table({"a": [1.0]})) == 1e-7
    assert rtol(pl.DataFrame({"a": pl.Series([1.0], dtype=pl.Float32)})) == 1e-4
    assert rtol(pl.Series([1.0])) == 1e-7
