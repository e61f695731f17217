"""One class a row, of two or of more: what is summed up, what follows, and what scikit-learn says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.evaluation._outcomes import Array, Remarks, Undefined, Values, counted_as_zero, take_rows
from palate.evaluation._sums import Sums
from palate.evaluation.results import Label

__all__ = ["CLASS_METRICS", "ClassOutcome", "averages_of_absent", "why_undefined"]

_BINARY = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
_AVERAGED = tuple(f"{name}_{average}" for average in ("macro", "micro", "weighted") for name in _BINARY[2:])
_LOSSES = frozenset({"log_loss", "brier"})
CLASS_METRICS = frozenset({*_BINARY, *_AVERAGED, *_LOSSES, "roc_auc", "pr_auc", "mcc"})
"""All names that a metric of classes has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOutcome:
    """Rows with one class each.

    Attributes:
        truth: the class of each row, as its number in *classes* (integers).
        predicted: the class that was predicted, in the same way.
        classes: all of them, sorted.
        positive: of two classes, the number of the one that is looked for; None for the measures of many classes.
        scores: a column of floats for each class that the model knows, or None.
        columns: the class of each column of scores.
        probable: whether the scores are probabilities.
        weights: of the rows, or None.
    """

    truth: Array
    predicted: Array
    classes: tuple[Label, ...]
    positive: int | None
    scores: Array | None = None
    columns: tuple[int, ...] = ()
    probable: bool = False
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def order(self) -> Sequence[tuple[str, bool]]:
        names = _BINARY if self.positive is not None else (*_BINARY[:2], *_AVERAGED)
        ranked = ("roc_auc", "pr_auc") if self.scores is not None else ()
        losses = ("log_loss", "brier") if self.probable else ()
        return [(name, name not in _LOSSES) for name in (*names, *ranked, *losses, "mcc")]

    def take(self, rows: Array) -> ClassOutcome:
        return take_rows(self, rows, columns=("truth", "predicted", "scores", "weights"))

    def sums(self) -> Sums:
        cells, _true, _predicted, spread = self._cells()
        columns = [np.ones(len(self))]
        if self.probable:
            columns += self._losses()
        return Sums(dense=np.stack(columns, axis=1), weights=self.weights, cells=cells, spread=spread)

    def values(self, sums: Array) -> Values:
        count = len(self.classes)
        true, predicted, right = sums[:, :count], sums[:, count : 2 * count], sums[:, 2 * count : 3 * count]
        found = _class_values(true, predicted, right, self.positive)
        if self.probable:
            with np.errstate(invalid="ignore", divide="ignore"):
                found["log_loss"] = sums[:, -2] / sums[:, -3]
                found["brier"] = sums[:, -1] / sums[:, -3]
        return found

    def rankings(self) -> list[tuple[Array, Array]]:
        if self.scores is None:
            return []
        wanted = range(len(self.columns)) if self.positive is None else (self.columns.index(self.positive),)
        return [(self.truth == self.columns[at], self.scores[:, at]) for at in wanted]

    def absolute_errors(self) -> list[Array]:
        return []

    def undefined(self) -> Undefined:
        return why_undefined(self, *self._counts(), self.unknown())

    def remarks(self) -> Remarks:
        return averages_of_absent(self, *self._counts())

    def _counts(self) -> tuple[Array, Array]:
        """Return the rows, or the weight, of each class, and of each that was predicted."""
        pair, count = (self.truth, self.predicted), len(self.classes)
        true, predicted = (np.bincount(each, weights=self.weights, minlength=count) for each in pair)
        return true, predicted

    def exact(self) -> dict[str, float]:
        from sklearn import metrics

        cells, true, predicted, _spread = self._cells()
        weight = np.bincount(cells, weights=self.weights, minlength=len(true)).astype(np.float64)
        given: dict[str, Any] = {"sample_weight": weight}
        found = {
            "accuracy": metrics.accuracy_score(true, predicted, **given),
            "balanced_accuracy": metrics.balanced_accuracy_score(true, predicted, **given),
            "mcc": metrics.matthews_corrcoef(true, predicted, **given),
        }
        averages: Sequence[str] = ("macro", "micro", "weighted")
        if self.positive is not None:
            true, predicted, averages = true == self.positive, predicted == self.positive, ("binary",)
        for average in averages:
            three = metrics.precision_recall_fscore_support(true, predicted, average=average, zero_division=0, **given)
            ending = "" if average == "binary" else f"_{average}"
            found |= {f"{name}{ending}": value for name, value in zip(_BINARY[2:], three, strict=False)}
        return found | (self._exact_losses() if self.probable and not self.unknown() else {})

    def _exact_losses(self) -> dict[str, float]:
        from sklearn import metrics

        places = np.argsort(self.columns)  # scikit-learn takes columns in the order of the classes
        rows = self._column_of_class()[self.truth]
        labels = range(len(self.columns))
        ordered = np.argsort(places)
        assert self.scores is not None
        given: dict[str, Any] = {"labels": list(labels), "sample_weight": self.weights}
        scores = self.scores[:, places]
        return {
            "log_loss": metrics.log_loss(ordered[rows], scores, **given),
            "brier": metrics.brier_score_loss(ordered[rows], scores, **given),
        }

    def _losses(self) -> list[Array]:
        """Return log loss and Brier score of each row; NaN for a class that the model does not know."""
        assert self.scores is not None
        column = self._column_of_class()[self.truth]
        known = column >= 0
        chance = self.scores[np.arange(len(self)), np.maximum(column, 0)]
        least = np.finfo(self.scores.dtype).eps
        log_loss = -np.log(np.clip(chance, least, 1 - least)).astype(np.float64)
        squares = np.einsum("ij,ij->i", self.scores, self.scores, dtype=np.float64) - 2.0 * chance + 1.0
        brier = squares / 2 if len(self.columns) == 2 else squares
        return [np.where(known, log_loss, np.nan), np.where(known, brier, np.nan)]

    def _column_of_class(self) -> Array:
        found = np.full(len(self.classes), -1)
        found[list(self.columns)] = np.arange(len(self.columns))
        return found

    def confusion(self) -> Array:
        """Return the weight of the rows of each true class, a row of the matrix, and each predicted one."""
        count = len(self.classes)
        return np.bincount(self._pairs(), weights=self.weights, minlength=count * count).reshape(count, count)

    def ranked_classes(self) -> list[Label]:
        """Return the class that each of ``rankings`` tells from the rest."""
        if self.positive is not None:
            return [self.classes[self.positive]]
        return [self.classes[code] for code in self.columns]

    def _pairs(self) -> Array:
        return self.truth.astype(np.int64) * len(self.classes) + self.predicted

    def unknown(self) -> list[Label]:
        """Return the classes of rows that the model has no score for."""
        unknown = np.flatnonzero(self._column_of_class() < 0)
        return [self.classes[code] for code in unknown if (self.truth == code).any()]

    def _cells(self) -> tuple[Array, Array, Array, Any]:
        """Return the cell of each row, true and predicted class of each cell, and what a row of each adds."""
        from scipy.sparse import coo_matrix

        count, pairs = len(self.classes), self._pairs()
        present = np.flatnonzero(np.bincount(pairs, minlength=count * count))
        cells = np.searchsorted(present, pairs)
        true, predicted = np.divmod(present, count)
        right = np.flatnonzero(true == predicted)
        at = np.arange(len(present))
        rows = np.concatenate((at, at, at[right]))
        places = np.concatenate((true, count + predicted, 2 * count + true[right]))
        spread = coo_matrix((np.ones(len(rows)), (rows, places)), shape=(len(present), 3 * count)).tocsr()
        return cells, true, predicted, spread


