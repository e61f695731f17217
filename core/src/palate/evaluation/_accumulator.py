"""The rows of one model: held as long as they fit, summed up from then on; and the figures of them in the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palate.evaluation._class_outcome import ClassOutcome
from palate.evaluation._custom_metrics import call_metrics, metric_name
from palate.evaluation._evaluated_model import EvaluatedModel, PredictedRows
from palate.evaluation._label_outcome import LabelOutcome
from palate.evaluation._metrics import MeasuredMetrics, measure
from palate.evaluation._number_outcome import NumberOutcome
from palate.evaluation._outcomes import Array
from palate.evaluation._picture_data import picture_data
from palate.evaluation._slices import Division, SliceColumn
from palate.evaluation._streaming_metrics import StreamingMetrics
from palate.evaluation._streaming_pictures import StreamingPictures
from palate.evaluation._task_spec import Rows, TaskSpec, class_form, find_task_spec, make_outcome, with_sorted_classes
from palate.evaluation.errors import InvalidWeights
from palate.evaluation.results import Metric, Pictures, Slice

__all__ = ["Accumulator", "Totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What was found of a model.

    Attributes:
        spec: the task and its classes.
        measured: the figures of all rows.
        slices: those of parts of them.
        pictures: what can be drawn.
        exact: whether no figure comes from bins.
        notes: what a reader has to know.
        rows: all rows, where they were held.
    """

    spec: TaskSpec
    measured: MeasuredMetrics
    slices: tuple[Slice, ...]
    pictures: Pictures
    exact: bool
    notes: tuple[str, ...]
    rows: Rows | None


class Accumulator:
    """Rows as they come.

    Args:
        subject: the model.
        columns: by which rows are divided.
        max_held_bytes: how much memory they may take.
        weights: what the weights are called, for an error.
    """

    def __init__(
        self, subject: EvaluatedModel, columns: Sequence[SliceColumn], *, max_held_bytes: int, weights: str
    ) -> None:
        self._subject, self._columns, self._limit, self._weights = subject, columns, max_held_bytes, weights
        self._parts: list[PredictedRows] = []
        self._held = 0
        self._any_weight = False
        self._streamed: _StreamedRows | None = None

    def add(self, part: PredictedRows) -> None:
        """Take rows in."""
        if part.weights is not None:
            self._any_weight |= bool(part.weights.any())
        if self._streamed is not None:
            self._streamed.add(part)
            return
        self._parts.append(part)
        self._held += part.nbytes
        if self._held > self._limit and len(part):
            self._stream()

    def finish(self) -> Totals:
        """Return what was found; there has to be at least one row."""
        if self._weights and not self._any_weight:
            raise InvalidWeights(self._weights, reason="they are 0 in all rows")
        if self._streamed is not None:
            return self._streamed.finish()
        part = PredictedRows.joined(self._parts)
        spec = find_task_spec(self._subject, part)
        rows = make_outcome(self._subject, spec, part)
        settings = self._subject.settings
        measured = measure(rows, settings.bootstrap)
        true, predicted = _user_values(rows)
        custom = call_metrics(settings.metrics, true, predicted, rows.weights)
        slices, notes = self._slices(rows, part)
        return Totals(
            spec=spec,
            measured=replace(measured, metrics=(*measured.metrics, *custom)),
            slices=slices,
            pictures=picture_data(rows, scale=_picture_scale(spec, len(rows)), seed=settings.bootstrap.seed),
            exact=True,
            notes=(*spec.notes, *notes),
            rows=rows,
        )

    def _slices(self, rows: Rows, part: PredictedRows) -> tuple[tuple[Slice, ...], list[str]]:
        found, notes = [], []
        for column, values in zip(self._columns, part.slices, strict=True):
            division = column.divide(values)
            notes += [division.note] if division.note else []
            assigned = division.assign(values)
            for place, (value, label) in enumerate(division.parts):
                some = np.flatnonzero(assigned == place)
                if len(some):
                    metrics = measure(rows.take(some), self._subject.settings.bootstrap).metrics
                    found.append(Slice(column=column.name, value=value, label=label, rows=len(some), metrics=metrics))
        return tuple(found), notes

    def _stream(self) -> None:
        """Sum up what is held, and from now on what comes: memory is used up."""
        part = PredictedRows.joined(self._parts)
        self._streamed = _StreamedRows(self._subject, self._columns, part)
        for held in self._parts:
            self._streamed.add(held)
        self._parts = []


