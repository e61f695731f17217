"""What a report draws of rows that were not held: from sums, and from the bins that scores were counted in."""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.evaluation._class_outcome import ClassOutcome
from palate.evaluation._label_outcome import LabelOutcome
from palate.evaluation._number_outcome import NumberOutcome
from palate.evaluation._outcomes import Array
from palate.evaluation._picture_data import (
    CALIBRATION_BINS,
    MAX_CURVES,
    calibration_of,
    calibration_sums,
    confusion_of,
    curves_of,
    ranked_labels,
    residual_edges,
    residuals_of,
)
from palate.evaluation._streaming_metrics import StreamingMetrics
from palate.evaluation.results import Pictures

__all__ = ["StreamingPictures"]


class StreamingPictures:
    """Sums for pictures.

    Args:
        first: some rows, which pass by themselves too; residuals are shown within their range.
        seed: of the sample that is shown.
    """

    def __init__(self, first: ClassOutcome | LabelOutcome | NumberOutcome, *, seed: int) -> None:
        self._first, self._seed = first, seed
        self._cells = np.zeros((0, 0))
        self._calibration: list[Array] = [np.zeros((3, CALIBRATION_BINS)) for _ in first.rankings()[:MAX_CURVES]]
        self._edges = np.empty(0)
        if isinstance(first, NumberOutcome):
            self._edges = residual_edges((first.predicted - first.truth)[:, 0])
        self._residuals = np.zeros(max(len(self._edges) - 1, 0))

    def add(self, rows: ClassOutcome | LabelOutcome | NumberOutcome) -> None:
        """Add rows."""
        if isinstance(rows, NumberOutcome):
            off = np.clip((rows.predicted - rows.truth)[:, 0], self._edges[0], self._edges[-1])
            self._residuals += np.histogram(off, bins=self._edges, weights=rows.weights)[0]
            return
        if isinstance(rows, ClassOutcome):
            self._add_cells(rows)
        for sums, (truth, scores) in zip(self._calibration, rows.rankings(), strict=False):
            if scores.size and scores.min() >= 0 and scores.max() <= 1:
                sums += np.stack(calibration_sums(truth, scores, rows.weights))
            else:
                sums += np.nan  # no probabilities

    def draw(self, form: Any, order: Array | None, streamed: StreamingMetrics[Any], *, scale: float) -> Pictures:
        """Return the pictures; *form* has no rows, and *order* is the code under which each of its classes was met."""
        if isinstance(self._first, NumberOutcome):
            if self._first.truth.shape[1] > 1:
                return Pictures()
            return Pictures(residuals=residuals_of(self._edges, self._residuals * scale, self._first, self._seed))
        labels = ranked_labels(form)
        curves = [
            curves_of(label, *_pseudo_rows(bins.counts[:, 0]))
            for label, bins in list(zip(labels, streamed.score_bins, strict=False))[:MAX_CURVES]
        ]
        confusion = None
        if order is not None:
            cells = _widened(self._cells, len(order))
            confusion = confusion_of(form.classes, cells[np.ix_(order, order)] * scale)
        probable = not isinstance(form, ClassOutcome) or form.probable
        calibration = [
            calibration_of(label, sums[0], sums[1], sums[2], scale)
            for label, sums in zip(labels, self._calibration, strict=False)
            if probable and np.isfinite(sums).all()
        ]
        return Pictures(
            roc=tuple(roc for roc, _ in curves if roc),
            pr=tuple(pr for _, pr in curves if pr),
            calibration=tuple(calibration),
            confusion=confusion,
        )

    def _add_cells(self, rows: ClassOutcome) -> None:
        self._cells = _widened(self._cells, len(rows.classes))
        self._cells += rows.confusion()


def _widened(cells: Array, count: int) -> Array:
    """Return a confusion matrix with room for *count* classes, those that came first in its corner."""
    return np.pad(cells, (0, count - len(cells)))


def _pseudo_rows(counts: Array) -> tuple[Array, Array, Array]:
    """Return a row for each side of each bin: which side it is, a score that sorts it, and its weight."""
    scores = np.arange(counts.shape[1], dtype=np.float64)
    truth = np.repeat([False, True], len(scores))
    weights = counts.reshape(-1)
    there = weights > 0
    return truth[there], np.tile(scores, 2)[there], weights[there]
