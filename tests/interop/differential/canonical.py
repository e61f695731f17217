"""Any input or answer as plain JSON data that says what it is, exactly.

Two values are equal by ``==`` when their forms are equal: ``1`` and ``1.0`` have one form, ``True`` has another; all
missing values have one.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["plain"]

MISSING = ["missing"]
NANOSECONDS = {"W": 604_800 * 10**9, "D": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9}
NANOSECONDS |= {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def plain(value: Any) -> list[Any]:
    """Return *value* as ``[what it is, …]``.

    ``["frame", labels, index, dtypes, columns]``, ``["series", index, dtype, items]``,
    ``["array", dtype, shape, items]``, ``["sparse", class, dtype, shape, items]``, ``["list" or "tuple", items]``,
    ``["dict", [[key, value], …]]``, and leaves: ``["missing"]``, ``["truth", bool]``, ``["number", exact fraction]``,
    ``["text", …]``, ``["bytes", …]``, ``["instant", nanoseconds, has a zone]``, ``["span", nanoseconds]``,
    ``["other", class, repr]``.
    """
    if isinstance(value, pd.DataFrame):
        columns = [_cells(column) for _, column in value.items()]
        return ["frame", _labels(value.columns), _labels(value.index), [str(dtype) for dtype in value.dtypes], columns]
    if isinstance(value, pd.Series):
        return ["series", _labels(value.index), str(value.dtype), _cells(value)]
    if isinstance(value, np.ndarray):
        return _array(value)
    if sp.issparse(value):
        items = [plain(item) for item in value.toarray().ravel().tolist()]
        return ["sparse", type(value).__name__, _dtype(value.dtype), list(value.shape), items]
    if isinstance(value, list | tuple):
        return ["list" if isinstance(value, list) else "tuple", [plain(item) for item in value]]
    if isinstance(value, dict):
        return ["dict", [[plain(key), plain(member)] for key, member in value.items()]]
    return _leaf(value)


def _cells(column: pd.Series) -> list[Any]:
    # tolist() makes integers of categories that are times of Arrow's.
    plainly = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    return [plain(cell) for cell in plainly.tolist()]


def _labels(index: pd.Index) -> list[Any]:
    return [plain(label) for label in index.tolist()]


def _dtype(dtype: np.dtype[Any]) -> str:
    # The width of text is that of its longest item.
    return {"U": "str", "S": "bytes"}.get(dtype.kind, str(dtype))


def _array(array: np.ndarray[Any, Any]) -> list[Any]:
    flat = array.ravel() if isinstance(array, np.ma.MaskedArray) else np.asarray(array).ravel()
    # datetime64[ns].tolist() gives integers, and so do other times finer than microseconds.
    items = list(flat) if array.dtype.kind in "mM" else flat.tolist()
    return ["array", _dtype(array.dtype), list(array.shape), [plain(item) for item in items]]


def _leaf(value: Any) -> list[Any]:
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return ["truth", bool(value)]
    if isinstance(value, str):
        return ["text", str(value)]
    if isinstance(value, bytes | bytearray):
        return ["bytes", bytes(value).decode("latin-1")]
    if isinstance(value, np.datetime64 | np.timedelta64):
        return _numpy_time(value)
    if isinstance(value, pd.Timedelta):
        return _numpy_time(value.to_timedelta64())
    if isinstance(value, dt.timedelta):
        return ["span", (value // dt.timedelta(microseconds=1)) * 1_000]
    if isinstance(value, dt.date):
        return _moment(value)
    return _number(value)


def _numpy_time(value: Any) -> list[Any]:
    if np.isnat(value):
        return MISSING
    unit, step = np.datetime_data(value.dtype)
    if unit in ("Y", "M"):
        value, unit, step = value.astype("M8[D]"), "D", 1
    if unit not in NANOSECONDS:
        return ["other", type(value).__name__, str(value)]
    count = int(value.astype(np.int64)) * step * NANOSECONDS[unit]
    return ["instant", count, False] if isinstance(value, np.datetime64) else ["span", count]


def _moment(value: Any) -> list[Any]:
    if isinstance(value, pd.Timestamp):
        return [*_numpy_time(value.to_datetime64())[:2], value.tzinfo is not None]
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no zone
    aware = value.tzinfo is not None
    since = value - (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) if aware else dt.datetime(1970, 1, 1))  # noqa: DTZ001
    return ["instant", (since // dt.timedelta(microseconds=1)) * 1_000, aware]


def _number(value: Any) -> list[Any]:
    if isinstance(value, int | np.integer):
        return ["number", str(int(value))]
    if isinstance(value, float | np.floating | Decimal):
        if value != value:
            return MISSING
        if value in (float("inf"), float("-inf")):
            return ["number", "inf" if value > 0 else "-inf"]
        return ["number", str(Fraction(*value.as_integer_ratio()))]
    if isinstance(value, complex | np.complexfloating):
        if value.imag == 0:
            return _number(value.real)
        return ["number", f"{plain(value.real)} {plain(value.imag)}"]
    return ["other", type(value).__name__, repr(value)]
