"""Rows dealt at random into groups whose sums are made once: intervals for more rows than can be drawn over and over.

A bootstrap sample of groups varies as one of rows does, for a group is a random part of the rows; with a thousand of
them its spread is known to some two percent. Scores and errors are counted in bins. What the bins lose is lost in each
sample alike, so the samples are moved to where the exact value is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from palate.evaluation._outcomes import Array, Outcome, Values
from palate.evaluation._ranking import areas_of_bins
from palate.evaluation._resampling import draw

__all__ = ["GROUPS", "Bins", "Groups", "median_of_bins", "quantile_bins", "resample_groups"]

GROUPS: Final = 1000
_BINS: Final = 512
_LEAST_BINS: Final = 64
_ALL_BINS: Final = 5120
_SAMPLE: Final = 200_000


def quantile_bins(values: Array, bins: int, groups: int) -> Bins:
    """Return at most *bins* bins in which values lie in about equal numbers, or one for each value of a few."""
    some = np.sort(values[:: max(1, len(values) // _SAMPLE)].astype(np.float64))
    different = np.unique(some)
    if len(different) <= bins:
        # Values that come again and again are all that there are; others are only the first of many.
        return Bins(different, groups, single=len(different) <= len(some) / 2)
    edges = np.unique(some[np.linspace(0, len(some) - 1, bins).astype(np.int64)])
    return Bins(edges, groups, single=False)


class Bins:
    """Weight by group, side and bin: the bin of a value is the first edge that is not less than it.

    Args:
        edges: in rising order.
        groups: how many groups there are.
        single: whether each edge is the only value of its bin, as far as is known.
    """

    def __init__(self, edges: Array, groups: int, *, single: bool) -> None:
        self.edges, self.single = edges, single
        self.counts = np.zeros((2, groups, len(edges) + 1))

    def wider(self, bins: int) -> Bins:
        """Return at most *bins* empty bins, for one group, of which each takes several of these in."""
        step = -(-len(self.edges) // bins)
        edges = self.edges if step == 1 else np.unique(np.append(self.edges[::step], self.edges[-1]))
        return Bins(edges, 1, single=self.single and step == 1)

    def add(self, values: Array, sides: Array, groups: Array, weights: Array | None) -> None:
        """Count rows."""
        shape = self.counts.shape
        place = np.searchsorted(self.edges, values)
        at = (sides.astype(np.int64) * shape[1] + groups) * shape[2] + place
        size = shape[0] * shape[1] * shape[2]
        self.counts += np.bincount(at, weights=weights, minlength=size).reshape(shape)

    def sides(self) -> tuple[Array, Array]:
        """Return the weight of rows of the class and of the rest, by group and bin, the highest values first."""
        return self.counts[1][:, ::-1], self.counts[0][:, ::-1]


def median_of_bins(bins: Bins, weights: Array) -> Array:
    """Return the medians of bins, for each row of weights, as if values were spread evenly in each bin."""
    edges = bins.edges
    sums = np.cumsum(weights, axis=1)
    half = sums[:, -1:] / 2
    at = np.minimum((sums < half).sum(axis=1), len(edges) - 1)
    if bins.single:
        return np.asarray(edges[at])
    rows = np.arange(len(weights))
    inside = weights[rows, at]
    before = sums[rows, at] - inside
    low, part = edges[np.maximum(at - 1, 0)], np.zeros(len(at))
    np.divide(half[:, 0] - before, inside, out=part, where=inside > 0)
    found: Array = low + (edges[at] - low) * part
    return found


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
        self.score_bins = [quantile_bins(scores, bins, GROUPS) for _truth, scores in rankings]
        self.error_bins = [quantile_bins(values, bins, GROUPS) for values in errors]

    def deal(self, rows: int) -> Array:
        """Return the group of each of the next rows."""
        return self._random.integers(0, GROUPS, size=rows)

    def add(self, outcome: Outcome, groups: Array) -> None:
        """Add rows, each to its group."""
        sums = outcome.sums().of_groups(groups, GROUPS)
        self.sums = sums if self.sums is None else self.sums + sums
        if self.score_bins:
            for bins, (truth, scores) in zip(self.score_bins, outcome.rankings(), strict=True):
                bins.add(scores, truth, groups, outcome.weights)
        if self.error_bins:
            for bins, values in zip(self.error_bins, outcome.absolute_errors(), strict=True):
                bins.add(values, np.zeros(len(values), dtype=bool), groups, outcome.weights)

    def resample(self, outcome: Outcome, resamples: int) -> Values:
        """Return the metrics of each of some samples; *outcome* says how they follow from sums."""
        assert self.sums is not None
        counts = draw(np.random.default_rng([self._seed, 2]), GROUPS, resamples).astype(np.float64)
        return outcome.values(counts @ self.sums) | self._of_bins(counts)

    def binned(self) -> dict[str, float]:
        """Return what the bins make of all rows."""
        return {name: float(values[0]) for name, values in self._of_bins(np.ones((1, GROUPS))).items()}

    def _of_bins(self, counts: Array) -> Values:
        found: Values = {}
        if self.score_bins:
            sides = ((*bins.sides(), bins.single) for bins in self.score_bins)
            areas = [areas_of_bins(counts @ true, counts @ false, single=single) for true, false, single in sides]
            found["roc_auc"] = np.mean([roc for roc, _precision in areas], axis=0)
            found["pr_auc"] = np.mean([precision for _roc, precision in areas], axis=0)
        if self.error_bins:
            medians = [median_of_bins(bins, counts @ bins.counts[0]) for bins in self.error_bins]
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
