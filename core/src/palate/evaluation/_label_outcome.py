"""Several labels a row, each there or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.evaluation._outcomes import Array, Remarks, Undefined, Values, counted_as_zero, take_rows
from palate.evaluation._sums import Sums

__all__ = ["LABEL_METRICS", "LabelOutcome", "why_no_areas"]

_THREE = ("precision", "recall", "f1")
_AVERAGES = ("macro", "micro", "weighted")
_ROWS = ("subset_accuracy", "hamming_loss", "jaccard")
_AVERAGED = tuple(f"{name}_{average}" for average in _AVERAGES for name in _THREE)
LABEL_METRICS = frozenset({*_ROWS, *_AVERAGED, "roc_auc", "pr_auc"})
"""All names that a metric of labels has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOutcome:
    """Rows with several labels each.

    Attributes:
        truth: which labels each row has: a column of truth values for each.
        predicted: which it was predicted to have, in the same columns.
        names: of the labels.
        scores: the same columns, high where a label is said to be there; or None.
        weights: of the rows, or None.
    """

    truth: Array
    predicted: Array
    names: tuple[str, ...]
    scores: Array | None = None
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def order(self) -> Sequence[tuple[str, bool]]:
        ranked = ["roc_auc", "pr_auc"] if self.scores is not None else []
        return [(name, name != "hamming_loss") for name in (*_ROWS, *_AVERAGED, *ranked)]

    def take(self, rows: Array) -> LabelOutcome:
        return take_rows(self, rows, columns=("truth", "predicted", "scores", "weights"))

    def sums(self) -> Sums:
        both, either = self.truth & self.predicted, self.truth | self.predicted
        wrong = self.truth ^ self.predicted
        shared = both.sum(axis=1) / np.maximum(either.sum(axis=1), 1)
        rows = np.stack((~wrong.any(axis=1), wrong.mean(axis=1), shared, np.ones(len(self))), axis=1)
        return Sums(dense=np.hstack((self.truth, self.predicted, both, rows)), weights=self.weights)

    def values(self, sums: Array) -> Values:
        count = len(self.names)
        true, predicted, right = sums[:, :count], sums[:, count : 2 * count], sums[:, 2 * count : 3 * count]
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = sums[:, -4:-1] / sums[:, -1:]
            found = dict(zip(_ROWS, rows.T, strict=True))
            total = true.sum(axis=1)
            parts = ((right, predicted), (right, true), (2 * right, true + predicted))
            for name, (above, below) in zip(_THREE, parts, strict=True):
                each = np.where(below > 0, above / below, 0)
                found[f"{name}_macro"] = each.mean(axis=1)
                found[f"{name}_micro"] = _or_zero(above.sum(axis=1), below.sum(axis=1))
                found[f"{name}_weighted"] = _or_zero(np.einsum("ij,ij->i", each, true), total)
        return found

    def rankings(self) -> list[tuple[Array, Array]]:
        if self.scores is None:
            return []
        return [(self.truth[:, at], self.scores[:, at]) for at in range(len(self.names))]

    def absolute_errors(self) -> list[Array]:
        return []

    def undefined(self) -> Undefined:
        counts = (self.truth.T if self.weights is None else self.truth.T * self.weights).sum(axis=1)
        total = len(self) if self.weights is None else self.weights.sum()
        return why_no_areas(self.names, counts, float(total)) if self.scores is not None else {}

    def remarks(self) -> Remarks:
        true, predicted = (
            (each.T if self.weights is None else each.T * self.weights).sum(axis=1)
            for each in (self.truth, self.predicted)
        )
        return counted_as_zero(self.names, true, predicted, np.ones(len(self.names), dtype=bool))

    def exact(self) -> dict[str, float]:
        from sklearn import metrics

        given: dict[str, Any] = {"sample_weight": self.weights}
        truth, predicted = self.truth.astype(np.int8), self.predicted.astype(np.int8)
        found = {
            "subset_accuracy": metrics.accuracy_score(truth, predicted, **given),
            "hamming_loss": metrics.hamming_loss(truth, predicted, **given),
            "jaccard": metrics.jaccard_score(truth, predicted, average="samples", zero_division=0, **given),
        }
        for average in _AVERAGES:
            three = metrics.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0, **given)
            found |= {f"{name}_{average}": value for name, value in zip(_THREE, three, strict=False)}
        return found


def why_no_areas(names: Sequence[str], counts: Array, total: float) -> Undefined:
    """Return why labels have no curves: one that all rows have has no ROC curve, one that none has has neither."""
    found: Undefined = {}
    if absent := [name for name, count in zip(names, counts, strict=True) if count <= 0]:
        found["roc_auc"] = found["pr_auc"] = f"No row has the label {', '.join(absent[:5])}."
    elif full := [name for name, count in zip(names, counts, strict=True) if count >= total]:
        found["roc_auc"] = f"All rows have the label {', '.join(full[:5])}."
    return found


def _or_zero(above: Array, below: Array) -> Array:
    return np.where(below > 0, above / below, 0)
