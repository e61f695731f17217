"""JSON documents as data for a model: bare values, records, tables, and the request bodies of MLflow's server."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from palate.codecs._decimals import FLOATS, read_decimals, refuse_body
from palate.errors import InvalidInput, Problem
from palate.schema import Schema

__all__ = ["JSON_WRAPPERS", "ModelInput", "parse_text", "read_document", "read_rows"]

JSON_WRAPPERS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The keys of MLflow's request bodies, of which one holds the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What a file or a body holds: the data, and the params that a JSON request body may carry."""

    data: Any
    params: Mapping[str, Any] | None = None


def parse_text(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise refuse_body(f"{place} is not JSON ({exc.msg} at line {exc.lineno}, column {exc.colno})", exc) from exc
    except (ValueError, RecursionError) as exc:
        raise refuse_body(f"{place} is not JSON", exc) from exc


def read_document(document: Any, schema: Schema | None) -> ModelInput:
    """A bare value is the data; MLflow's request bodies (one of JSON_WRAPPERS, and params) are understood too."""
    if not isinstance(document, dict):
        return ModelInput(data=read_rows(document, schema))
    wrappers = [key for key in JSON_WRAPPERS if key in document]
    if len(wrappers) > 1:
        raise refuse_body(f"it has {' and '.join(wrappers)}: give one of them")
    if not wrappers:
        data = _records(document) if set(document) in ({"columns", "data"}, {"columns", "data", "index"}) else document
        return ModelInput(data=read_rows(data, schema))
    payload = document[wrappers[0]]
    data = _records(payload) if wrappers[0] == "dataframe_split" else payload
    return ModelInput(data=read_rows(data, schema), params=document.get("params"))


def _records(split: Any) -> Any:
    """Return a table as records; one without rows as its columns, which would get lost with them."""
    rows = split.get("data") if isinstance(split, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise refuse_body("dataframe_split needs 'columns' and, under 'data', a list of rows")
    columns = split.get("columns", list(range(len(rows[0]) if rows else 0)))
    if not isinstance(columns, list) or not all(type(name) in (str, int) for name in columns):
        raise refuse_body("the columns must be a list of names")
    if len(set(columns)) < len(columns):
        raise refuse_body("two columns have the same name")
    if any(len(row) != len(columns) for row in rows):
        raise refuse_body("a row has more or fewer cells than there are columns")
    if not rows:
        import numpy as np

        return {name: np.empty(0, dtype=object) for name in columns}
    return [dict(zip(columns, row, strict=True)) for row in rows]


def read_rows(data: Any, schema: Schema | None) -> Any:
    """JSON has no bytes, and one type of decimals: cells become what their column is."""
    columns = schema.columns if schema else ()
    decode: dict[object, Callable[[Any, object], Any]] = {
        column.name: _DECODERS[column.type]
        for column in columns
        if isinstance(column.type, str) and column.type in _DECODERS
    }
    if not decode:
        return data

    def decoded(value: Any, key: object) -> Any:
        if isinstance(value, list):
            return [decoded(item, key) for item in value]
        return value if value is None else decode[key](value, key)

    def row(cells: Any) -> Any:
        if not isinstance(cells, dict):
            return cells
        return {key: decoded(value, key) if key in decode else value for key, value in cells.items()}

    return [row(item) for item in data] if isinstance(data, list) else row(data)


def _single(cell: Any, column: object) -> Any:
    return read_decimals(cell, FLOATS["float"], column) if isinstance(cell, float) else cell


def _number(kind: str) -> Callable[[Any, object], Any]:
    """Among other numbers, pandas takes true and false for 1 and 0."""

    def number(cell: Any, column: object) -> Any:
        if type(cell) is bool:
            message = f"needs {kind}, got true or false"
            raise InvalidInput([Problem(("inputs", str(column)), "wrong_type", message)])
        return _single(cell, column) if kind == "float" else cell

    return number


def _base64(cell: str, column: object) -> bytes:
    try:
        return base64.b64decode("".join(cell.split()), validate=True)
    except (binascii.Error, AttributeError) as exc:
        raise refuse_body(f"column '{column}' holds bytes, which must be written as base64", exc) from exc


_DECODERS: dict[Any, Callable[[Any, object], Any]] = {
    "binary": _base64,
    **{kind: _number(kind) for kind in ("integer", "long", "float", "double")},
}
