"""Sums over rows from which metrics follow: of all rows, of a bootstrap sample, of each of some groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

__all__ = ["Sums"]

_FEW_CELLS: Final = 16
"""Up to so many cells, a product of matrices is faster than counting."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What is summed up: columns of numbers, and what each cell of rows that are alike adds.

    Attributes:
        dense: a row of numbers for each row.
        weights: of the rows, or None.
        cells: the cell that each row belongs to, or None.
        spread: what a row of each cell adds to further sums: one row for each cell (a sparse matrix).
    """

    dense: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any] | None
    cells: np.ndarray[Any, Any] | None = None
    spread: Any = None

    def total(self) -> np.ndarray[Any, Any]:
        """Return the sums over all rows, as a matrix of one row: first those of the cells."""
        return self.of_groups(np.zeros(len(self.dense), dtype=np.int64), 1)

    def of_samples(self, counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return a row of sums for each sample. *counts* says how often each row is in it: a row for each sample."""
        weighted = counts.astype(np.float64)
        if self.weights is not None:
            weighted *= self.weights
        with np.errstate(over="ignore", invalid="ignore"):  # what is too great for a number has no interval
            dense: np.ndarray[Any, Any] = weighted @ self.dense
        if self.cells is None:
            return dense
        return np.hstack((self._of_cells(self.cells, weighted) @ self.spread, dense))

    def of_groups(self, groups: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
        """Return a row of sums for each of *count* groups; *groups* says to which one each row belongs."""
        weights = self.weights
        with np.errstate(over="ignore", invalid="ignore"):
            columns = (self.dense if weights is None else self.dense * weights[:, None]).T
        dense = np.stack([np.bincount(groups, weights=column, minlength=count) for column in columns], axis=1)
        if self.cells is None:
            return dense
        from scipy.sparse import coo_matrix

        ones = np.ones(len(groups)) if weights is None else weights
        by_cell = coo_matrix((ones, (groups, self.cells)), shape=(count, self.spread.shape[0])).tocsr()
        return np.hstack(((by_cell @ self.spread).toarray(), dense))

    def _of_cells(self, cells: np.ndarray[Any, Any], weighted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if (members := self._members) is None:
            count = self.spread.shape[0]
            return np.stack([np.bincount(cells, weights=row, minlength=count) for row in weighted])
        found: np.ndarray[Any, Any] = weighted @ members
        return found

    @cached_property
    def _members(self) -> np.ndarray[Any, Any] | None:
        """A column for each cell, 1 in its rows; None where there are too many cells."""
        if self.cells is None or self.spread.shape[0] > _FEW_CELLS:
            return None
        members: np.ndarray[Any, Any] = self.cells[:, None] == np.arange(self.spread.shape[0])
        return members.astype(np.float64)
