"""What the typed route asks of a body besides what the signature's enforcement asks: exactly what its document says.

Enforcement leaves out columns that it does not know and takes whatever converts without a change. An interface that
writes down its fields is more use when it also tells of a name that is misspelt, or of a text that is no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from palate.errors import InvalidInput, Problem
from palate.schema import NUMBERS, ColSpec, FieldType, ParamSpec, Schema, type_text
from palate.serving.protocols._json_arrays import refuse_wide_text

__all__ = ["check_inputs", "check_params", "check_text"]

_MOST_PROBLEMS = 100
_TEXTS = frozenset(["string", "binary", "datetime"])


def check_params(params: object, declared: Sequence[ParamSpec]) -> Mapping[str, object] | None:
    """Return params as they are. Raises InvalidInput for what is no object, or has names that are not declared."""
    if params is None:
        return None
    if not isinstance(params, dict):
        raise InvalidInput([Problem(("params",), "wrong_type", "must be an object")])
    known = {param.name for param in declared}
    takes = ", ".join(sorted(known)) or "none"
    unknown = [Problem(("params", name), "extra", f"there is no such param (there is: {takes})") for name in params]
    if problems := [problem for problem in unknown if problem.where[1] not in known]:
        raise InvalidInput(problems)
    return params


def check_inputs(inputs: object, schema: Schema) -> None:
    """Raise InvalidInput for inputs that are not in the form of a schema, with the first hundred problems."""
    if problems := list(islice(_find_problems(inputs, schema), _MOST_PROBLEMS)):
        raise InvalidInput(problems)
    if schema.is_tensor:
        check_text(inputs, schema)


def _find_problems(inputs: Any, schema: Schema) -> Iterator[Problem]:
    if schema.is_tensor:
        if schema.is_named:
            yield from _find_wrong_names(inputs, [str(tensor.name) for tensor in schema])
    elif not schema.is_named:
        yield from _find_wrong_rows(inputs, schema.columns)
    elif isinstance(inputs, list):
        names = {str(column.name): column for column in schema.columns}
        for row, record in enumerate(inputs):
            yield from _find_wrong_record(row, record, names)
    elif isinstance(inputs, dict):
        yield from _find_wrong_columns(inputs, schema.columns)
    else:
        yield Problem(("inputs",), "wrong_type", "must be a list of records, or an object of columns")


def _find_wrong_names(inputs: Any, names: Sequence[str]) -> Iterator[Problem]:
    if not isinstance(inputs, dict):
        yield Problem(("inputs",), "wrong_type", f"must be an object with {', '.join(names[:20])}")
        return
    for name in inputs:
        if name not in names:
            yield Problem(("inputs", name), "extra", "there is no input of this name")


def _find_wrong_record(row: int, record: Any, columns: Mapping[str, ColSpec]) -> Iterator[Problem]:
    if not isinstance(record, dict):
        yield Problem(("inputs", row), "wrong_type", "must be a record: an object with a cell for each column")
        return
    for name in record:
        if name not in columns:
            yield Problem(("inputs", row, name), "extra", "there is no column of this name")
    for name, column in columns.items():
        if name not in record:
            if column.required:
                yield Problem(("inputs", row, name), "missing", "this column is missing")
        elif (message := _find_wrong_cell(record[name], column.type)) is not None:
            yield Problem(("inputs", row, name), "wrong_type", message)


def _find_wrong_columns(inputs: dict[str, Any], columns: Sequence[ColSpec]) -> Iterator[Problem]:
    yield from _find_wrong_names(inputs, [str(column.name) for column in columns])
    lengths = set()
    for column in columns:
        cells = inputs.get(str(column.name))
        if str(column.name) not in inputs or not isinstance(column.type, str):
            continue  # a column that is missing is enforcement's to tell of
        if not isinstance(cells, list):
            yield Problem(("inputs", str(column.name)), "wrong_type", "must be a list, with a cell for each row")
            continue
        lengths.add(len(cells))
        for row, cell in enumerate(cells):
            if (message := _find_wrong_cell(cell, column.type)) is not None:
                yield Problem(("inputs", str(column.name), row), "wrong_type", message)
    if len(lengths) > 1:
        yield Problem(("inputs",), "wrong_shape", "the columns have different lengths")


def _find_wrong_rows(inputs: Any, columns: Sequence[ColSpec]) -> Iterator[Problem]:
    if not isinstance(inputs, list):
        yield Problem(("inputs",), "wrong_type", "must be a list of rows")
        return
    lone = len(columns) == 1
    for row, cells in enumerate(inputs):
        if not isinstance(cells, list):
            if not lone or isinstance(cells, dict):
                yield Problem(("inputs", row), "wrong_type", "must be a list, with a cell for each column")
        elif len(cells) != len(columns) and not lone:
            yield Problem(("inputs", row), "wrong_shape", f"needs {len(columns)} cells, got {len(cells)}")


def _find_wrong_cell(cell: Any, kind: FieldType) -> str | None:
    """Return what is wrong with a cell; what no value is, and what is nested, enforcement judges."""
    if cell is None or not isinstance(kind, str):
        return None
    if kind in _TEXTS:
        fits = type(cell) is str
    elif kind in NUMBERS:
        fits = type(cell) in (int, float)
    else:
        fits = type(cell) is bool
    return None if fits else f"needs {type_text(kind)}, got {_WORDS.get(type(cell), 'something else')}"


_WORDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


def check_text(inputs: Any, schema: Schema) -> None:
    """Raise InvalidInput for texts that would take much more memory as an array than in the body."""
    for tensor in schema.tensors:
        if tensor.dtype in ("str", "bytes"):
            nested = inputs.get(tensor.name) if tensor.name is not None and isinstance(inputs, dict) else inputs
            refuse_wide_text(*_measure(nested), ("inputs", *filter(None, [tensor.name])))


def _measure(nested: Any) -> tuple[int, int]:
    """Return how many texts there are, and how long the longest is."""
    if isinstance(nested, list):
        measured = [_measure(item) for item in nested]
        return sum(count for count, _ in measured), max((longest for _, longest in measured), default=0)
    return (1, len(nested)) if isinstance(nested, str) else (1, 0)
