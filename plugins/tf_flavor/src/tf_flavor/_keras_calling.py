"""Predicting with Keras models: in one compiled call where the rows are few, in bounded steps where they are many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tf_flavor._arrays import as_arrays, name_outputs
from tf_flavor._imports import import_keras

__all__ = ["predict_keras"]

# What a step holds of the input; the layers' own results are usually some tens of times as much.
_STEP_BYTES = 4 << 20
# Keras' own predict() takes 32 rows at a time, so a model that predicts there predicts with as many here.
_MIN_ROWS, _MAX_ROWS = 32, 8192


def predict_keras(model: Any, data: Any) -> Any:
    """Return what ``model.predict(data)`` returns, without its progress bar and most of its overhead."""
    specs = getattr(model, "inputs", None) or []
    given = as_arrays(data, {spec.name: (tuple(spec.shape), str(spec.dtype)) for spec in specs})
    if isinstance(given, Mapping) and len(given) == len(specs) == 1 and isinstance(model, import_keras().Sequential):
        given = given[specs[0].name]  # other models take their only input by name, too; this kind warns of it
    rows = _rows(given)
    step = _step(given, rows, specs)
    if rows is None or rows <= step:
        return name_outputs(model.predict_on_batch(given), getattr(model, "output_names", ()))
    parts = [model.predict_on_batch(_slice(given, start, start + step)) for start in range(0, rows, step)]
    return name_outputs(_joined(parts), getattr(model, "output_names", ()))


def _leaves(data: Any) -> list[Any]:
    if isinstance(data, Mapping):
        return [leaf for value in data.values() for leaf in _leaves(value)]
    if isinstance(data, list | tuple):
        return [leaf for value in data for leaf in _leaves(value)]
    return [data]


def _rows(given: Any) -> int | None:
    """Return how many rows all of *given* has, or None if that is not one number."""
    counts: set[int | None] = {leaf.shape[0] if getattr(leaf, "ndim", 0) else None for leaf in _leaves(given)}
    return counts.pop() if len(counts) == 1 else None


def _step(given: Any, rows: int | None, specs: Sequence[Any]) -> int:
    if not rows or any(spec.shape and spec.shape[0] is not None for spec in specs):
        return rows or 0  # a fixed number of rows is all or nothing
    row_bytes = sum(int(leaf.nbytes) for leaf in _leaves(given)) / rows
    return max(_MIN_ROWS, min(_MAX_ROWS, math.floor(_STEP_BYTES / max(row_bytes, 1))))


def _slice(data: Any, start: int, stop: int) -> Any:
    if isinstance(data, Mapping):
        return {key: _slice(value, start, stop) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(_slice(value, start, stop) for value in data)
    return data[start:stop]


def _joined(parts: Sequence[Any]) -> Any:
    """Join the results of all steps, structure by structure."""
    import numpy as np

    first = parts[0]
    if isinstance(first, Mapping):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, list | tuple):
        return [_joined([part[place] for part in parts]) for place in range(len(first))]
    return np.concatenate(parts)
