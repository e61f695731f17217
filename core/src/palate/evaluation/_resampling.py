"""Bootstrap: what metrics would have been for other rows of the same kind, and the interval in which most of that lies.

A sample draws as many rows as there are, with replacement, which says how often each row counts. What can be computed
once is: sums of what a row adds are a product with those counts, and what has to be sorted is sorted once. Too many
rows for that are dealt at random into groups, of which samples are drawn instead: the sums of each group are made once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from palate.evaluation._medians import WeightedMedian
from palate.evaluation._outcomes import Array, Outcome, Values
from palate.evaluation._ranking import Ranking

__all__ = ["MIN_ROWS", "SampleMetrics", "draw", "interval", "percentiles", "resample"]

MIN_ROWS: Final = 10
"""For fewer rows, what is drawn from them says nothing of others."""

_BLOCK: Final = 1 << 19
"""How many counts are drawn at once: what follows from them stays in a processor's cache."""
_MAX_UNDEFINED: Final = 0.1
"""The share of samples that may be without a value: what the others tell is then still about the same metric."""


class SampleMetrics:
    """The metrics of any sample of some rows.

    Args:
        outcome: the rows.
    """

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._sums = outcome.sums()
        weights = outcome.weights
        self._rankings = [Ranking(truth, scores, weights) for truth, scores in outcome.rankings()]
        self._medians = [WeightedMedian(values, weights) for values in outcome.absolute_errors()]

    def __call__(self, counts: Array) -> Values:
        """Return the metrics of each sample; *counts* says how often each row is in it: a row for each sample."""
        found = self._outcome.values(self._sums.of_samples(counts))
        if self._rankings:
            areas = [ranking.areas(counts) for ranking in self._rankings]
            found["roc_auc"] = np.mean([roc for roc, _precision in areas], axis=0)
            found["pr_auc"] = np.mean([precision for _roc, precision in areas], axis=0)
        if self._medians:
            found["median_absolute_error"] = np.mean([each.medians(counts) for each in self._medians], axis=0)
        return found


def resample(estimate: Callable[[Array], Values], *, rows: int, resamples: int, seed: int) -> Values:
    """Return the metrics of each of *resamples* samples of *rows* rows.

    The same seed draws the same rows: two models that are estimated so are compared in pairs.
    """
    size = max(1, min(resamples, _BLOCK // max(rows, 1)))
    sizes = [min(size, resamples - start) for start in range(0, resamples, size)]
    seeds = np.random.SeedSequence(seed).spawn(len(sizes))

    def one(block: tuple[np.random.SeedSequence, int]) -> Values:
        return estimate(draw(np.random.default_rng(block[0]), rows, block[1]))

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        found = list(pool.map(one, zip(seeds, sizes, strict=True)))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def draw(random: np.random.Generator, rows: int, samples: int) -> Array:
    """Return how often each row is in each sample: a row for each sample."""
    drawn = random.integers(0, rows, size=(samples, rows))
    drawn += (np.arange(samples) * rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=samples * rows).reshape(samples, rows)
    return counts.astype(np.uint8 if rows < 256 or counts.max() < 256 else np.int32)


def interval(values: Array | None, confidence: float) -> tuple[float | None, float | None, str]:
    """Return both ends of the percentile interval, or None and the reason why there is none."""
    if values is None or not len(values):
        return None, None, ""
    there = values[np.isfinite(values)]
    missing = 1 - len(there) / len(values)
    if missing > _MAX_UNDEFINED:
        return None, None, f"No interval: it has no value in {missing:.0%} of the samples."
    return *percentiles(there, confidence), ""


def percentiles(samples: Array, confidence: float) -> tuple[float, float]:
    """Return both ends of the interval in which the middle *confidence* of some numbers lies."""
    outside = (1 - confidence) / 2
    low, high = np.quantile(samples, (outside, 1 - outside))
    return float(low), float(high)
