"""Rows dealt at random into groups whose sums are made once: intervals for more rows than can be drawn over and over.

A bootstrap sample of groups varies as one of rows does, for a group is a random part of the rows; with a thousand of
them its spread is known to some two percent. Scores and errors are counted in bins. What the bins lose is lost in each
sample alike, so the samples are moved to where the exact value is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from palate.evaluation._binning import Bins, quantile_bins
from palate.evaluation._medians import median_of_bins
from palate.evaluation._outcomes import Array, Outcome, Values
from palate.evaluation._ranking import areas_of_bins
from palate.evaluation._resampling import draw

__all__ = ["Groups", "count_in_bins", "metrics_of_bins", "resample_groups"]

_GROUPS: Final = 1000
"""Of a thousand, the spread is known to some two percent."""
_BINS: Final = 512
_LEAST_BINS: Final = 64
_ALL_BINS: Final = 5120
"""Bins of all curves together, in each group: some 80 MB with both sides, as long as there are at most eighty."""


class Groups:
    """Sums and bins of rows, by group.

    Args:
        outcome: rows from which the edges of bins are taken.
        seed: of what deals the rows: two models that are given the same rows in turn are compared in pairs.
        ranked: whether scores are counted too.
    """

    def __init__(self, outcome: Outcome, *, seed: int, ranked: bool = True) -> None:
        self._random = np.random.default_rng([seed, 1])
        self._seed = seed
        rankings = outcome.rankings() if ranked else []
        errors = outcome.absolute_errors() if ranked else []
        bins = max(_LEAST_BINS, min(_BINS, _ALL_BINS // max(1, len(rankings) + len(errors))))
        self.sums: Array | None = None
        self.score_bins = [quantile_bins(scores, bins, _GROUPS) for _truth, scores in rankings]
        self.error_bins = [quantile_bins(values, bins, _GROUPS) for values in errors]

    def deal(self, rows: int) -> Array:
        """Return the group of each of the next rows."""
        return self._random.integers(0, _GROUPS, size=rows)

    def add(self, outcome: Outcome, groups: Array) -> None:
        """Add rows, each to its group."""
        sums = outcome.sums().of_groups(groups, _GROUPS)
        self.sums = sums if self.sums is None else self.sums + sums
        count_in_bins(outcome, groups, self.score_bins, self.error_bins)

    def resample(self, outcome: Outcome, resamples: int) -> Values:
        """Return the metrics of each of some samples; *outcome* says how they follow from sums."""
        assert self.sums is not None
        counts = draw(np.random.default_rng([self._seed, 2]), _GROUPS, resamples).astype(np.float64)
        return outcome.values(counts @ self.sums) | metrics_of_bins(self.score_bins, self.error_bins, counts)

    def binned(self) -> dict[str, float]:
        """Return what the bins make of all rows."""
        found = metrics_of_bins(self.score_bins, self.error_bins, np.ones((1, _GROUPS)))
        return {name: float(values[0]) for name, values in found.items()}


def count_in_bins(outcome: Outcome, groups: Array, score_bins: Sequence[Bins], error_bins: Sequence[Bins]) -> None:
    """Count the scores and errors of rows, each in its group; no bins for one of both leave that out."""
    if score_bins:
        for bins, (truth, scores) in zip(score_bins, outcome.rankings(), strict=True):
            bins.add(scores, truth, groups, outcome.weights)
    if error_bins:
        for bins, values in zip(error_bins, outcome.absolute_errors(), strict=True):
            bins.add(values, np.zeros(len(values), dtype=bool), groups, outcome.weights)


def metrics_of_bins(score_bins: Sequence[Bins], error_bins: Sequence[Bins], counts: Array) -> Values:
    """Return the metrics that need sorted rows, from bins.

    Args:
        score_bins: a curve each.
        error_bins: a target each.
        counts: how often each group is in a sample: a row for each sample.
    """
    found: Values = {}
    if score_bins:
        sides = ((*bins.sides(), bins.single) for bins in score_bins)
        areas = [areas_of_bins(counts @ true, counts @ false, single=single) for true, false, single in sides]
        found["roc_auc"] = np.mean([roc for roc, _precision in areas], axis=0)
        found["pr_auc"] = np.mean([precision for _roc, precision in areas], axis=0)
    if error_bins:
        medians = [median_of_bins(bins, counts @ bins.counts[0]) for bins in error_bins]
        found["median_absolute_error"] = np.mean(medians, axis=0)
    return found


def resample_groups(outcome: Outcome, *, resamples: int, seed: int, ranked: bool) -> tuple[Values, dict[str, float]]:
    """Return the metrics of samples of groups of the rows, and what bins make of those of all rows.

    Args:
        outcome: the rows.
        resamples: how many samples.
        seed: of the generator.
        ranked: whether scores and errors are counted, without which what is made of these is left out.
    """
    groups = Groups(outcome, seed=seed, ranked=ranked)
    groups.add(outcome, groups.deal(len(outcome)))
    return groups.resample(outcome, resamples), groups.binned()
