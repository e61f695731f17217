"""Columns that an evaluation reads beside the model's inputs: the target, weights, and what rows are divided by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from palate.datasets import Chunk, Dataset
from palate.errors import InvalidInput
from palate.evaluation.errors import EvaluationError, InvalidTarget, InvalidWeights, TargetNotFound

__all__ = ["ColumnSource", "all_missing", "flags", "numbers", "require_columns", "to_floats"]


class ColumnSource:
    """Columns of the data by name, or values that are in memory already, a row for each row of the data.

    Attributes:
        names: of the columns to read; empty for values in memory.
        title: what an error, and the evaluation, calls it.
    """

    def __init__(self, source: Any, *, role: str) -> None:
        self.role = role
        self.names: tuple[str, ...] = ()
        self._held: list[Any] | None = None
        if isinstance(source, str):
            self.names = (source,)
        elif isinstance(source, list | tuple) and source and all(isinstance(name, str) for name in source):
            self.names = tuple(source)
        else:
            self._held = _arrow_columns(source, role)
        self.title = ",".join(self.names) if self.names else getattr(source, "name", None) or f"the {role} given"
        self.width = len(self.names) if self._held is None else len(self._held)

    def read(self, chunk: Chunk, start: int) -> list[Any]:
        """Return the cells of each column, for a chunk whose first row is the *start*-th of the data."""
        if self._held is None:
            try:
                return [chunk.column(name) for name in self.names]
            except InvalidInput as exc:
                raise InvalidTarget(self.title, reason=exc.problems[0].message, hint="give cells of one type") from exc
        cells = [column.slice(start, len(chunk)) for column in self._held]
        if len(cells[0]) < len(chunk):
            raise self._wrong_length(f"more than {start + len(cells[0]):,}")
        return cells

    def check_length(self, rows: int) -> None:
        """Refuse values in memory that are not as many as the rows that were read."""
        if self._held is not None and len(self._held[0]) != rows:
            raise self._wrong_length(f"{rows:,}")

    def _wrong_length(self, rows: str) -> EvaluationError:
        values = len(self._held[0]) if self._held else 0
        reason = f"it has {values:,} values, and the data {rows} rows"
        if self.role == "weights":
            return InvalidWeights(self.title, reason=reason)
        return InvalidTarget(self.title, reason=reason, hint="give one value for each row of the data, in its order")


def require_columns(dataset: Dataset, given: ColumnSource, *, inputs: Sequence[str] = ()) -> None:
    """Raise TargetNotFound for a column that is not there, and for a target that is one of the model's *inputs*."""
    known = dataset.columns or ()
    for name in given.names:
        if name not in known:
            raise TargetNotFound(name, role=given.role, known=known)
        if name in inputs:
            raise TargetNotFound(name, role=given.role, known=known, is_input=True)


def all_missing(cells: Any) -> bool:
    """Return whether each of some Arrow cells is null or NaN."""
    import pyarrow.compute as pc

    return bool(pc.all(cells.is_null(nan_is_null=True)).as_py()) if len(cells) else True


def to_floats(cells: Any) -> np.ndarray[Any, Any]:
    """Return Arrow cells that are numbers as float64, NaN where they are missing."""
    import pyarrow as pa

    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def numbers(cells: Any, given: ColumnSource) -> np.ndarray[Any, Any]:
    """Return Arrow cells as float64, NaN where they are missing. Raises InvalidTarget for text."""
    import pyarrow as pa

    try:
        return to_floats(cells)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        reason = f"it holds cells of the type {cells.type}, not numbers"
        if given.role == "weights":
            raise InvalidWeights(given.title, reason=reason) from exc
        raise InvalidTarget(given.title, reason=reason, hint="give a column of numbers") from exc


def flags(cells: Any, given: ColumnSource) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return Arrow cells that are 0 or 1 as truth values, and where they are there. Raises InvalidTarget."""
    values = numbers(cells, given)
    there = ~np.isnan(values)
    if not np.isin(values[there], (0.0, 1.0)).all():
        hint = "several columns are several labels, each 0 or 1; pass task='regression' if they are numbers"
        raise InvalidTarget(given.title, reason="a label is neither 0 nor 1", hint=hint)
    return values == 1, there


def _arrow_columns(source: Any, role: str) -> list[Any]:
    """Return each column of values in memory as an Arrow array."""
    import pyarrow as pa

    if source is None:
        raise InvalidTarget(f"the {role} given", reason="it is None", hint="name a column, or pass one value a row")
    try:
        if hasattr(source, "columns") and hasattr(source, "to_numpy"):
            return [pa.array(source[name], from_pandas=True) for name in source.columns]
        if isinstance(source, pa.Table):
            return list(source.columns)
        if isinstance(source, pa.Array | pa.ChunkedArray):
            return [source]
        if hasattr(source, "to_arrow"):
            return [source.to_arrow()]
        if not hasattr(source, "dtype"):
            source = list(source)
            return [pa.array(source, from_pandas=True)] if not _is_nested(source) else _split(np.asarray(source))
        return _split(source) if getattr(source, "ndim", 1) > 1 else [pa.array(source, from_pandas=True)]
    except (TypeError, pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        reason = f"a {type(source).__name__} of this kind cannot be read ({type(exc).__name__})"
        hint = "name a column, or pass an array with one value of one type for each row"
        raise InvalidTarget(f"the {role} given", reason=reason, hint=hint) from exc


def _is_nested(source: Sequence[Any]) -> bool:
    return bool(source) and isinstance(source[0], list | tuple | np.ndarray)


def _split(matrix: Any) -> list[Any]:
    import pyarrow as pa

    if matrix.ndim != 2:
        reason = f"it has {matrix.ndim} dimensions"
        raise InvalidTarget("the target given", reason=reason, hint="give one row of values for each row of the data")
    return [pa.array(np.ascontiguousarray(matrix[:, index]), from_pandas=True) for index in range(matrix.shape[1])]
