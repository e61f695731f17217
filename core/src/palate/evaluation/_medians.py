"""Weighted medians of many samples: of rows that are sorted once, or of numbers that were counted in bins."""

from __future__ import annotations

import numpy as np

from palate.evaluation._binning import Bins
from palate.evaluation._outcomes import Array

__all__ = ["WeightedMedian", "median_of_bins"]


class WeightedMedian:
    """The median as scikit-learn has it: where half of the weight lies between two values, the mean of both.

    Args:
        values: of the rows.
        weights: of the rows, or None.
    """

    def __init__(self, values: Array, weights: Array | None) -> None:
        self._order = np.argsort(values, kind="stable")
        self._values = values[self._order]
        self._weights = None if weights is None else weights[self._order]

    def medians(self, counts: Array) -> Array:
        """Return the median of each sample; *counts* says how often each row is in it: a row for each sample."""
        present = np.take(counts, self._order, axis=1)
        if self._weights is None:
            sums = np.cumsum(present, axis=1, dtype=np.int64)
        else:
            sums = np.cumsum(present * self._weights, axis=1)
        return np.array([self._median(row) for row in sums])

    def _median(self, sums: Array) -> float:
        if not len(sums) or sums[-1] <= 0:
            return float("nan")
        half = sums[-1] / 2
        at = min(int(np.searchsorted(sums, half)), len(sums) - 1)
        if sums[at] - half > np.finfo(np.float64).eps:
            return float(self._values[at])
        after = min(int(np.searchsorted(sums, sums[at], side="right")), len(sums) - 1)
        return float((self._values[at] + self._values[after]) / 2)


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
