"""Frames for a model whose signature is one nameless table, although the model knows the names of its features.

The signature of such a model was inferred from an array. A frame whose columns stand in another order, if it were taken
by position, would be predicted on wrongly and without an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from palate._containers.arrow import to_arrow
from palate._containers.frames import to_frame
from palate._containers.kinds import has_names, is_arrow, is_dataframe, is_foreign_table, is_polars, is_scalar
from palate._containers.nameless import list_names
from palate._containers.unfit import Unfit
from palate._enforcement.labels import ambiguous, are_same
from palate._enforcement.plan import InputPlan
from palate.errors import InvalidInput, Problem
from palate.schema import ColSpec

__all__ = ["ByFeatureNames"]


class ByFeatureNames:
    """Puts the columns of frames in the order of the features, then enforces with another plan."""

    __slots__ = ("_names", "_plan", "_seen", "_specs")

    def __init__(self, plan: InputPlan, names: Sequence[str]) -> None:
        self._plan = plan
        self._names = list(names)
        self._seen: Any = None  # the labels of the last DataFrame that had the features in their order
        self._specs: tuple[ColSpec, ...] = ()  # made when they are first needed, which takes time for many features

    def enforce(self, data: object) -> object:
        """Return *data* as the other plan has it. Raises InvalidInput for a frame that lacks features."""
        if is_dataframe(data):
            if not self._was_seen(data):
                columns, data = data.columns, self._arrange(data)
                self._seen = columns if list(columns) == self._names else self._seen
            return self._plan.enforce(data)
        if has_names(data):
            return self._plan.enforce(self._rows(data))
        return self._plan.enforce(self._arrange(_with_columns(data)))

    def takes_names(self, data: object) -> bool:
        """Tell whether ``enforce`` finds the features in *data* by their names, and not by position."""
        if is_dataframe(data) and self._was_seen(data):
            return True
        return has_names(data) or _text_labels(data) is not None or is_foreign_table(data)

    def _was_seen(self, frame: Any) -> bool:
        return self._seen is not None and are_same(frame.columns, self._seen)

    def _arrange(self, data: Any) -> Any:
        labels = _text_labels(data)
        if labels is None or labels == self._names:
            return data
        self._check(labels)
        return _select(data, self._names)

    def _check(self, labels: list[Any]) -> None:
        counts = Counter(labels)
        problems: list[Problem] = []
        for name in self._names:
            if not counts[name]:
                given = "" if problems else f" (got {list_names(list(counts)) or 'no columns'})"
                problems.append(Problem(("inputs", name), "missing", f"this feature of the model is missing{given}"))
            elif counts[name] > 1:
                problems.append(ambiguous(name, counts[name]))
        if problems:
            raise InvalidInput(problems)

    def _rows(self, data: Any) -> object:
        """Return records, or a dict of columns, as rows where they hold numbers without a dtype, else as a frame."""
        # pandas would give the numbers of a list one, and round integers on the way.
        if isinstance(data, list) and all(isinstance(record, dict) for record in data):
            self._check(list({name: None for record in data for name in record}))
            return [[record.get(name) for name in self._names] for record in data]
        if isinstance(data, dict):
            self._check(list(data))
            cells = [data[name] for name in self._names]
            if all(is_scalar(cell) for cell in cells):
                return [cells]
            if all(isinstance(cell, list) and cell for cell in cells) and len(set(map(len, cells))) == 1:
                return [list(row) for row in zip(*cells, strict=True)]
        self._specs = self._specs or tuple(ColSpec(type="double", name=name) for name in self._names)
        try:
            frame = to_frame(data, self._specs)
        except Unfit as exc:
            raise exc.invalid_input() from exc
        return self._arrange(frame)


def _with_columns(data: object) -> object:
    """Return what speaks Arrow, from a package not known here, as a Table; a stream may be read once only."""
    if not is_foreign_table(data):
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
