"""Reading model input from files: csv, json, jsonl and parquet, typed by the signature."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from palate.errors import DependencyMissing, InvalidInput, Problem
from palate.schema import ColSpec, Schema

__all__ = ["FORMATS", "DataFormat", "ModelInput", "decode_input", "format_of"]

DataFormat: TypeAlias = Literal["csv", "json", "jsonl", "parquet"]
FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)
ENDINGS: dict[str, DataFormat] = {**{known: known for known in FORMATS}, "ndjson": "jsonl", "tsv": "csv"}
FLOATS = {"float": "float32", "double": "float64"}
JSON_WRAPPERS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What a file holds: the data, and the params that a JSON request body may carry."""

    data: Any
    params: Mapping[str, Any] | None = None


def format_of(name: str) -> DataFormat | None:
    """Return the format that a file name's ending tells, or None."""
    return ENDINGS.get(name.rpartition(".")[2].lower())


def decode_input(body: bytes, format: DataFormat, schema: Schema | None, *, delimiter: str = ",") -> ModelInput:
    """Read *body*; text becomes the types that *schema* declares, never by guessing where it declares one.

    Raises:
        InvalidInput: the text is not of that format, or a cell is not of its column's type.
        DependencyMissing: parquet without pyarrow.
    """
    match format:
        case "csv":
            return ModelInput(data=_read_csv(_text(body), schema, delimiter))
        case "json":
            return _read_json(_parse_json(_text(body), "the file"), schema)
        case "jsonl":
            lines = [line for line in _text(body).splitlines() if line.strip()]
            rows = [_parse_json(line, f"line {number}") for number, line in enumerate(lines, 1)]
            return ModelInput(data=_decoded_rows(rows, schema))
        case "parquet":
            table = _read_parquet(body)
            if schema is None:  # nothing says what the model takes: a frame, as csv gives it
                _require_pandas()
                return ModelInput(data=table.to_pandas())
            return ModelInput(data=table)


def _refuse(message: str, cause: Exception | None = None) -> InvalidInput:
    error = InvalidInput([Problem((), "wrong_value", message)])
    error.__cause__ = cause
    return error


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _refuse("the file is not UTF-8 text", exc) from exc


# -- json ------------------------------------------------------------------------------------------------------------


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise _refuse(f"{place} is not JSON ({exc.msg} at line {exc.lineno}, column {exc.colno})", exc) from exc
    except (ValueError, RecursionError) as exc:
        raise _refuse(f"{place} is not JSON", exc) from exc


def _read_json(document: Any, schema: Schema | None) -> ModelInput:
    """A bare value is the data; MLflow's request bodies (one of JSON_WRAPPERS, and params) are understood too."""
    if not isinstance(document, dict):
        return ModelInput(data=_decoded_rows(document, schema))
    wrappers = [key for key in JSON_WRAPPERS if key in document]
    if len(wrappers) > 1:
        raise _refuse(f"it has {' and '.join(wrappers)}: give one of them")
    if not wrappers:
        data = _records(document) if set(document) in ({"columns", "data"}, {"columns", "data", "index"}) else document
        return ModelInput(data=_decoded_rows(data, schema))
    payload = document[wrappers[0]]
    data = _records(payload) if wrappers[0] == "dataframe_split" else payload
    return ModelInput(data=_decoded_rows(data, schema), params=document.get("params"))


