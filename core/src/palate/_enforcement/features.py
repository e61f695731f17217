"""Frames for a model whose signature is one nameless table, although the model knows the names of its features.

The signature of such a model was inferred from an array. A frame whose columns stand in another order, if it were taken
by position, would be predicted on wrongly and without an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from palate._containers.arrow import to_arrow
from palate._containers.kinds import is_arrow, is_dataframe, is_polars, speaks_arrow
from palate._containers.unfit import Unfit
from palate._enforcement.labels import ambiguous, are_same
from palate.errors import InvalidInput, Problem

__all__ = ["ByFeatureNames"]


class _Plan(Protocol):
    def enforce(self, data: object) -> object: ...


class ByFeatureNames:
    """Puts the columns of frames in the order of the features, then enforces with another plan."""

    __slots__ = ("_names", "_plan", "_seen")

    def __init__(self, plan: _Plan, names: Sequence[str]) -> None:
        self._plan = plan
        self._names = list(names)
        self._seen: Any = None  # the labels of the last DataFrame that had the features in their order

    def enforce(self, data: object) -> object:
        """Return *data* as the other plan has it. Raises InvalidInput for a frame that lacks features."""
        if is_dataframe(data):
            columns = data.columns
            if self._seen is None or not are_same(columns, self._seen):
                data = self._arrange(data)
                self._seen = columns if list(columns) == self._names else self._seen
            return self._plan.enforce(data)
        return self._plan.enforce(self._arrange(_with_columns(data)))

    def _arrange(self, data: Any) -> Any:
        labels = _text_labels(data)
        if labels is None or labels == self._names:
            return data
        counts = Counter(labels)
        problems = []
        for name in self._names:
            if not counts[name]:
                problems.append(Problem(("inputs", name), "missing", "is a feature of the model"))
            elif counts[name] > 1:
                problems.append(ambiguous(name, counts[name]))
        if problems:
            raise InvalidInput(problems)
        return _select(data, self._names)


def _with_columns(data: object) -> object:
    """Return what speaks Arrow, from a package not known here, as a Table; a stream may be read once only."""
    if is_arrow(data) or is_polars(data) or not speaks_arrow(data):
        return data
    try:
        return to_arrow(data)
    except Unfit as exc:
        raise exc.invalid_input() from exc


def _text_labels(data: Any) -> list[str] | None:
    """Return the columns of a frame; None for other data, and for frames made of arrays, whose labels are numbers."""
    if is_arrow(data):
        return list(data.column_names)
    if not (is_dataframe(data) or (is_polars(data) and hasattr(data, "columns"))):
        return None
    labels = list(data.columns)
    return labels if all(isinstance(label, str) for label in labels) else None


def _select(frame: Any, names: list[str]) -> Any:
    return frame.select(names) if hasattr(frame, "select") else frame[names]
