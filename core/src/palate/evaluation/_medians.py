"""The weighted median of any sample of rows that are sorted once."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["WeightedMedian"]


class WeightedMedian:
    """The median as scikit-learn has it: where half of the weight lies between two values, the mean of both.

    Args:
        values: of the rows.
        weights: of the rows, or None.
    """

    def __init__(self, values: np.ndarray[Any, Any], weights: np.ndarray[Any, Any] | None) -> None:
        self._order = np.argsort(values, kind="stable")
        self._values = values[self._order]
        self._weights = None if weights is None else weights[self._order]

    def medians(self, counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the median of each sample; *counts* says how often each row is in it: a row for each sample."""
        present = np.take(counts, self._order, axis=1)
        if self._weights is None:
            sums = np.cumsum(present, axis=1, dtype=np.int64)
        else:
            sums = np.cumsum(present * self._weights, axis=1)
        return np.array([self._median(row) for row in sums])

    def _median(self, sums: np.ndarray[Any, Any]) -> float:
        if not len(sums) or sums[-1] <= 0:
            return float("nan")
        half = sums[-1] / 2
        at = min(int(np.searchsorted(sums, half)), len(sums) - 1)
        if sums[at] - half > np.finfo(np.float64).eps:
            return float(self._values[at])
        after = min(int(np.searchsorted(sums, sums[at], side="right")), len(sums) - 1)
        return float((self._values[at] + self._values[after]) / 2)
