"""JSON documents as data for a model: bare values, records, tables, and the request bodies of MLflow's server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from palate.codecs._decimals import FLOATS, read_decimals, refuse_body
from palate.errors import InvalidInput, Problem
from palate.schema import Array, FieldType, Schema

__all__ = ["JSON_WRAPPERS", "ModelInput", "parse_text", "read_document", "read_rows"]

JSON_WRAPPERS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The keys of MLflow's request bodies, of which one holds the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What a file or a body holds: the data, and the params that a JSON request body may carry."""

    data: Any
    params: Mapping[str, Any] | None = None


def parse_text(text: str, place: str) -> Any:
    """Return the JSON document in *text*, which an error calls *place*. Raises InvalidInput."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise refuse_body(f"{place} is not JSON ({exc.msg} at line {exc.lineno}, column {exc.colno})", exc) from exc
    except (ValueError, RecursionError) as exc:
        raise refuse_body(f"{place} is not JSON", exc) from exc


def read_document(document: Any, schema: Schema | None) -> ModelInput:
    """Return what a document holds: a bare value is the data, and MLflow's request bodies are understood too.

    Args:
        document: the data, or an object with one of JSON_WRAPPERS and perhaps params.
        schema: says what the columns are.

    Raises:
        InvalidInput: the object has several of them, a table is none, or a cell is not of its column's type.
    """
    if not isinstance(document, dict):
        return ModelInput(data=read_rows(document, schema))
    wrappers = [key for key in JSON_WRAPPERS if key in document]
    if len(wrappers) > 1:
        raise refuse_body(f"it has {' and '.join(wrappers)}: give one of them")
    if not wrappers:
        data = _records(document) if set(document) in ({"columns", "data"}, {"columns", "data", "index"}) else document
        return ModelInput(data=read_rows(data, schema))
    payload = document[wrappers[0]]
    data = payload
    if wrappers[0] == "dataframe_split":
        nameless = schema is not None and not schema.is_named
        by_position = nameless and isinstance(payload, dict) and "columns" not in payload
        data = payload.get("data") if by_position else _records(payload)
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
    """Return rows from JSON, which has no bytes and one type of decimals, with cells of their columns' types.

    Args:
        data: records, an object of columns, or lists of rows, or of cells, for a schema without names.
        schema: says what the columns are.

    Raises:
        InvalidInput: a cell is none of its column's type.
    """
    columns = schema.columns if schema else ()
    if not columns:
        return data
    if columns[0].name is not None:
        named: dict[object, _Reader]
        named = {column.name: cell for column in columns if (cell := _cell_reader(column.type, column.name))}
        return [_read_members(row, named) for row in data] if isinstance(data, list) else _read_members(data, named)
    cells = [_cell_reader(column.type, place) for place, column in enumerate(columns)]
    if not isinstance(data, list) or not any(cells):
        return data
    return [_read_cells(row, cells) for row in data]


_Reader: TypeAlias = Callable[[Any], Any]


def _read_members(record: Any, cells: Mapping[object, _Reader]) -> Any:
    """Return a record, or an object of columns, with its cells read."""
    if not isinstance(record, dict):
        return record
    return {name: _read(value, cells[name]) if name in cells else value for name, value in record.items()}


def _read_cells(row: Any, cells: Sequence[_Reader | None]) -> Any:
    """Return a row without names, or the cell of a lone column."""
    if not isinstance(row, list):
        lone = cells[0] if len(cells) == 1 else None
        return row if lone is None else _read(row, lone)
    read = [value if cell is None else _read(value, cell) for value, cell in zip(row, cells, strict=False)]
    return [*read, *row[len(cells) :]]


def _read(value: Any, cell: _Reader) -> Any:
    if isinstance(value, list):
        return [_read(item, cell) for item in value]
    return value if value is None else cell(value)


def _cell_reader(kind: FieldType, column: object) -> _Reader | None:
    """Return what reads a cell of that type, or None where JSON says it all."""
    match kind:
        case "binary":
            return partial(_base64, column=column)
        case "integer" | "long" | "double" | "float":
            return partial(_number, column=column, kind=kind)
        case Array(items=items):
            return None if items == "binary" else _cell_reader(items, column)  # MLflow leaves those as they are
        case _:
            return None


def _number(cell: Any, column: object, kind: str) -> Any:
    # Among other numbers, pandas takes true and false for 1 and 0.
    if type(cell) is bool:
        message = f"needs {kind}, got true or false"
        raise InvalidInput([Problem(("inputs", _place(column)), "wrong_type", message)])
    return read_decimals(cell, FLOATS["float"], column) if kind == "float" and isinstance(cell, float) else cell


def _base64(cell: str, column: object) -> bytes:
    try:
        return base64.b64decode("".join(cell.split()), validate=True)
    except (ValueError, AttributeError) as exc:
        message = "holds bytes, which must be written as base64"
        raise InvalidInput([Problem(("inputs", _place(column)), "wrong_value", message)]) from exc


def _place(column: object) -> str | int:
    return column if isinstance(column, int) else str(column)
