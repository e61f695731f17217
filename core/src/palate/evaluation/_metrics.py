"""The figures of some rows: what scikit-learn says of them, and intervals around that."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from palate.evaluation._grouped_bootstrap import resample_groups
from palate.evaluation._outcomes import Array, Outcome, Remarks, Undefined, Values
from palate.evaluation._resampling import MIN_ROWS, SampleMetrics, interval, resample
from palate.evaluation.results import Metric

__all__ = ["Bootstrap", "MeasuredMetrics", "make_metrics", "measure", "shifted"]

_DRAWN_ROWS: Final = 450_000
"""Rows, times what has to be sorted, of which whole samples are drawn; of more, samples of groups of rows are."""
_MAX_RANKINGS: Final = 100
_TOO_GREAT: Final = "It is too great for a number."
_WITHOUT: Final = {"max_error": "No interval: samples of the rows say nothing of a greatest value."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How intervals are made.

    Attributes:
        confidence: such as 0.95.
        resamples: how many samples; 0 for no intervals.
        seed: of the generator.
    """

    confidence: float
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredMetrics:
    """Figures, and for each that has an interval its values in the samples, by which models are compared."""

    metrics: tuple[Metric, ...]
    samples: Values = field(default_factory=dict)


def measure(outcome: Outcome, bootstrap: Bootstrap) -> MeasuredMetrics:
    """Return the figures of rows that are all there, of which there is at least one."""
    if outcome.weights is not None and not outcome.weights.any():
        undefined = {name: "The weight of all its rows is 0." for name, _greater in outcome.order}
        return make_metrics(outcome, {}, undefined, {}, "", bootstrap, {})
    undefined = outcome.undefined()
    with warnings.catch_warnings():
        # What scikit-learn warns of is in the notes: metrics that divide by nothing.
        warnings.simplefilter("ignore")
        exact = outcome.exact() | _exact_areas(outcome, undefined)
    samples, reason = _sample(outcome, bootstrap, exact)
    return make_metrics(outcome, exact, undefined, samples, reason, bootstrap, outcome.remarks())


def make_metrics(
    outcome: Outcome,
    values: Mapping[str, float],
    undefined: Undefined,
    samples: Values,
    reason: str,
    bootstrap: Bootstrap,
    remarks: Remarks,
) -> MeasuredMetrics:
    """Return figures with their intervals.

    Args:
        outcome: which metrics there are.
        values: of those that have one.
        undefined: why others have none.
        samples: what they are in bootstrap samples.
        reason: why there are no samples.
        bootstrap: how the samples were made.
        remarks: what has to be known of those that have a value.
    """
    metrics = []
    for name, greater in outcome.order:
        value = None if name in undefined or name not in values else float(values[name])
        if value is None or not math.isfinite(value):
            note = undefined.get(name, _TOO_GREAT)
            metrics.append(Metric(name=name, value=None, greater_is_better=greater, note=note))
            continue
        low, high, note = interval(samples.get(name), bootstrap.confidence)
        if bootstrap.resamples and low is None:
            note = note or _WITHOUT.get(name, reason)
        note = " ".join(filter(None, (remarks.get(name), note)))
        metrics.append(Metric(name=name, value=value, low=low, high=high, greater_is_better=greater, note=note))
    return MeasuredMetrics(metrics=tuple(metrics), samples=samples)


def _exact_areas(outcome: Outcome, undefined: Undefined) -> dict[str, float]:
    from sklearn import metrics

    rankings, found = outcome.rankings(), {}
    judges = {"roc_auc": metrics.roc_auc_score, "pr_auc": metrics.average_precision_score}
    for name, judge in judges.items():
        if rankings and name not in undefined:
            areas = [judge(truth, scores, sample_weight=outcome.weights) for truth, scores in rankings]
            found[name] = float(np.mean(areas))
    return found


def _sample(outcome: Outcome, bootstrap: Bootstrap, exact: Mapping[str, float]) -> tuple[Values, str]:
    """Return the metrics in bootstrap samples, or nothing and the reason."""
    rows, resamples, seed = len(outcome), bootstrap.resamples, bootstrap.seed
    if not resamples:
        return {}, ""
    if rows < MIN_ROWS:
        return {}, f"No interval: there are fewer than {MIN_ROWS} rows."
    rankings = len(outcome.rankings()) + len(outcome.absolute_errors())
    if rows * (2 + rankings) <= _DRAWN_ROWS:
        return resample(SampleMetrics(outcome), rows=rows, resamples=resamples, seed=seed), ""
    ranked = rankings <= _MAX_RANKINGS
    reason = "" if ranked else f"No interval: there are {rankings} curves."
    values, binned = resample_groups(outcome, resamples=resamples, seed=seed, ranked=ranked)
    return shifted(values, binned, exact), reason


def shifted(values: Values, binned: Mapping[str, float], exact: Mapping[str, float]) -> Values:
    """Return values of samples moved by what bins lost: from what they make of all rows to the exact value."""
    moves: dict[str, Array | float] = {name: exact.get(name, binned[name]) - binned[name] for name in binned}
    return {name: each + moves.get(name, 0.0) for name, each in values.items()}
