"""csv as data for a model, each cell read as its column's type."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from palate.codecs._binary_tables import require_pandas
from palate.codecs._decimals import FLOATS, read_decimals, refuse_body
from palate.errors import InvalidInput, Problem
from palate.schema import ColSpec, Schema, TensorSpec

__all__ = ["read_csv"]

# Beside ten times those of the signature, which knows the rest not: each costs as much time as one that is known.
_MOST_COLUMNS = 1000
# Of a file whose every cell is wrong, more than that helps nobody.
_MOST_PROBLEMS = 100
# Beyond it, a decimal may be whole only because it was rounded.
_LARGEST_WHOLE = 2**53
_CURL_HINT = "curl -d takes the line ends out of a file, so send it with --data-binary"


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


_float = _plain_number(float)


@_plain_number
def _integer(cell: str) -> int:
    """4.0 is 4, as in JSON."""
    try:
        return int(cell)
    except ValueError:
        number = float(cell)
        if not number.is_integer() or abs(number) > _LARGEST_WHOLE:
            raise
        return int(number)


_digits = _plain_number(int)


def _number(cell: str) -> int | float | str:
    for read in (_digits, _float):
        try:
            number: int | float = read(cell)
        except ValueError:
            continue
        return number
    return cell


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's header or, without any, its position; its cells, and the line that each cell is in."""

    name: str | int
    cells: Sequence[str]
    lines: Sequence[int]


