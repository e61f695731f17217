"""What a report draws, in few points: curves, calibration, the confusion of classes, how far numbers are off."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np

from palate.evaluation._class_outcome import ClassOutcome
from palate.evaluation._label_outcome import LabelOutcome
from palate.evaluation._number_outcome import NumberOutcome
from palate.evaluation._outcomes import Array
from palate.evaluation.results import Calibration, Confusion, Curve, Label, Pictures, Residuals

__all__ = [
    "CALIBRATION_BINS",
    "MAX_CURVES",
    "calibration_of",
    "calibration_sums",
    "confusion_of",
    "curves_of",
    "picture_data",
    "ranked_labels",
    "residual_edges",
    "residuals_of",
]

_CURVE_POINTS: Final = 200
"""One for each unit and a half of the width of a picture."""
MAX_CURVES: Final = 20
"""A report tells six of them apart, and draws the others alike."""
_MAX_CONFUSED: Final = 100
"""Of more classes, a square of the matrix would be smaller than three units."""
CALIBRATION_BINS: Final = 10
"""As many as people expect: tenths of a probability."""
_RESIDUAL_BINS: Final = 40
_SAMPLE: Final = 1000
"""Rows that are drawn as points: a cloud of more hides its own shape."""


def picture_data(outcome: ClassOutcome | LabelOutcome | NumberOutcome, *, scale: float, seed: int) -> Pictures:
    """Return what can be drawn of rows; *scale* is by what their weights were divided."""
    if isinstance(outcome, NumberOutcome):
        return Pictures(residuals=_residuals(outcome, scale, seed)) if outcome.truth.shape[1] == 1 else Pictures()
    confusion, probable = None, True
    if isinstance(outcome, ClassOutcome):
        confusion, probable = confusion_of(outcome.classes, outcome.confusion() * scale), outcome.probable
    # Without scores there are no rankings, though there are classes.
    ranked = list(zip(ranked_labels(outcome), outcome.rankings(), strict=False))[:MAX_CURVES]
    curves = [curves_of(label, truth, scores, outcome.weights) for label, (truth, scores) in ranked]
    calibration = [
        calibration_of(label, *calibration_sums(truth, scores, outcome.weights), scale)
        for label, (truth, scores) in ranked
        if probable and scores.min() >= 0 and scores.max() <= 1
    ]
    return Pictures(
        roc=tuple(roc for roc, _ in curves if roc),
        pr=tuple(pr for _, pr in curves if pr),
        calibration=tuple(calibration),
        confusion=confusion,
    )


def ranked_labels(outcome: ClassOutcome | LabelOutcome) -> list[Label]:
    """Return the class or the label that each ranking of an outcome, and so each of its curves, is of."""
    return outcome.ranked_classes() if isinstance(outcome, ClassOutcome) else list(outcome.names)


def curves_of(label: Label, truth: Array, scores: Array, weights: Array | None) -> tuple[Curve | None, Curve | None]:
    """Return the ROC and the PR curve of a class; None where it is not defined."""
    from sklearn import metrics

    true = truth.sum() if weights is None else weights[truth].sum()
    total = len(truth) if weights is None else weights.sum()
    if true <= 0:
        return None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        false_rate, true_rate, _ = metrics.roc_curve(truth, scores, sample_weight=weights)
        precision, recall, _ = metrics.precision_recall_curve(truth, scores, sample_weight=weights)
    roc = None
    if true < total and not np.isnan(false_rate).any():
        area = float(metrics.auc(false_rate, true_rate))
        roc = Curve(label=label, x=_few(false_rate), y=_few(true_rate), area=area)
    average = float(-np.sum(np.diff(recall) * precision[:-1]))
    return roc, Curve(label=label, x=_few(recall[::-1]), y=_few(precision[::-1]), area=average)


def _few(points: Array) -> tuple[float, ...]:
    """Return at most some hundred of the points, both ends among them."""
    if len(points) > _CURVE_POINTS:
        points = points[np.unique(np.linspace(0, len(points) - 1, _CURVE_POINTS).round().astype(np.int64))]
    return tuple(float(point) for point in points)


def calibration_sums(truth: Array, scores: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    """Return, for each bin of a probability, the weight of its rows and the sums of what was said and is true."""
    places = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    weight = np.ones(len(truth)) if weights is None else weights
    columns = (weight, weight * scores, weight * truth)
    rows, said, true = (np.bincount(places, weights=each, minlength=CALIBRATION_BINS) for each in columns)
    return rows, said, true


def calibration_of(label: Label, rows: Array, said: Array, true: Array, scale: float) -> Calibration:
    """Return the calibration from the weight of the rows in each bin, and the sums of what was said and is true."""
    there = rows > 0
    return Calibration(
        label=label,
        predicted=tuple((said[there] / rows[there]).tolist()),
        observed=tuple((true[there] / rows[there]).tolist()),
        rows=tuple((rows[there] * scale).tolist()),
    )


def confusion_of(classes: tuple[Label, ...], cells: Array) -> Confusion | None:
    """Return the confusion of classes; None where there are too many to look at."""
    if len(classes) > _MAX_CONFUSED:
        return None
    return Confusion(labels=classes, counts=tuple(tuple(row) for row in cells.tolist()))


def residual_edges(off: Array) -> Array:
    """Return the edges of bins, in which all of *off* lies."""
    low, high = float(off.min()), float(off.max())
    least = 1e-6 * max(abs(low), abs(high)) or 1.0  # equal up to rounding: one bin would be too narrow for a number
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    return np.linspace(low, high, _RESIDUAL_BINS + 1)


def _residuals(outcome: NumberOutcome, scale: float, seed: int) -> Residuals | None:
    with np.errstate(over="ignore", invalid="ignore"):
        off = (outcome.predicted - outcome.truth)[:, 0]
        if not np.isfinite(np.ptp(off)):
            return None
    edges = residual_edges(off)
    counts, _ = np.histogram(off, bins=edges, weights=outcome.weights)
    return residuals_of(edges, counts * scale, outcome, seed)


def residuals_of(edges: Array, counts: Array, outcome: NumberOutcome, seed: int) -> Residuals:
    """Return how far numbers are off; a sample of the rows is taken from *outcome*."""
    rows = np.arange(len(outcome))
    if len(rows) > _SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SAMPLE, replace=False))
    return Residuals(
        edges=tuple(edges.tolist()),
        counts=tuple(np.asarray(counts, dtype=np.float64).tolist()),
        actual=tuple(outcome.truth[rows, 0].tolist()),
        predicted=tuple(outcome.predicted[rows, 0].tolist()),
    )
