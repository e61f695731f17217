"""How well scores put the rows of a class before the rest, for all rows and, sorted once, for any sample of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.evaluation._outcomes import Array

__all__ = ["Ranking", "areas_of_bins"]


class Ranking:
    """Rows sorted by score. Ties count half in ROC AUC and are one threshold in average precision, as in scikit-learn.

    Args:
        truth: which rows are of the class.
        scores: high where a row is said to be of it.
        weights: of the rows, or None.
    """

    def __init__(self, truth: Array, scores: Array, weights: Array | None) -> None:
        order = np.argsort(-scores, kind="stable")
        self._positives, self._negatives = order[truth[order]], order[~truth[order]]
        positive = -scores[self._positives]  # ascending, as searchsorted needs it
        negative = -scores[self._negatives]
        self._before = np.searchsorted(negative, positive, side="left")
        upto = np.searchsorted(negative, positive, side="right")
        self._upto = None if np.array_equal(self._before, upto) else upto
        last = np.searchsorted(positive, positive, side="right") - 1
        self._last = None if np.array_equal(last, np.arange(len(last))) else last
        self._weights = None
        if weights is not None:
            self._weights = (weights[self._positives], weights[self._negatives])

    def areas(self, counts: Array) -> tuple[Array, Array]:
        """Return ROC AUC and average precision of each sample, NaN where they are not defined.

        Args:
            counts: how often each row is in it: a row for each sample.
        """
        positive = np.take(counts, self._positives, axis=1)
        negative = np.take(counts, self._negatives, axis=1)
        kind: Any = np.int32
        if self._weights is not None:
            positive, negative, kind = positive * self._weights[0], negative * self._weights[1], np.float64
        below = np.zeros((len(counts), negative.shape[1] + 1), dtype=kind)
        np.cumsum(negative, axis=1, dtype=kind, out=below[:, 1:])
        found = np.cumsum(positive, axis=1, dtype=kind)
        before = np.take(below, self._before, axis=1).astype(np.float64)
        upto = before if self._upto is None else np.take(below, self._upto, axis=1).astype(np.float64)
        true = found if self._last is None else np.take(found, self._last, axis=1)
        all_true = found[:, -1].astype(np.float64) if found.shape[1] else np.zeros(len(counts))
        return _areas(positive.astype(np.float64), true, before, upto, all_true, below[:, -1].astype(np.float64))


def _areas(
    positive: Array, true: Array, before: Array, upto: Array, all_true: Array, all_false: Array
) -> tuple[Array, Array]:
    """Return both areas from what stands, at each row of the class, before it and up to it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        outranked = np.einsum("ij,ij->i", positive, before)
        if upto is not before:
            outranked = (outranked + np.einsum("ij,ij->i", positive, upto)) / 2
        roc = 1 - outranked / (all_true * all_false)
        seen = true + upto
        np.divide(true, seen, out=seen, where=seen > 0)
        precision = np.einsum("ij,ij->i", positive, seen) / all_true
    roc[(all_true <= 0) | (all_false <= 0)] = np.nan
    precision[all_true <= 0] = np.nan
    return roc, precision


def areas_of_bins(positive: Array, negative: Array, *, single: bool) -> tuple[Array, Array]:
    """Return both areas from the weight of both sides in bins of the score, the highest first: a row for each sample.

    Args:
        positive: the weight of rows of the class.
        negative: that of the rest.
        single: whether the rows of a bin have one score, and so are ties; else both sides are taken to be spread evenly
            in it, which makes no difference to ROC AUC.
    """
    found, upto = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    both = _areas(positive, found, upto - negative, upto, found[:, -1], upto[:, -1])
    if single:
        return both
    inside, before = positive + negative, found - positive + upto - negative
    with np.errstate(divide="ignore", invalid="ignore"):
        share = positive / inside
        # The mean of (true + share t) / (before + t), with t from nothing to all of the bin.
        mean = share + (found - positive - share * before) / inside * np.log1p(inside / before)
        mean = np.where(before > 0, mean, share)
        precision = np.einsum("ij,ij->i", positive, np.where(inside > 0, mean, 0)) / found[:, -1]
    precision[found[:, -1] <= 0] = np.nan
    return both[0], precision