def read_csv(
    text: str, schema: Schema | None, delimiter: str, *, has_header: bool = True, lines_before: int = 0
) -> Any:
    """Return csv as what a model takes.

    That is an object of columns, an array for the only tensor of a signature, plain values for its only column without
    a name, and a DataFrame where there is no signature. Without a header line, cells are in the signature's order.

    Of text that was cut out of a longer one, *lines_before* is how many of its lines an error has to add.

    Raises:
        InvalidInput: it is not csv, its header has a name twice or none that the signature has, or cells are not of
            their column's type.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        rows = [(reader.line_num + lines_before, row) for row in reader if row]
    except csv.Error as exc:
        raise refuse_body(f"line {reader.line_num + lines_before} is not csv ({exc})", exc) from exc
    if not rows:
        raise refuse_body("the csv file is empty" + (": it needs a header line" if has_header else ""))
    is_one_line = "\n" not in text and "\r" not in text
    first = rows[0][1]
    _check_width(len(first), schema)
    header: Sequence[str | int] = first
    if has_header:
        _check_header(first, schema, is_one_line=is_one_line)
        rows, expected = rows[1:], "the header has"
    else:
        header, expected = _names_in_order(schema, len(first))
    for line, row in rows:
        if len(row) != len(header):
            hint = f". Hint: {_CURL_HINT}" if is_one_line and len(row) > len(header) else ""
            raise refuse_body(f"line {line} has {len(row)} cells, {expected} {len(header)}{hint}")
    lines = [line for line, _ in rows]
    columns = [_Column(name, [row[index] for _, row in rows], lines) for index, name in enumerate(header)]
    return _typed_columns(columns, schema)


def _names_in_order(schema: Schema | None, width: int) -> tuple[Sequence[str | int], str]:
    """Return the names that rows without a header line have, and what tells how many there are."""
    if schema is None:
        return range(width), "the first line has"
    if schema.is_tensor and not schema.is_named:
        return [str(index) for index in range(width)], "the first line has"
    names = [str(index if field.name is None else field.name) for index, field in enumerate(schema)]
    return names, "the signature has"


def _check_width(width: int, schema: Schema | None) -> None:
    if schema is None:
        return
    # The rows of a tensor are as long as its last dimension, where that is known.
    known = max([len(schema), *(dimension for tensor in schema.tensors for dimension in tensor.shape[1:])])
    if width > _MOST_COLUMNS + 10 * known:
        raise refuse_body(f"the first line has {width:,} cells, and the signature {known:,} columns")


def _check_header(header: Sequence[str], schema: Schema | None, *, is_one_line: bool) -> None:
    # csv has no numbers for names: column 0 of the signature is "0" in the header.
    names = {str(field.name) for field in schema} if schema is not None else set(header)
    other = next((mark for mark in ";\t|," if mark in header[0]), None)
    if len(header) == 1 and other is not None and header[0] not in names:
        told = "tab" if other == "\t" else other
        raise refuse_body(
            f"the header is one cell that holds '{told}'; is that the delimiter? (CLI: --delimiter '{told}')"
        )
    if schema is not None and schema.is_named:
        _check_names(set(header), names, is_one_line=is_one_line)
    elif schema is not None and _looks_like_data(header):
        raise refuse_body(
            "the first line looks like data, not like names. Hint: say Content-Type: text/csv; header=absent "
            "(CLI: add a line of names)"
        )
    if len(set(header)) != len(header):
        raise refuse_body("two columns of the csv file have the same name")


def _check_names(given: Set[str], names: Set[str], *, is_one_line: bool) -> None:
    """Refuse a first line that is no header. What it holds may be data, so nothing of it is told."""
    if given.isdisjoint(names):
        hint = "if the file has no header line, say Content-Type: text/csv; header=absent (CLI: add a line of names)"
        more = f"; {_CURL_HINT}" if is_one_line else ""
        raise refuse_body(f"the first line holds none of the model's column names. Hint: {hint}{more}")
    if is_one_line and given - names and names - given:
        raise refuse_body(f"the file is one line, and that is more than column names. Hint: {_CURL_HINT}")


def _looks_like_data(header: Sequence[str]) -> bool:
    """Tell whether all of a line is numbers or truth values, and not the positions that pandas writes for names."""
    cells = [cell for cell in header if cell != ""]
    is_plain = all(not isinstance(_number(cell), str) or cell.lower() in ("true", "false") for cell in cells)
    return bool(cells) and is_plain and list(header) != [str(index) for index in range(len(header))]


def _typed_columns(columns: Sequence[_Column], schema: Schema | None) -> Any:
    problems: list[Problem] = []
    if schema is not None and schema.is_tensor and not schema.is_named:
        typed = _tensor(columns, schema.tensors[0], problems)
    else:
        typed = _named(columns, schema, problems)
    if problems:
        raise InvalidInput(problems)
    if schema is None:
        return _frame(typed)
    if not schema.is_tensor and not schema.is_named and len(columns) == len(schema) == 1:
        # A model of plain values, such as a function of list[str], is given plain values.
        return next(iter(typed.values())).tolist()
    return typed


def _tensor(columns: Sequence[_Column], spec: TensorSpec, problems: list[Problem]) -> Any:
    import numpy as np

    kind = _tensor_cells(spec.dtype)
    cells = [_cells(column, position, kind, spec.dtype, problems) for position, column in enumerate(columns)]
    table = np.array(cells).T
    # A tensor of one dimension, such as of texts, has no columns.
    return table[:, 0] if len(spec.shape) == 1 and len(columns) == 1 else table


def _named(columns: Sequence[_Column], schema: Schema | None, problems: list[Problem]) -> dict[str | int, Any]:
    specs: dict[str, ColSpec] = {}
    if schema is not None:
        specs = {str(index if spec.name is None else spec.name): spec for index, spec in enumerate(schema.columns)}
    named: dict[str | int, Any] = {}
    for position, column in enumerate(columns):
        is_nameless = schema is not None and not schema.is_named
        spec = specs.get(str(column.name)) or (specs.get(str(position)) if is_nameless else None)
        kind = spec.type if spec is not None and isinstance(spec.type, str) else "any"
        label = spec.name if spec is not None and spec.name is not None else column.name
        place = position if is_nameless else label
        named[label] = _cells(column, place, kind, FLOATS.get(kind, "float64"), problems)
    return named


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


def _cells(column: _Column, place: str | int, kind: str, dtype: str, problems: list[Problem]) -> Any:
    """Return one column as an array, decimals as *dtype*; an empty cell is a missing value.

    What is wrong with its cells is added to *problems*. Raises InvalidInput where those are too many to go on.
    """
    import numpy as np

    read, values = _READERS[kind], []
    for row, (cell, line) in enumerate(zip(column.cells, column.lines, strict=True)):
        try:
            values.append(read(cell) if cell != "" else None)
        except (ValueError, KeyError):
            values.append(None)
            message = f"the cell in line {line} is not {kind} (a missing value is an empty cell)"
            problems.append(Problem(("inputs", place, row), "wrong_value", message))
            if len(problems) >= _MOST_PROBLEMS:
                raise InvalidInput(problems) from None
    if kind in ("float", "double"):
        try:
            return read_decimals([np.nan if value is None else value for value in values], dtype, place)
        except InvalidInput as exc:
            problems.extend(exc.problems)
    if values and all(isinstance(value, int | float) for value in values):
        return np.array(values)
    return np.array(values, dtype=object)


def _frame(columns: Mapping[Any, Any]) -> Any:
    return require_pandas().DataFrame(columns).infer_objects()
