"""A model that is being evaluated: asked chunk by chunk, its predictions put beside what is true of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from palate.evaluation._column_source import ColumnSource, all_missing, flags, numbers
from palate.evaluation._labels import Labels
from palate.evaluation._model_output import ModelOutput, read_output
from palate.evaluation._outcomes import Array
from palate.evaluation._predictions import (
    CalledMethods,
    Predictions,
    are_probabilities,
    are_scores,
    has_fractions,
    read_predicted,
)
from palate.evaluation._settings import Settings
from palate.evaluation._tasks import Family, beyond_zero_and_one, find_family
from palate.evaluation.errors import InvalidPredictions, InvalidTarget, InvalidWeights
from palate.pyfunc import PyFuncModel

__all__ = ["EvaluatedModel", "PredictedRows", "RowContext", "read_weights"]

_TURNED_SCORES: Final = "the first rows have whole numbers, which were read as classes, and later ones have fractions"
_SAY_CLASSES: Final = "let the model predict integers, if they are classes; if they are scores, give these rows first"
_TURNED_MARGINS: Final = "the first rows have probabilities, and were summed up as such; later ones have other numbers"
_TURNED_LABELS: Final = "the first rows have 0 and 1, and were summed up as labels; later ones have fractions"
_MORE_MEMORY: Final = (
    "pass a greater max_held_bytes, or rows in another order, so that the first ones have such numbers"
)
_NAN_HINT: Final = "a model has to predict a number, or a class, for each row; look at these rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """What is known of some rows beside what was predicted.

    Attributes:
        cells: the columns of the target, as Arrow arrays.
        weights: of the rows (float64), or None.
        slices: of each column by which rows are divided, numbers (float64 or int64) or codes (int32).
        start: the number of the first row.
    """

    cells: list[Any]
    weights: Array | None
    slices: tuple[Array, ...]
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedRows:
    """Rows with what is true and what was predicted, classes as the codes in which they were met.

    Attributes:
        truth: codes (int32, one a row); or a column for each label (bool) or target (float64).
        predicted: the same; None where only the scores tell, until ``read_scores`` has read them.
        scores: in the model's order of columns, or None.
        weights: of the rows, or None.
        slices: as in ``RowContext``.
    """

    truth: Array
    predicted: Array | None
    scores: Array | None
    weights: Array | None
    slices: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        arrays = (self.truth, self.predicted, self.scores, self.weights, *self.slices)
        return sum(array.nbytes for array in arrays if array is not None)

    @classmethod
    def joined(cls, parts: Sequence[PredictedRows]) -> PredictedRows:
        """Return all rows of some parts."""
        first = parts[0]
        return cls(
            truth=np.concatenate([part.truth for part in parts]),
            predicted=_joined([part.predicted for part in parts]),
            scores=_joined([part.scores for part in parts]),
            weights=_joined([part.weights for part in parts]),
            slices=tuple(np.concatenate([part.slices[at] for part in parts]) for at in range(len(first.slices))),
        )


def _joined(arrays: Sequence[Array | None]) -> Array | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if len(there) == len(arrays) else None


class EvaluatedModel:
    """One model and what it says of the rows.

    Attributes:
        model: the model.
        asked: which of its methods are called.
        family: what is measured; None before the first rows.
        labels: the classes met.
        by_scores: whether only scores tell the predicted class.
        probable: whether all scores were probabilities.
        fractions: whether any score was no whole number.
        settled: whether rows were summed up already by what ``probable`` and ``fractions`` said of the first ones.
        names: what the model calls the columns of scores.
        notes: what a reader has to know.
        skipped: rows of which nobody knows what is true.
        rows: rows that are evaluated.
    """

    def __init__(self, model: PyFuncModel, target: ColumnSource, settings: Settings) -> None:
        self.model, self.target, self.settings = model, target, settings
        self.asked = CalledMethods.of(model, settings.method)
        self.family: Family | None = None
        self.labels = Labels(target.title)
        self.by_scores = False
        self.probable = True
        self.fractions = self.settled = False
        self.names: tuple[str, ...] | None = None
        self.notes: list[str] = []
        self.skipped = self.rows = 0
        self._scored: bool | None = None
        self._must_be_probable = False
        self._unusable = 0
        self._first_unusable: int | None = None

    def read(self, inputs: Any, rows: int, side: RowContext) -> PredictedRows | None:
        """Ask the model about some rows, and return those that can be evaluated; None where the target has none.

        Raises:
            EvaluationError: target, weights or predictions cannot be used.
            InvalidInput: the model does not take the rows. What else the model raises comes through.
        """
        if any(all_missing(column) for column in side.cells):
            self.skipped += rows
            return None
        first = read_output(self.model.call(self.asked.first, inputs), method=self.asked.first, rows=rows)
        if self.family is None:
            found = find_family(self.settings.task, self.target, side.cells, first, self.model.methods)
            self.family = found.family
            self.notes += [found.note] if found.note else []
            self._must_be_probable = found.probable
        truth, there = self._read_truth(side.cells)
        predicted = self._predict(first, inputs, rows)
        return self._keep(truth, there, predicted, side)

    def finish(self) -> None:
        """Raise InvalidPredictions if there were predictions that are no values."""
        if self._unusable:
            rows = "row has" if self._unusable == 1 else "rows have"
            reason = (
                f"{self._unusable:,} {rows} a prediction that is missing, NaN or infinite; the first is row "
                f"{self._first_unusable:,}, counted from 0"
            )
            raise InvalidPredictions(self.asked.first, reason=reason, hint=_NAN_HINT)

    def _read_truth(self, cells: list[Any]) -> tuple[Array, Array]:
        """Return what is true, and of which rows it is known."""
        if self.family == "classes":
            if self.target.width > 1:
                hint = "evaluate one target at a time; several labels are columns that are 0 or 1"
                raise InvalidTarget(self.target.title, reason="several targets, each with classes", hint=hint)
            codes = self.labels.encode_true(cells[0])
            return codes, codes >= 0
        if self.family == "labels":
            pairs = [flags(column, self.target) for column in cells]
            return np.stack([values for values, _ in pairs], axis=1), np.all([there for _, there in pairs], axis=0)
        values = np.stack([numbers(column, self.target) for column in cells], axis=1)
        if infinite := int(np.isinf(values).any(axis=1).sum()):
            hint = "leave these rows out, or give them a number"
            raise InvalidTarget(self.target.title, reason=f"it is infinite in {infinite:,} rows", hint=hint)
        return values, ~np.isnan(values).any(axis=1)

    def _predict(self, first: ModelOutput, inputs: Any, rows: int) -> Predictions:
        assert self.family is not None
        answer, scores = self._second(first, inputs, rows)
        if self.family == "classes" and answer is not None:
            if self._scored is None:
                self._scored = are_scores(answer)
            elif not self._scored and are_scores(answer):
                raise InvalidPredictions(answer.method, reason=_TURNED_SCORES, hint=_SAY_CLASSES)
            if self._scored:
                answer, scores = None, answer
        names = self.target.names
        return read_predicted(self.family, answer, scores, targets=names, width=self.target.width, labels=self.labels)

    def _second(self, first: ModelOutput, inputs: Any, rows: int) -> tuple[ModelOutput | None, ModelOutput | None]:
        """Return what is predicted and the scores, one of which is the answer that is there already."""
        asked = self.asked
        if self.family == "numbers" or (asked.scores is None and asked.predicted == asked.first):
            return first, None
        if asked.predicted is None:
            return None, first
        method = asked.scores if asked.predicted == asked.first else asked.predicted
        assert method is not None
        second = read_output(self.model.call(method, inputs), method=method, rows=rows)
        return (first, second) if asked.predicted == asked.first else (second, first)

    def judge(self, inputs: Any, cells: list[Any], rows: int) -> PredictedRows:
        """Ask the model about some of the rows again, in other inputs, without counting them."""
        first = read_output(self.model.call(self.asked.first, inputs), method=self.asked.first, rows=rows)
        truth, there = self._read_truth(cells)
        predicted = self._predict(first, inputs, rows)
        side = RowContext(cells=cells, weights=None, slices=(), start=0)
        return _part(truth, predicted, side, np.flatnonzero(there & predicted.usable))

    def _keep(self, truth: Array, there: Array, predicted: Predictions, side: RowContext) -> PredictedRows:
        self.skipped += int((~there).sum())
        if (bad := there & ~predicted.usable).any():
            if self._first_unusable is None:
                self._first_unusable = side.start + int(np.argmax(bad))
            self._unusable += int(bad.sum())
        rows = np.flatnonzero(there & predicted.usable)
        self.rows += len(rows)
        self.by_scores |= predicted.values is None
        self.names = predicted.names
        part = _part(truth, predicted, side, rows)
        self._look_at(part.scores)
        return part

    def _look_at(self, scores: Array | None) -> None:
        """Note what scores can be, of which each row may tell more. Raises InvalidPredictions, TaskUnknown."""
        before = self.probable, self.fractions
        assert self.family is not None
        method = self.asked.scores or self.asked.first
        self.probable &= scores is not None and are_probabilities(scores, method, self.family)
        if self.family == "labels" and self.by_scores and scores is not None:
            self.fractions |= has_fractions(scores)
        if self._must_be_probable and not self.probable:
            raise beyond_zero_and_one(self.target)
        if self.settled and before != (self.probable, self.fractions):
            reason = _TURNED_LABELS if self.fractions != before[1] else _TURNED_MARGINS
            raise InvalidPredictions(method, reason=reason, hint=_MORE_MEMORY)

    def read_scores(self, part: PredictedRows) -> PredictedRows:
        """Return rows with what their scores say, by what all scores are. Raises InvalidPredictions."""
        scores, predicted = part.scores, part.predicted
        if scores is None or self.family == "numbers":
            return part
        if self.family == "labels":
            if predicted is None and not self.fractions:
                if not np.isin(scores, (0, 1)).all():
                    hint = "predict 0 or 1 for each label"
                    raise InvalidPredictions(self.asked.first, reason="a label is neither 0 nor 1", hint=hint)
                return replace(part, predicted=scores == 1, scores=None)
            return part if predicted is not None else replace(part, predicted=scores > (0.5 if self.probable else 0))
        if scores.shape[1] == 1:
            scores = np.hstack((1 - scores if self.probable else -scores, scores))
        return replace(part, scores=scores, predicted=scores.argmax(axis=1) if predicted is None else predicted)


def _part(truth: Array, predicted: Predictions, side: RowContext, rows: Array) -> PredictedRows:
    """Return some rows of what was read."""
    whole = len(rows) == len(truth)

    def some(array: Array) -> Array:
        return array if whole else array[rows]

    return PredictedRows(
        truth=some(truth),
        predicted=None if predicted.values is None else some(predicted.values),
        scores=None if predicted.scores is None else some(predicted.scores),
        weights=None if side.weights is None else some(side.weights),
        slices=tuple(some(column) for column in side.slices),
    )


def read_weights(given: ColumnSource, cells: Any, start: int) -> Array:
    """Return the weights of some rows (float64), the first of which is row *start*. Raises InvalidWeights."""
    values = numbers(cells, given)
    for bad, word in ((~np.isfinite(values), "missing, NaN or infinite"), (values < 0, "negative")):
        if count := int(bad.sum()):
            row = start + int(np.argmax(bad))
            rows = "row" if count == 1 else "rows"
            reason = f"{count:,} {rows} {'is' if count == 1 else 'are'} {word} (row {row:,}, counted from 0)"
            raise InvalidWeights(given.title, reason=reason)
    return values
