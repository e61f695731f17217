"""Whether an interval tells enough for a rule "with 95% confidence", and which of its ends the rule is held against."""

from __future__ import annotations

import math
from typing import Final

from palate.evaluation._display_text import percent_text
from palate.evaluation._gate_rules import Rule
from palate.evaluation.results import Comparison, Difference, Evaluation, Metric

__all__ = ["Undecidable", "end_of_difference", "end_of_metric"]

_SAMPLES_OUTSIDE: Final = 5
"""Samples beyond each end of an interval. With fewer, the end is little more than the luck of the outermost sample."""
_SHARES_OF_ROWS: Final = ("accuracy", "subset_accuracy")
"""Metrics that are a share of all rows: of these, the rows tell an interval even if they all agree."""


class Undecidable(Exception):
    """A rule cannot be decided; the text says why, as a sentence without its end."""


def end_of_metric(rule: Rule, metric: Metric, rows: int, found: Evaluation) -> float:
    """Return the end of a figure's interval that comes nearest to breaking a rule.

    Where all rows are right, so are those of every sample, and the interval has no width however few they are. Of a
    share of rows, its exact interval (Clopper-Pearson) is taken then; of others, nothing is known.

    Raises:
        Undecidable: there is no such interval, or it is not to be relied on.
    """
    _check(rule, found.confidence, found.resamples)
    low, high = metric.low, metric.high
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        raise Undecidable(f"the confidence interval of {metric.name} is not defined")
    if _is_point(low, high):
        if metric.name not in _SHARES_OF_ROWS or found.weights is not None or metric.value not in (0, 1):
            raise Undecidable(_all_agree(f"{metric.name} is {low:.4g}", rows))
        unseen = _most_unseen(rows, found.confidence)
        low, high = (1 - unseen, 1.0) if metric.value == 1 else (0.0, unseen)
    return _nearer(rule, low, high)


def end_of_difference(rule: Rule, difference: Difference, found: Comparison) -> float:
    """Return the end of a difference's interval that comes nearest to breaking a rule.

    Two models that never differed on these rows may differ on others, unless they are one and the same.

    Raises:
        Undecidable: there is no such interval, or it is not to be relied on.
    """
    _check(rule, found.confidence, found.b.resamples)
    low, high = difference.low, difference.high
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        raise Undecidable(f"the interval of the difference in {difference.name} is not defined")
    is_same_model = found.a.digest is not None and found.a.digest == found.b.digest
    if _is_point(low, high) and not is_same_model:
        if difference.name not in _SHARES_OF_ROWS or found.b.weights is not None or difference.difference != 0:
            raise Undecidable(_all_agree(f"the difference in {difference.name} is {low:.4g}", found.b.rows))
        high = _most_unseen(found.b.rows, found.confidence)
        low = -high
    return _nearer(rule, low, high)


def _check(rule: Rule, confidence: float, resamples: int) -> None:
    """Raise Undecidable unless intervals are of a rule's confidence, and from enough samples for it."""
    wanted = rule.confidence
    assert wanted is not None  # the caller has seen to that
    if not math.isclose(wanted, confidence, abs_tol=1e-9):
        raise Undecidable(f"the intervals are of {percent_text(confidence)}, not of {percent_text(wanted)}")
    least = math.ceil(round(2 * _SAMPLES_OUTSIDE / (1 - wanted), 6))
    if resamples < least:
        told = f"{resamples:,} resamples are too few for {percent_text(wanted)} confidence"
        raise Undecidable(f"{told}: {least:,} are needed (CLI: --resamples)")


def _is_point(low: float, high: float) -> bool:
    return math.isclose(low, high, rel_tol=1e-12)


def _most_unseen(rows: int, confidence: float) -> float:
    """Return how large a share of rows may be of a kind that none of *rows* is of."""
    return float(1 - ((1 - confidence) / 2) ** (1 / rows)) if rows else 1.0


def _all_agree(what: str, rows: int) -> str:
    return f"{what} in all resamples of {rows:,} rows, which tells no interval: more rows, or others, are needed"


def _nearer(rule: Rule, low: float, high: float) -> float:
    return low if rule.comparator in (">=", ">") else high
