"""JSON documents as data for a model: bare values, records, tables, and the request bodies of MLflow's server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from palate.codecs._binary_tables import require_pandas
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
    params = document.get("params")
    if schema is None and wrappers[0].startswith("dataframe_"):
        return ModelInput(data=_frame(data), params=params)
    return ModelInput(data=read_rows(data, schema), params=params)


def _frame(rows: Any) -> Any:
    """Return the table that a body says it is, where no signature says what becomes of it."""
    if not isinstance(rows, dict) and not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise refuse_body("dataframe_records needs a list of objects")
    return require_pandas().DataFrame(rows)


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
        named = {column.name: cell for column in columns if (cell := _cell_reader(column.type))}
        return [_read_members(row, named) for row in data] if isinstance(data, list) else _read_members(data, named)
    cells = [_cell_reader(column.type) for column in columns]
    if not isinstance(data, list) or not any(cells):
        return data
    return [_read_cells(row, cells, place) for place, row in enumerate(data)]


_Reader: TypeAlias = Callable[[Any, str | int], Any]
"""Reads a cell; it is called with the place that a problem names besides: the column, or the row if none has a name."""


def _read_members(record: Any, cells: Mapping[object, _Reader]) -> Any:
    """Return a record, or an object of columns, with its cells read."""
    if not isinstance(record, dict):
        return record
    return {name: _read(value, cells[name], name) if name in cells else value for name, value in record.items()}


def _read_cells(row: Any, cells: Sequence[_Reader | None], place: int) -> Any:
    """Return a row without names, or the cell of a lone column."""
    if not isinstance(row, list):
        lone = cells[0] if len(cells) == 1 else None
        return row if lone is None else _read(row, lone, place)
    read = [value if cell is None else _read(value, cell, place) for value, cell in zip(row, cells, strict=False)]
    return [*read, *row[len(cells) :]]


def _read(value: Any, cell: _Reader, place: str | int) -> Any:
    if isinstance(value, list):
        return [_read(item, cell, place) for item in value]
    return value if value is None else cell(value, place)


def _cell_reader(kind: FieldType) -> _Reader | None:
    """Return what reads a cell of that type, or None where JSON says it all."""
    match kind:
        case "binary":
            return _base64
        case "integer" | "long" | "double" | "float":
            return partial(_number, kind=kind)
        case Array(items=items):
            return None if items == "binary" else _cell_reader(items)  # MLflow leaves those as they are
        case _:
            return None


def _number(cell: Any, place: str | int, kind: str) -> Any:
    # Among other numbers, pandas takes true and false for 1 and 0.
    if type(cell) is bool:
        message = f"needs {kind}, got true or false"
        raise InvalidInput([Problem(("inputs", place), "wrong_type", message)])
    return read_decimals(cell, FLOATS["float"], place) if kind == "float" and isinstance(cell, float) else cell


def _base64(cell: str, place: str | int) -> bytes:
    try:
        return base64.b64decode("".join(cell.split()), validate=True)
    except (ValueError, AttributeError) as exc:
        message = "holds bytes, which must be written as base64"
        raise InvalidInput([Problem(("inputs", place), "wrong_value", message)]) from exc