def _class_values(true: Array, predicted: Array, right: Array, positive: int | None) -> Values:
    """Return what follows from how many rows are of each class, are predicted to be, and are both.

    Each has a row for each sample. A metric that divides by nothing is NaN; inside an average over classes, a class
    that was never predicted has precision 0, as in scikit-learn.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        total, hits = true.sum(axis=1), right.sum(axis=1)
        recalls = right / true
        found = {"accuracy": hits / total, "balanced_accuracy": _mean_where(recalls, true > 0)}
        precisions, f1 = right / predicted, 2 * right / (true + predicted)
        if positive is not None:
            three = (precisions[:, positive], recalls[:, positive], f1[:, positive])
            found |= dict(zip(_BINARY[2:], three, strict=True))
        else:
            present = true + predicted > 0
            for name, each in zip(_BINARY[2:], (precisions, recalls, f1), strict=True):
                each = np.where(np.isfinite(each), each, 0)
                found[f"{name}_macro"] = _mean_where(each, present)
                found[f"{name}_micro"] = found["accuracy"]
                found[f"{name}_weighted"] = np.einsum("ij,ij->i", each, true) / total
        found["mcc"] = _correlation(true, predicted, hits, total)
    return found


def _mean_where(values: Array, where: Array) -> Array:
    means: Array = np.where(where, values, 0).sum(axis=1) / where.sum(axis=1)
    return means


def _correlation(true: Array, predicted: Array, hits: Array, total: Array) -> Array:
    """Return Matthews' correlation: 0 where all is predicted to be one class, NaN where all is of one class."""
    spread = total**2 - np.einsum("ij,ij->i", true, true)
    said_spread = total**2 - np.einsum("ij,ij->i", predicted, predicted)
    found = (hits * total - np.einsum("ij,ij->i", true, predicted)) / np.sqrt(spread * said_spread)
    constant, same = (predicted > 0).sum(axis=1) <= 1, (true > 0).sum(axis=1) <= 1
    return np.where(same, np.nan, np.where(constant, 0.0, found))


