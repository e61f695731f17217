"""One number a row, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.evaluation._outcomes import Array, Remarks, Undefined, Values, take_rows
from palate.evaluation._sums import Sums

__all__ = ["NUMBER_METRICS", "NumberOutcome", "why_no_r2"]

NUMBER_METRICS = ("rmse", "mae", "r2", "mape", "median_absolute_error", "max_error")
"""All names that a metric of numbers has, the most telling first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOutcome:
    """Rows with one number for each target; a metric is the mean of those of the targets.

    Attributes:
        truth: a column of float64 for each target.
        predicted: the same columns.
        center: a number for each target, near what is true, from which squares are taken so that none cancels another.
        weights: of the rows, or None.
    """

    truth: Array
    predicted: Array
    center: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def order(self) -> Sequence[tuple[str, bool]]:
        return [(name, name == "r2") for name in NUMBER_METRICS]

    def take(self, rows: Array) -> NumberOutcome:
        return take_rows(self, rows, columns=("truth", "predicted", "weights"))

    def sums(self) -> Sums:
        with np.errstate(over="ignore", invalid="ignore"):
            off = self.predicted - self.truth
            share = np.abs(off) / np.maximum(np.abs(self.truth), np.finfo(np.float64).eps)
            centered = self.truth - self.center
            parts = (off**2, np.abs(off), share, centered, centered**2, np.ones((len(self), 1)))
        return Sums(dense=np.hstack(parts), weights=self.weights)

    def values(self, sums: Array) -> Values:
        count = self.truth.shape[1]
        squares, sizes, shares, centered, spread = (sums[:, at * count : (at + 1) * count] for at in range(5))
        total = sums[:, -1:]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            around = spread - centered**2 / total
            # What is left of a difference between equal numbers is rounding, not spread.
            around = np.where(around > 1e-12 * spread, around, np.nan)
            return {
                "rmse": np.sqrt(squares / total).mean(axis=1),
                "mae": (sizes / total).mean(axis=1),
                "r2": (1 - squares / around).mean(axis=1),
                "mape": (shares / total).mean(axis=1),
            }

    def rankings(self) -> list[tuple[Array, Array]]:
        return []

    def absolute_errors(self) -> list[Array]:
        return list(np.abs(self.predicted - self.truth).T)

    def undefined(self) -> Undefined:
        counted = self.truth if self.weights is None else self.truth[self.weights > 0]
        return why_no_r2(len(self), is_constant=bool((counted == counted[0]).all(axis=0).any()))

    def remarks(self) -> Remarks:
        return {}

    def exact(self) -> dict[str, float]:
        from sklearn import metrics

        pair, given = (self.truth, self.predicted), {"sample_weight": self.weights}
        with np.errstate(over="ignore", invalid="ignore"):
            return {
                "rmse": metrics.root_mean_squared_error(*pair, **given),
                "mae": metrics.mean_absolute_error(*pair, **given),
                "r2": metrics.r2_score(*pair, **given),
                "mape": metrics.mean_absolute_percentage_error(*pair, **given),
                "median_absolute_error": metrics.median_absolute_error(*pair, **given),
                # It is the one metric of scikit-learn's that takes one target only.
                "max_error": float(
                    np.mean([metrics.max_error(*each) for each in zip(*map(np.transpose, pair), strict=True)])
                ),
            }


def why_no_r2(rows: int, *, is_constant: bool) -> Undefined:
    """Return why R² has no value, if it has none, for so many rows, in which a target is constant or not."""
    if rows < 2:
        return {"r2": "It needs two rows."}
    return {"r2": "The target is the same in all rows."} if is_constant else {}
