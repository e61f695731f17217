"""Writing predictions: csv, json, jsonl, parquet, Arrow and npy."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from palate.codecs._binary_tables import require_pyarrow
from palate.codecs._inputs import DataFormat
from palate.errors import InvalidOption

__all__ = ["encode_predictions", "plain"]

# What pandas has for a missing value, by the names of their classes.
_MISSING = ("NAType", "NaTType")
# Units of moments finer than Python's.
_FINER = ("ns", "ps", "fs", "as")


def plain(value: Any) -> Any:
    """Return predictions as JSON data: frames as records, arrays as nested lists, NaN and infinities as null.

    Raises:
        InvalidOption: two columns have the same name, of which one would be lost.
    """
    if value is None or type(value).__name__ in _MISSING:
        return None
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    unpacked = _unpack(value)
    if type(unpacked) is not type(value):
        return plain(unpacked)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _unpack(value: Any) -> Any:
    """Return what a container holds as lists, records and Python's own values; the value itself if it is none."""
    if hasattr(value, "to_dict") and hasattr(value, "iloc"):  # pandas; a Series has tolist too
        return _records(value) if hasattr(value, "columns") else value.tolist()
    for unpack in ("to_dicts", "to_pylist", "to_list", "toarray"):  # polars, Arrow, a polars Series, scipy
        if hasattr(value, unpack):
            return getattr(value, unpack)()
    if hasattr(value, "dtype") and hasattr(value, "astype"):
        return _unpack_array(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.numpy() if hasattr(value, "numpy") else value


def _records(frame: Any) -> Any:
    if not frame.columns.is_unique:
        raise InvalidOption("format", reason="two columns of these predictions have the same name", hint="rename one")
    return frame.to_dict(orient="records")


def _unpack_array(array: Any) -> Any:
    """Return a numpy array, or a scalar of numpy's, as Python's values."""
    import numpy as np

    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] in _FINER:  # of which tolist makes whole numbers
        rounded: Any = array.astype("datetime64[us]")
        if not bool(((rounded == array) | np.isnat(array)).all()):
            texts = np.asarray(np.datetime_as_string(array)).astype(object)
            texts[np.isnat(array)] = None
            return texts.tolist()
        return rounded.tolist()
    # Of longer floats than Python has, tolist makes floats of the same length.
    return (array.astype(float) if array.dtype.char == "g" else array).tolist()


def encode_predictions(predictions: Any, format: DataFormat) -> bytes:
    """Return predictions as a file of *format*.

    Raises:
        InvalidOption: predictions that are no table, for csv, parquet and Arrow; or no array, for npy.
        DependencyMissing: parquet or Arrow without pyarrow.
    """
    if format == "npy":
        return _npy(predictions)
    rows = plain(predictions)
    match format:
        case "json":
            return (json.dumps({"predictions": rows}, ensure_ascii=False) + "\n").encode()
        case "jsonl":
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _named_rows(rows)).encode()
        case "csv":
            return _csv(_table(rows)).encode()
        case "parquet":
            return _parquet(_table(rows))
        case "arrow":
            return _arrow(_table(rows))


def _table(rows: Any) -> list[dict[str, Any]]:
    """Rows with named cells, none of which holds others."""
    named = _named_rows(rows)
    if any(isinstance(cell, list | dict) for cells in named for cell in cells.values()):
        raise InvalidOption("format", reason="these predictions are nested, so they are no table", hint="use json")
    return named


def _named_rows(rows: Any) -> list[dict[str, Any]]:
    """Name the cells: a plain value is called "prediction", a list's items "prediction_0", "prediction_1", …"""
    listed = _transposed(rows) if isinstance(rows, dict) else rows if isinstance(rows, list) else [rows]
    return [_named(row) for row in listed]


def _named(row: Any) -> dict[str, Any]:
    if isinstance(row, dict):
        return row
    if isinstance(row, list):
        return {f"prediction_{index}": cell for index, cell in enumerate(row)}
    return {"prediction": row}


def _transposed(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    lengths = {len(column) if isinstance(column, list) else None for column in columns.values()}
    if len(lengths) != 1 or None in lengths:
        return [dict(columns)]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _csv(table: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in table for name in row)) or ["prediction"]
    writer = csv.DictWriter(out, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue()


def _parquet(table: Sequence[Mapping[str, Any]]) -> bytes:
    rows = _arrow_table(table, "writing parquet")
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(rows, out)
    return out.getvalue()


def _arrow(table: Sequence[Mapping[str, Any]]) -> bytes:
    rows = _arrow_table(table, "writing Arrow")
    import pyarrow

    out = io.BytesIO()
    with pyarrow.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return out.getvalue()


def _arrow_table(table: Sequence[Mapping[str, Any]], needed_for: str) -> Any:
    pyarrow = require_pyarrow(needed_for)
    names = list(dict.fromkeys(name for row in table for name in row))
    try:
        return pyarrow.table({name: [row.get(name) for row in table] for name in names})
    except (pyarrow.ArrowException, OverflowError) as exc:
        reason = "a column of these predictions holds values that have no type in common"
        raise InvalidOption("format", reason=reason, hint="use json") from exc


def _npy(predictions: Any) -> bytes:
    import numpy as np

    try:
        array = np.asarray(predictions)
    except (ValueError, TypeError, RuntimeError) as exc:  # rows of unequal length, a tensor that is part of a graph
        raise _no_array() from exc
    if array.dtype == object:
        raise _no_array()
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def _no_array() -> InvalidOption:
    return InvalidOption("format", reason="these predictions are no array of numbers or texts", hint="use json")