def _records(split: Any) -> list[dict[Any, Any]]:
    rows = split.get("data") if isinstance(split, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise _refuse("dataframe_split needs 'columns' and, under 'data', a list of rows")
    columns = split.get("columns", list(range(len(rows[0]) if rows else 0)))
    if any(len(row) != len(columns) for row in rows):
        raise _refuse("a row has more or fewer cells than there are columns")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _decoded_rows(data: Any, schema: Schema | None) -> Any:
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
    return _decimals(cell, FLOATS["float"], column) if isinstance(cell, float) else cell


# -- csv -------------------------------------------------------------------------------------------------------------


def _base64(cell: str, column: object) -> bytes:
    try:
        return base64.b64decode("".join(cell.split()), validate=True)
    except (binascii.Error, AttributeError) as exc:
        raise _refuse(f"column '{column}' holds bytes, which must be written as base64", exc) from exc


_DECODERS: dict[Any, Callable[[Any, object], Any]] = {"binary": _base64, "float": _single}


def _boolean(cell: str) -> bool:
    known = {"true": True, "false": False}
    return known[cell.lower()]


def _plain_number(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Python reads 1_000 as a thousand; in a file that is a slip."""

    def number(cell: str) -> Any:
        if "_" in cell:
            raise ValueError
        return read(cell)

    return number


_integer, _float = _plain_number(int), _plain_number(float)


def _number(cell: str) -> int | float | str:
    for read in (_integer, _float):
        try:
            number: int | float = read(cell)
        except ValueError:
            continue
        return number
    return cell


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's header, its cells, and the line that each cell is in."""

    name: str
    cells: Sequence[str]
    lines: Sequence[int]


def _read_csv(text: str, schema: Schema | None, delimiter: str) -> Any:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        numbered = [(reader.line_num, row) for row in reader if row]
    except csv.Error as exc:
        raise _refuse(f"line {reader.line_num} is not csv ({exc})", exc) from exc
    if not numbered:
        raise _refuse("the csv file is empty: it needs a header line")
    (_, header), *rows = numbered
    _check_header(header, schema)
    for line, row in rows:
        if len(row) != len(header):
            raise _refuse(f"line {line} has {len(row)} cells, the header has {len(header)}")
    lines = [line for line, _ in rows]
    columns = [_Column(name, [row[index] for _, row in rows], lines) for index, name in enumerate(header)]
    return _typed_columns(columns, schema)


def _check_header(header: Sequence[str], schema: Schema | None) -> None:
    if len(set(header)) != len(header):
        raise _refuse("two columns of the csv file have the same name")
    names = {field.name for field in schema} if schema is not None else set(header)
    other = next((mark for mark in ";\t|," if mark in header[0]), None)
    if len(header) == 1 and other is not None and header[0] not in names:
        told = "tab" if other == "\t" else other
        raise _refuse(f"the header is one cell that holds '{told}'; is that the delimiter? (CLI: --delimiter '{told}')")


def _typed_columns(columns: Sequence[_Column], schema: Schema | None) -> Any:
    import numpy as np

    if schema is not None and schema.is_tensor and not schema.is_named:
        dtype = schema.tensors[0].dtype
        kind = _tensor_cells(dtype)
        table = np.array([_cells(column, kind, dtype) for column in columns]).T
        # A tensor of one dimension, such as of texts, has no columns.
        return table[:, 0] if len(schema.tensors[0].shape) == 1 and len(columns) == 1 else table
    specs: dict[str, ColSpec] = {}
    if schema is not None:
        # csv has no numbers for names: column 0 of the signature is "0" in the header.
        specs = {str(index if spec.name is None else spec.name): spec for index, spec in enumerate(schema.columns)}
    named = {}
    for position, column in enumerate(columns):
        spec = specs.get(column.name) or (specs.get(str(position)) if schema and not schema.is_named else None)
        kind = spec.type if spec is not None and isinstance(spec.type, str) else "any"
        label = spec.name if spec is not None and spec.name is not None else column.name
        named[label] = _cells(column, kind, FLOATS.get(kind, "float64"))
    if schema is not None and not schema.is_named and len(columns) == len(schema) == 1:
        # A model of plain values, such as a function of list[str], is given plain values.
        return next(iter(named.values())).tolist()
    return named if schema is not None else _frame(named)


def _tensor_cells(dtype: str) -> str:
    """Return how the cells for a tensor of that dtype are read."""
    families = {"float": "double", "int": "long", "uint": "long", "bool": "boolean", "datetime": "datetime"}
    return next((kind for family, kind in families.items() if dtype.startswith(family)), "string")


_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "string": str,
    "datetime": str,
    "binary": lambda cell: base64.b64decode(cell, validate=True),
    "any": _number,
}


def _cells(column: _Column, kind: str, dtype: str) -> Any:
    """Return one column as an array, decimals as *dtype*; an empty cell is a missing value."""
    import numpy as np

    read, values = _READERS[kind], []
    for cell, line in zip(column.cells, column.lines, strict=True):
        try:
            values.append(read(cell) if cell != "" else None)
        except (ValueError, KeyError) as exc:
            message = f"the cell in line {line} is not {kind} (a missing value is an empty cell)"
            raise InvalidInput([Problem(("inputs", column.name), "wrong_value", message)]) from exc
    if kind in ("float", "double"):
        return _decimals([np.nan if value is None else value for value in values], dtype, column.name)
    if values and all(isinstance(value, int | float) for value in values):
        return np.array(values)
    return np.array(values, dtype=object)


def _decimals(values: Any, dtype: str, name: object) -> Any:
    """Return decimals that were written as text, which have no type before the signature gives them one."""
    import numpy as np

    wide = np.asarray(values, dtype="float64")
    with np.errstate(over="ignore"):
        typed = wide.astype(dtype)
    if bool((np.isfinite(wide) & ~np.isfinite(typed)).any()):
        raise InvalidInput([Problem(("inputs", str(name)), "wrong_value", f"holds values too large for {dtype}")])
    return typed[()]  # of one decimal a scalar


def _frame(columns: Mapping[Any, Any]) -> Any:
    return _require_pandas().DataFrame(columns).infer_objects()


def _require_pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as exc:
        raise DependencyMissing(
            "pandas", needed_for="reading a table for a model without a signature", install="palate[pandas]"
        ) from exc
    return pd


def _read_parquet(body: bytes) -> Any:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as exc:
        raise DependencyMissing("pyarrow", needed_for="reading parquet", install="palate[parquet]") from exc
    try:
        return parquet.read_table(io.BytesIO(body))
    except pa.ArrowException as exc:
        raise _refuse("the file is not parquet", exc) from exc
