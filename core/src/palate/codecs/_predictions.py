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


def plain(value: Any) -> Any:
    """Return predictions as JSON data: frames as records, arrays as nested lists, NaN and infinities as null."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [plain(row) for row in value.to_dict(orient="records")]
    if hasattr(value, "toarray"):
        return plain(value.toarray())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def encode_predictions(predictions: Any, format: DataFormat) -> bytes:
    """Return predictions as a file of *format*.

    Raises:
        InvalidOption: predictions that are no table, for csv and parquet.
        DependencyMissing: parquet without pyarrow.
    """
    rows = plain(predictions)
    match format:
        case "json":
            return (json.dumps({"predictions": rows}, ensure_ascii=False) + "\n").encode()
        case "jsonl":
            listed = rows if isinstance(rows, list) else [rows]
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in listed).encode()
        case "csv":
            return _csv(_table(rows)).encode()
        case "parquet":
            return _parquet(_table(rows))
        case "arrow":
            return _arrow(_table(rows))
        case "npy":
            return _npy(predictions)


def _table(rows: Any) -> list[dict[str, Any]]:
    """Rows with named cells: a plain value is called "prediction", a list's items "prediction_0", "prediction_1", …"""
    listed = _transposed(rows) if isinstance(rows, dict) else rows if isinstance(rows, list) else [rows]
    return [_named(row) for row in listed]


def _named(row: Any) -> dict[str, Any]:
    cells = row if isinstance(row, dict) else None
    if cells is None and isinstance(row, list):
        cells = {f"prediction_{index}": cell for index, cell in enumerate(row)}
    if cells is None:
        cells = {"prediction": row}
    if any(isinstance(cell, list | dict) for cell in cells.values()):
        raise InvalidOption("format", reason="these predictions are nested, so they are no table", hint="use json")
    return cells


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
    pyarrow = require_pyarrow("writing parquet")
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in table]), out)
    return out.getvalue()


def _arrow(table: Sequence[Mapping[str, Any]]) -> bytes:
    pyarrow = require_pyarrow("writing Arrow")
    rows = pyarrow.Table.from_pylist([dict(row) for row in table])
    out = io.BytesIO()
    with pyarrow.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return out.getvalue()


def _npy(predictions: Any) -> bytes:
    import numpy as np

    array = np.asarray(predictions)
    if array.dtype == object:
        raise InvalidOption("format", reason="these predictions are no array of numbers or texts", hint="use json")
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()