def why_undefined(outcome: ClassOutcome, true: Array, predicted: Array, unknown: Sequence[Label]) -> Undefined:
    """Return why metrics have no value, from how many rows are of each class and are said to be.

    Args:
        outcome: whose classes and scores these are; its rows are not looked at.
        true: rows, or weight, of each class.
        predicted: the same of what was predicted.
        unknown: classes of rows that the model has no score for.
    """
    found: Undefined = {}
    names = _shown(outcome)
    if (true > 0).sum() <= 1:
        found["mcc"] = "All rows are of one class."
    if (positive := outcome.positive) is not None:
        if predicted[positive] <= 0:
            found["precision"] = f"No row is predicted to be {names[positive]}."
        if true[positive] <= 0:
            found["recall"] = found["pr_auc"] = f"No row is {names[positive]}."
        if true[positive] <= 0 and predicted[positive] <= 0:
            found["f1"] = f"No row is {names[positive]}, and none is predicted to be."
        if (true > 0).sum() <= 1:
            found["roc_auc"] = "All rows are of one class."
    elif absent := [names[code] for code in outcome.columns if true[code] <= 0]:
        found["roc_auc"] = found["pr_auc"] = f"No row is {', '.join(absent[:5])}{', …' if absent[5:] else ''}."
    if outcome.scores is not None and unknown:
        reason = f"The model does not know {', '.join(f'{label!r:.40}' for label in unknown[:5])}."
        found |= dict.fromkeys(("roc_auc", "pr_auc", "log_loss", "brier"), reason)
    return found


def averages_of_absent(outcome: ClassOutcome, true: Array, predicted: Array) -> Remarks:
    """Return which classes are 0 in an average over many, from how many rows are of each and are said to be."""
    if outcome.positive is not None:
        return {}
    return counted_as_zero(_shown(outcome), true, predicted, true + predicted > 0)


def _shown(outcome: ClassOutcome) -> list[str]:
    return [f"{label!r:.40}" if isinstance(label, str) else str(label) for label in outcome.classes]
