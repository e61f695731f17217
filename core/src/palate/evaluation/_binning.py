"""Numbers counted in bins, by group and by side: what ROC AUC and medians are computed from where rows are too many."""

from __future__ import annotations

from typing import Final

import numpy as np

from palate.evaluation._outcomes import Array

__all__ = ["Bins", "quantile_bins"]

_SAMPLE: Final = 200_000
"""Values of which the edges are taken: sorting all of them would take longer than all else."""


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