class _StreamedRows:
    """Rows that are not held, but summed up as they pass.

    Args:
        subject: the model.
        columns: by which rows are divided.
        first: rows by which bins, slices and scales are chosen; ``add`` is called with them too.
    """

    def __init__(self, subject: EvaluatedModel, columns: Sequence[SliceColumn], first: PredictedRows) -> None:
        self._subject, self._columns = subject, columns
        self._spec = find_task_spec(subject, first, final=False)
        rows = self._outcome(first)
        bootstrap = subject.settings.bootstrap
        self._all: StreamingMetrics[Any] = StreamingMetrics(rows, bootstrap)
        self._divisions = [column.divide(values) for column, values in zip(columns, first.slices, strict=True)]
        self._parts = [
            [self._part(rows, division, values, place) for place in range(len(division.parts))]
            for division, values in zip(self._divisions, first.slices, strict=True)
        ]
        self._left = [0] * len(columns)
        self._held = len(first)
        self._pictures = StreamingPictures(rows, seed=bootstrap.seed)

    def _part(self, rows: Rows, division: Division, values: Array, place: int) -> StreamingMetrics[Any]:
        some = rows.take(np.flatnonzero(division.assign(values) == place))
        return StreamingMetrics(some, self._subject.settings.bootstrap, whole=self._all)

    def _outcome(self, part: PredictedRows) -> Rows:
        return make_outcome(self._subject, self._spec, part, sort=False)

    def add(self, part: PredictedRows) -> None:
        rows = self._outcome(part)
        self._all.add(rows)
        self._pictures.add(rows)
        for at, (division, values) in enumerate(zip(self._divisions, part.slices, strict=True)):
            assigned = division.assign(values)
            self._left[at] += int((assigned < 0).sum())
            for place, streamed in enumerate(self._parts[at]):
                streamed.add(rows.take(np.flatnonzero(assigned == place)))

    def finish(self) -> Totals:
        spec = with_sorted_classes(self._subject, self._spec)
        form, order = self._form(spec), spec.order if self._subject.family == "classes" else None
        measured = self._all.measure(form, order)
        custom = tuple(
            Metric(name=metric_name(each), value=None, greater_is_better=None, note=_NOT_HELD)
            for each in self._subject.settings.metrics
        )
        notes = [f"Only {self._held:,} rows were held; the others were summed up as they passed."]
        notes += [*self._all.coarseness(), *self._left_out()]
        return Totals(
            spec=spec,
            measured=replace(measured, metrics=(*measured.metrics, *custom)),
            slices=self._slices(form, order),
            pictures=self._pictures.draw(form, order, self._all, scale=_picture_scale(spec, self._all.rows)),
            exact=not (self._all.score_bins or self._all.error_bins),
            notes=(*spec.notes, *notes),
            rows=None,
        )

    def _form(self, spec: TaskSpec) -> Rows:
        if self._subject.family == "classes":
            return class_form(self._subject, spec)
        none = np.empty((0, self._subject.target.width))
        if self._subject.family == "numbers":
            return NumberOutcome(truth=none, predicted=none, center=spec.center)
        scores = none if self._all.score_bins else None
        names = tuple(map(str, spec.classes))
        return LabelOutcome(truth=none, predicted=none, names=names, scores=scores)

    def _slices(self, form: Rows, order: Array | None) -> tuple[Slice, ...]:
        return tuple(
            Slice(
                column=division.column,
                value=value,
                label=label,
                rows=streamed.rows,
                metrics=streamed.measure(form, order).metrics,
            )
            for division, parts in zip(self._divisions, self._parts, strict=True)
            for (value, label), streamed in zip(division.parts, parts, strict=True)
            if streamed.rows
        )

    def _left_out(self) -> list[str]:
        return [
            f"Of '{division.column}', {rows:,} rows hold values that were not among the first rows, or are rare."
            for division, rows in zip(self._divisions, self._left, strict=True)
            if rows
        ]


_NOT_HELD = "No value: it needs all rows, which are too many to hold."


def _user_values(rows: Rows) -> tuple[Array, Array]:
    """Return what is true and what was predicted as the user knows it: classes, 0 and 1, or numbers."""
    if isinstance(rows, ClassOutcome):
        classes = np.array(rows.classes)
        return classes[rows.truth], classes[rows.predicted]
    if isinstance(rows, LabelOutcome):
        return rows.truth.astype(np.int8), rows.predicted.astype(np.int8)
    one = rows.truth.shape[1] == 1
    return (rows.truth[:, 0], rows.predicted[:, 0]) if one else (rows.truth, rows.predicted)


def _picture_scale(spec: TaskSpec, rows: int) -> float:
    """Return by what weights are multiplied to be those of the data again, unless their sum is no number."""
    return spec.scale if math.isfinite(spec.scale * max(rows, 1)) else 1.0
