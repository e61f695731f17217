"""How much each input matters: what accuracy, or R², loses when its values are shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from palate.datasets import Chunk
from palate.evaluation.results import Importance

__all__ = ["measure_importance"]

_REPEATS: Final = 5
"""Shuffles of each column, as scikit-learn's permutation_importance has by default."""
_ROWS: Final = 2000
"""Rows that are shuffled: each column asks the model five times about all of them."""


def measure_importance(
    chunk: Chunk, names: list[str] | None, score: Callable[[Any, int], float], *, seed: int
) -> tuple[Importance, ...]:
    """Return the importance of each column, the greatest first.

    Args:
        chunk: rows; at most 2,000 of them are taken.
        names: of the columns that the model is given; None for all.
        score: what the model is worth on such inputs of so many rows, greater being better.
        seed: of the shuffles.
    """
    rows = min(len(chunk), _ROWS)
    inputs = chunk.slice(0, rows).inputs(names)
    whole, random = score(inputs, rows), np.random.default_rng(seed)
    found = []
    for column, shuffled in _columns(inputs):
        losses = [whole - score(shuffled(random.permutation(rows)), rows) for _ in range(_REPEATS)]
        found.append(Importance(column=column, mean=float(np.mean(losses)), deviation=float(np.std(losses))))
    return tuple(sorted(found, key=lambda each: -each.mean))


def _columns(inputs: Any) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return each column's name, and what makes inputs in which its values are in another order."""
    if hasattr(inputs, "column_names"):
        return [(name, _shuffle_column(inputs, at)) for at, name in enumerate(inputs.column_names)]
    if inputs.ndim != 2:
        return []
    return [(str(at), _shuffle_array(inputs, at)) for at in range(inputs.shape[1])]


def _shuffle_column(table: Any, at: int) -> Callable[[Any], Any]:
    return lambda order: table.set_column(at, table.schema.field(at), table.column(at).take(order))


def _shuffle_array(array: Any, at: int) -> Callable[[Any], Any]:
    def shuffled(order: Any) -> Any:
        copy = array.copy()
        copy[:, at] = array[order, at]
        return copy

    return shuffled
