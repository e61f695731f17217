"""csv as data for a model, each cell read as its column's type."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from palate.codecs._binary_tables import require_pandas
from palate.codecs._decimals import FLOATS, read_decimals, refuse_body
from palate.errors import InvalidInput, Problem
from palate.schema import ColSpec, Schema

__all__ = ["read_csv"]

# Beside ten times those of the signature, which knows the rest not: each costs as much time as one that is known.
_MOST_COLUMNS = 1000


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


def read_csv(text: str, schema: Schema | None, delimiter: str) -> Any:
    """Return csv with a header line as what a model takes.

    That is an object of columns, an array for the only tensor of a signature, plain values for its only column without
    a name, and a DataFrame where there is no signature.

    Raises:
        InvalidInput: it is not csv, its header has a name twice, or a cell is not of its column's type.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        numbered = [(reader.line_num, row) for row in reader if row]
    except csv.Error as exc:
        raise refuse_body(f"line {reader.line_num} is not csv ({exc})", exc) from exc
    if not numbered:
        raise refuse_body("the csv file is empty: it needs a header line")
    (_, header), *rows = numbered
    _check_header(header, schema)
    for line, row in rows:
        if len(row) != len(header):
            raise refuse_body(f"line {line} has {len(row)} cells, the header has {len(header)}")
    lines = [line for line, _ in rows]
    columns = [_Column(name, [row[index] for _, row in rows], lines) for index, name in enumerate(header)]
    return _typed_columns(columns, schema)


def _check_header(header: Sequence[str], schema: Schema | None) -> None:
    if schema is not None and len(header) > _MOST_COLUMNS + 10 * len(schema):
        raise refuse_body(f"the header has {len(header):,} cells, and the signature {len(schema):,} columns")
    if len(set(header)) != len(header):
        raise refuse_body("two columns of the csv file have the same name")
    names = {field.name for field in schema} if schema is not None else set(header)
    other = next((mark for mark in ";\t|," if mark in header[0]), None)
    if len(header) == 1 and other is not None and header[0] not in names:
        told = "tab" if other == "\t" else other
        raise refuse_body(
            f"the header is one cell that holds '{told}'; is that the delimiter? (CLI: --delimiter '{told}')"
        )


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
        return read_decimals([np.nan if value is None else value for value in values], dtype, column.name)
    if values and all(isinstance(value, int | float) for value in values):
        return np.array(values)
    return np.array(values, dtype=object)


def _frame(columns: Mapping[Any, Any]) -> Any:
    return require_pandas().DataFrame(columns).infer_objects()
