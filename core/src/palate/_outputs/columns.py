"""Predictions of any kind as named columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from palate._containers.arrays import object_array
from palate._containers.arrow import to_arrow
from palate._containers.frames import require_pandas
from palate._containers.kinds import is_dataframe, is_ndarray, is_pandas_array, is_polars, is_series, speaks_arrow
from palate._containers.unfit import Unfit
from palate._outputs.arrays import dimensions, is_column, plain_array
from palate.schema import Array, Schema

__all__ = ["Columns", "has_labels", "named_outputs", "read_columns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Predictions as named columns of equal length.

    Attributes:
        names: different texts, one for each column.
        cells: the columns: ndarrays whose first axis are the rows, or columns of pandas, polars or pyarrow. Empty where
            there is a matrix.
        matrix: the columns as one ndarray of shape (rows, columns), or None.
        index: the row labels of columns of pandas that stand beside others, as a pandas Index, or None.
        frame: the predictions themselves where they are a frame: of pandas or polars, or a pyarrow Table.
    """

    names: list[str]
    cells: list[Any]
    matrix: Any = None
    index: Any = None
    frame: Any = None

    def split(self) -> list[Any]:
        """Return the columns one by one, those of a matrix each in one piece."""
        return self.cells if self.matrix is None else list(_by_columns(self.matrix).T)


# So many rows at once stay in the cache while their columns are written one after the other: benchmarks/thresholds.py.
_ROWS = 4096


def _by_columns(matrix: Any) -> Any:
    """Return a matrix in F order, the same one where it is."""
    import numpy as np

    if matrix.flags.f_contiguous or len(matrix) <= _ROWS:
        return np.asfortranarray(matrix)
    ordered = np.empty(matrix.shape, matrix.dtype, order="F")
    for start in range(0, len(matrix), _ROWS):
        ordered[start : start + _ROWS] = matrix[start : start + _ROWS]
    return ordered


def read_columns(predictions: Any, *, method: str, schema: Schema | None) -> Columns:
    """Take predictions apart, without copying what has columns.

    The texts that predictions bring along are their names: labels of a frame, keys of a dict, fields of a structured
    array. Others have the names of the schema, if it has as many; else their labels as text; else the method's name.

    Raises:
        Unfit: when they are no table, or their parts differ in rows or share a name.
    """
    declared = [str(field.name) for field in schema] if schema is not None and schema.is_named else []
    if is_column(predictions) or is_dataframe(predictions) or speaks_arrow(predictions):
        columns = _of_frame(predictions, declared, method)
    else:
        columns = _of_arrays(predictions, declared, method, schema)
    _check(columns)
    return columns


def _of_frame(predictions: Any, declared: list[str], base: str) -> Columns:
    if is_series(predictions):
        return Columns(names=_labels([predictions.name], declared, base), cells=[predictions])
    if is_dataframe(predictions):
        cells = [column for _, column in predictions.items()]
        return Columns(names=_labels(predictions.columns.tolist(), declared, base), cells=cells, frame=predictions)
    if is_polars(predictions):
        frame = predictions.to_frame() if is_column(predictions) else predictions
        return Columns(names=_labels(frame.columns, declared, base), cells=frame.get_columns(), frame=frame)
    table = to_arrow(predictions)
    return Columns(names=_labels(table.column_names, declared, base), cells=table.columns, frame=table)


def _labels(own: list[Any], declared: list[str], base: str) -> list[str]:
    if all(isinstance(label, str) and label for label in own):
        return own
    if len(declared) == len(own):
        return declared
    return [base if label is None or label == "" else str(label) for label in own]


def _of_arrays(predictions: Any, declared: list[str], method: str, schema: Schema | None) -> Columns:
    outputs = named_outputs(predictions, method=method, schema=schema)
    if outputs is None:
        array = object_array(predictions) if _holds_lists(predictions, schema) else plain_array(predictions)
        base = declared[0] if len(declared) == 1 else method
        return _of_array(array, declared if len(declared) == _width(array) else _numbered(base, _width(array)))
    columns = [_of_output(str(name), value) for name, value in outputs.items()]
    names = [name for column in columns for name in column.names]
    cells = [cells for column in columns for cells in column.split()]
    return Columns(names=names, cells=cells, index=_shared_index(outputs.values()))


