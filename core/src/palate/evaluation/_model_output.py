"""What a model returned, as arrays of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.evaluation.errors import InvalidPredictions

__all__ = ["ModelOutput", "arrow_cells", "read_output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """What a method returned for some rows.

    Attributes:
        method: its name.
        values: one value a row, or one row of values.
        names: of the columns, where the model names them.
    """

    method: str
    values: np.ndarray[Any, Any]
    names: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many values each row has."""
        return 1 if self.values.ndim == 1 else self.values.shape[1]

    @property
    def is_number(self) -> bool:
        """Whether the values are floating-point numbers, or integers; truth values are not."""
        return self.values.dtype.kind in "iuf"


def read_output(raw: Any, *, method: str, rows: int) -> ModelOutput:
    """Return what a method returned for *rows* rows. Raises InvalidPredictions."""
    values, names = _values_of(raw, method)
    if values.ndim == 0 or len(values) != rows:
        given = "one value" if values.ndim == 0 else f"{len(values):,} values"
        raise InvalidPredictions(method, reason=f"{given} for {rows:,} rows", hint="a model predicts row by row")
    if values.ndim > 2:
        values = values.reshape(rows, -1) if values.size == rows else values
    if values.ndim > 2:
        shape = " by ".join(map(str, values.shape))
        raise InvalidPredictions(method, reason=f"an array of {shape}", hint="one value, or one row of values, a row")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind not in "biufUSOT":
        raise InvalidPredictions(method, reason=f"values of the type {values.dtype}", hint="classes or numbers are")
    return ModelOutput(method=method, values=values, names=names)


def arrow_cells(answer: ModelOutput) -> Any:
    """Return one-dimensional values as an Arrow array. Raises InvalidPredictions."""
    import pyarrow as pa

    try:
        return pa.array(answer.values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        raise InvalidPredictions(
            answer.method, reason="its values are of several types", hint="predict classes of one type"
        ) from exc


def _values_of(raw: Any, method: str) -> tuple[np.ndarray[Any, Any], tuple[str, ...] | None]:
    if isinstance(raw, np.ndarray):
        return raw, None
    if hasattr(raw, "toarray"):  # scipy's sparse matrices, which classifiers of many labels return
        return np.asarray(raw.toarray()), None
    if isinstance(raw, list | tuple) and raw and all(getattr(part, "ndim", 0) == 2 for part in raw):
        return _one_column_each(raw, method), None
    table = _columns_of(raw)
    if table is None:
        if hasattr(raw, "detach"):
            raw = raw.detach().cpu()
        return np.asarray(raw.to_numpy() if hasattr(raw, "to_numpy") else raw), None
    names, columns = table
    if len(columns) == 1:
        return columns[0], None
    if len({column.dtype.kind in "biuf" and column.ndim == 1 for column in columns}) != 1 or columns[0].ndim != 1:
        hint = "return the prediction alone, or pass method= to name another method"
        raise InvalidPredictions(method, reason=f"columns of several kinds: {', '.join(names[:10])}", hint=hint)
    return np.stack(columns, axis=1), tuple(names)


def _columns_of(raw: Any) -> tuple[list[str], list[np.ndarray[Any, Any]]] | None:
    """Return names and columns of a frame, a table or a dict; None for anything else."""
    if hasattr(raw, "column_names"):
        return list(raw.column_names), [np.asarray(raw.column(name)) for name in raw.column_names]
    if hasattr(raw, "columns") and hasattr(raw, "to_numpy"):
        return [str(name) for name in raw.columns], [np.asarray(raw[name]) for name in raw.columns]
    if isinstance(raw, dict):
        return [str(name) for name in raw], [np.asarray(values) for values in raw.values()]
    if isinstance(raw, list) and raw and isinstance(raw[0], dict):
        names = list(raw[0])
        return [str(name) for name in names], [np.asarray([row.get(name) for row in raw]) for name in names]
    return None


def _one_column_each(parts: Sequence[Any], method: str) -> np.ndarray[Any, Any]:
    """Return what scikit-learn's classifiers of several labels give: for each label, the chances of 0 and 1."""
    if any(part.shape[1] != 2 for part in parts):
        hint = "evaluate one target at a time, or labels that are 0 and 1"
        raise InvalidPredictions(method, reason="chances of more, or of less, than the two classes 0 and 1", hint=hint)
    return np.stack([np.asarray(part)[:, 1] for part in parts], axis=1)
