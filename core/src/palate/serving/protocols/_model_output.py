"""What a model predicted, as named arrays: one for each tensor that a client gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from palate.errors import InvalidInput, UnsupportedOutput
from palate.serving.protocols._fields import TensorField
from palate.serving.protocols._json_arrays import Array, Leaves, object_array, plain_array, read_lists

__all__ = ["name_outputs"]


def name_outputs(output: Any, fields: Sequence[TensorField], *, container: str) -> dict[str, Array]:
    """Return the arrays of *output* by name.

    What brings names along (frames, dicts, records) keeps them; else the fields of the signature give theirs where
    they are as many; else they are "output-0", "output-1", … Text, bytes, missing and nested values are in arrays of
    objects, with None for missing; times are ISO 8601 text.

    Args:
        output: what a model returned.
        fields: the outputs of the signature, as tensors.
        container: what an error calls the form that is wanted.

    Raises:
        UnsupportedOutput: it is no array, table, or several of these.
    """
    if isinstance(output, np.ndarray) and output.dtype.names is None:
        return _name_arrays(_columns_of(output, fields), fields, container)
    if isinstance(output, Mapping):
        return {str(name): _array(value, container) for name, value in output.items()}
    if (columns := _table(output)) is not None:
        return {name: _array(column, container) for name, column in columns}
    if isinstance(output, list) and output and all(isinstance(row, Mapping) for row in output):
        return _records(output, container)
    if isinstance(output, tuple):
        return _name_arrays(list(output), fields, container)
    return _name_arrays(_columns_of(_array(output, container), fields), fields, container)


def _columns_of(array: Array, fields: Sequence[TensorField]) -> list[Any]:
    """Return a matrix as the columns that the signature has, anything else as one array."""
    if len(fields) > 1 and fields[0].column and array.ndim == 2 and array.shape[1] == len(fields):
        return list(array.T)
    return [array]


def _name_arrays(arrays: list[Any], fields: Sequence[TensorField], container: str) -> dict[str, Array]:
    known = [field.name for field in fields]
    names = known if len(arrays) == len(known) else [f"output-{place}" for place in range(len(arrays))]
    return {name: _array(array, container) for name, array in zip(names, arrays, strict=True)}


def _records(rows: list[Mapping[Any, Any]], container: str) -> dict[str, Array]:
    names = list(rows[0])
    if any(row.keys() != rows[0].keys() for row in rows):
        raise UnsupportedOutput(container, reason="they are records that do not all have the same fields")
    return {str(name): _array([row[name] for row in rows], container) for name in names}


def _table(output: Any) -> Iterable[tuple[str, Any]] | None:
    """Return the columns of a frame of pandas, polars or Arrow, or of a structured array, with their names."""
    if isinstance(output, np.ndarray):
        return [(name, output[name]) for name in output.dtype.names or ()]
    if hasattr(output, "column_names") and hasattr(output, "column"):  # a pyarrow Table or RecordBatch
        return zip(output.column_names, (output.column(name) for name in output.column_names), strict=True)
    if hasattr(output, "get_columns"):  # polars
        return [(column.name, column) for column in output.get_columns()]
    if hasattr(output, "iloc") and hasattr(output, "columns"):
        labels = list(map(str, output.columns))
        return [(label, output.iloc[:, place]) for place, label in enumerate(labels)]
    if hasattr(output, "iloc") and output.name is not None:  # a Series with a name
        return [(str(output.name), output)]
    return None


# -- one array ---------------------------------------------------------------------------------------------------------


def _array(value: Any, container: str) -> Array:
    """Return one output as an array with a first axis."""
    array = _as_array(value, container)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.dtype.kind in "SU" or (array.dtype.kind == "O" and array.size):
        return _objects(array, container)
    if array.dtype.kind == "M":
        return _moments(array)
    if array.dtype.kind not in "biufO" or array.dtype.itemsize > 8:
        raise UnsupportedOutput(container, reason=f"they are {array.dtype}")
    return array


def _as_array(value: Any, container: str) -> Array:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, str | bytes | Mapping) or value is None:
        return object_array([value])
    if isinstance(value, list):
        return _list_array(value)
    if (cells := _cells_with_gaps(value)) is not None:
        return object_array(cells)
    try:
        if hasattr(value, "toarray"):  # a sparse matrix
            return np.asarray(value.toarray())
        if hasattr(value, "detach"):  # a tensor of torch, which may be on another device or part of a graph
            value = value.detach().cpu()
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise UnsupportedOutput(container, reason=f"numpy has no form for a {type(value).__name__}") from exc
    if array.dtype == object and array.ndim == 0:
        raise UnsupportedOutput(container, reason=f"a {type(value).__name__} is neither an array nor a table")
    return array


def _cells_with_gaps(value: Any) -> list[Any] | None:
    """Return the values of a column, with gaps, whose type is none of numpy's, which would round its integers."""
    if hasattr(value, "iloc"):  # pandas
        return None if isinstance(value.dtype, np.dtype) else value.astype(object).tolist()
    if hasattr(value, "to_pylist"):  # Arrow
        return value.to_pylist() if value.null_count else None
    if hasattr(value, "null_count"):  # polars
        return value.to_list() if value.null_count() else None
    return None


def _list_array(items: list[Any]) -> Array:
    try:
        leaves = read_lists(items, ())
        if leaves.kinds and all(issubclass(kind, np.number | np.bool_ | np.ndarray) for kind in leaves.kinds):
            return np.asarray(items)
        # numpy by itself makes numbers of truth values among them, and each text as wide as the longest.
        array = plain_array(leaves, ()) if leaves.items else np.empty(0)
    except (InvalidInput, ValueError):  # of unequal lengths, or mixed
        return object_array(items)
    return array.reshape(leaves.shape)


def _objects(array: Array, container: str) -> Array:
    cells = [_cell(cell, container) for cell in array.ravel().tolist()]
    kinds = set(map(type, cells))
    if float in kinds and not kinds <= _NUMBERS:  # NaN, which pandas has for missing text
        cells = [None if cell != cell else cell for cell in cells]
        kinds = set(map(type, cells))
    try:
        plain = plain_array(Leaves(cells, array.shape, kinds), ())
    except InvalidInput as exc:
        words = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise UnsupportedOutput(container, reason=f"they mix {words}") from exc
    if plain.dtype == object and not all(abs(cell) < 2**63 for cell in cells if type(cell) is int):
        raise UnsupportedOutput(container, reason="they are whole numbers beyond 64 bits")
    return plain.reshape(array.shape)


_NUMBERS = {float, int, type(None)}
_PLAIN = (str, bytes, bool, int, dict, list)


def _cell(cell: Any, container: str) -> Any:
    if type(cell) in _PLAIN or type(cell) is float:
        return cell
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, np.generic):
        return _cell(cell.item(), container)
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    raise UnsupportedOutput(container, reason=f"they hold a {type(cell).__name__}")


def _moments(array: Array) -> Array:
    texts = np.datetime_as_string(array).ravel().tolist()
    return object_array([None if text == "NaT" else text for text in texts]).reshape(array.shape)