def _of_output(name: str, value: Any) -> Columns:
    if not is_ndarray(value) and (column := _as_column(value)) is not None:
        return Columns(names=[name], cells=[column])
    array = plain_array(value)
    return _of_array(array, _numbered(name, _width(array)))


def _as_column(value: Any) -> Any:
    """Return a column as that of a Series of pandas or polars or a ChunkedArray of pyarrow, None for all else."""
    if is_pandas_array(value):
        return require_pandas().Series(value)
    if not is_column(value):
        return None
    if is_series(value) or is_polars(value):
        return value
    import pyarrow as pa

    return pa.chunked_array([value] if isinstance(value, pa.Array) else value)


def _shared_index(values: Iterable[Any]) -> Any:
    labelled = [value.index for value in values if is_series(value) and has_labels(value.index)]
    if any(not labelled[0].equals(index) for index in labelled[1:]):
        raise Unfit("wrong_value", "the outputs have different row labels")
    return labelled[0] if labelled else None


def has_labels(index: Any) -> bool:
    """Tell whether a pandas Index is another than the numbers from 0 on that rows have of themselves."""
    import pandas as pd

    if isinstance(index, pd.RangeIndex):  # which most are, and equals takes ten times as long
        return (index.start, index.step, index.name) != (0, 1, None)
    return any(name is not None for name in index.names) or not index.equals(pd.RangeIndex(len(index)))


def _of_array(array: Any, names: list[str]) -> Columns:
    if array.ndim == 2:
        return Columns(names=names, cells=[], matrix=array)
    return Columns(names=names, cells=[array.reshape(1) if array.ndim == 0 else array])


def _width(array: Any) -> int:
    """Return how many columns an array is: more dimensions than two are nested in the cells of one."""
    return int(array.shape[1]) if array.ndim == 2 else 1


def _numbered(base: str, count: int) -> list[str]:
    return [base] if count == 1 else [f"{base}_{position}" for position in range(count)]


def _holds_lists(predictions: Any, schema: Schema | None) -> bool:
    """Tell whether a list of lists is one column of lists, and no matrix."""
    one = schema.columns if schema is not None and len(schema) == 1 else ()
    return bool(one) and isinstance(one[0].type, Array) and isinstance(predictions, list)


def _check(columns: Columns) -> None:
    if twice := [name for name, count in Counter(columns.names).items() if count > 1]:
        raise Unfit("wrong_value", f"several columns would be called {', '.join(twice[:10])}")
    if columns.matrix is not None:
        return
    rows = {name: len(cells) for name, cells in zip(columns.names, columns.cells, strict=True)}
    if len(set(rows.values())) > 1:
        sizes = ", ".join(f"{name}: {count}" for name, count in list(rows.items())[:10])
        raise Unfit("wrong_shape", f"the outputs differ in their number of rows ({sizes})")


def named_outputs(predictions: Any, *, method: str, schema: Schema | None) -> Mapping[Any, Any] | None:
    """Return predictions that are several outputs by their names, and None for all others.

    Several are a dict, a structured array, records (a list of dicts), a tuple of arrays, and a list of matrices, as
    scikit-learn returns one for each target. The schema or the method names what has no name.
    """
    if isinstance(predictions, Mapping):
        return predictions
    if is_ndarray(predictions) and predictions.dtype.names:
        return {name: predictions[name] for name in predictions.dtype.names}
    if not isinstance(predictions, list | tuple) or not predictions:
        return None
    if all(isinstance(item, Mapping) for item in predictions):
        keys = {key: None for record in predictions for key in record}
        return {key: _record_cells([record.get(key) for record in predictions]) for key in keys}
    least = 1 if isinstance(predictions, tuple) else 2
    if not all(dimensions(item) >= least for item in predictions):
        return None
    named = schema is not None and schema.is_named and len(schema) == len(predictions)
    names = [str(field.name) for field in schema] if schema and named else _numbered(method, len(predictions))
    return dict(zip(names, predictions, strict=True))


def _record_cells(cells: list[Any]) -> Any:
    """Return one member of all records, where a list is one cell."""
    return object_array(cells) if any(isinstance(cell, list | tuple) or dimensions(cell) for cell in cells) else cells
