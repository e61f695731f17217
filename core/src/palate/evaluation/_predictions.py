"""What a model is asked for, and how its answers are read: classes, probabilities or other scores, labels, numbers.

``predict`` says the class, and ``predict_proba``, or else ``decision_function``, the scores. Where ``predict`` itself
returns scores, the greatest one of a row says the class: a row of several numbers is one score for each class (they
are probabilities if they add up to 1), one number from 0 to 1 is the probability of the second of two classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from palate.errors import MethodNotFound
from palate.evaluation._labels import Labels
from palate.evaluation._model_output import ModelOutput, arrow_cells
from palate.evaluation._tasks import Family
from palate.evaluation.errors import InvalidPredictions
from palate.pyfunc import PyFuncModel

__all__ = ["CalledMethods", "Predictions", "are_probabilities", "are_scores", "has_fractions", "read_predicted"]

_SCORE_METHODS: Final = ("predict_proba", "decision_function")
_SUM_TOLERANCE: Final = 1e-3
"""How far a row of probabilities may be from 1: half precision has three digits."""
_ONE: Final = "predict one class a row, or one number for each class"


@dataclass(frozen=True, slots=True)
class CalledMethods:
    """The methods that are called: one that says what is predicted, and one that gives scores.

    Attributes:
        first: the method from whose answer the task is found.
        predicted: the method that says the class, the labels or the number; None where the scores say it.
        scores: the method that gives scores, or None.
    """

    first: str
    predicted: str | None
    scores: str | None

    @classmethod
    def of(cls, model: PyFuncModel, method: str | None) -> CalledMethods:
        """Return what to call; *method* is the only one that is, if it is given. Raises MethodNotFound."""
        first = method or model.default_method
        if first not in model.methods:
            raise MethodNotFound(first, available=model.methods)
        if method is not None:
            return cls(first, None, first) if first in _SCORE_METHODS else cls(first, first, None)
        if first in _SCORE_METHODS:
            return cls(first, "predict" if "predict" in model.methods else None, first)
        return cls(first, first, next((name for name in _SCORE_METHODS if name in model.methods), None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What was predicted for some rows.

    Attributes:
        values: codes of classes (int32, one a row); truth values (bool), a column for each label; or numbers (float64),
            a column for each target. None for classes, or labels, that only the scores tell.
        scores: as the model gave them: a column for each class, in its order, or for each label; a single column for
            the second of two classes. None where there are none. What they say, only all rows tell.
        names: of the columns of scores, where the model names them.
        usable: a truth value for each row: whether it has a prediction that is a value and not NaN or infinite.
    """

    values: np.ndarray[Any, Any] | None
    scores: np.ndarray[Any, Any] | None
    names: tuple[str, ...] | None
    usable: np.ndarray[Any, Any]


def read_predicted(
    family: Family,
    answer: ModelOutput | None,
    scores: ModelOutput | None,
    *,
    targets: Sequence[str],
    width: int,
    labels: Labels,
) -> Predictions:
    """Return what the answers of a model say.

    Args:
        family: what is measured.
        answer: what it predicted; None for classes that the scores tell.
        scores: its scores, or None.
        targets: the names of the target's columns, by which those of the model are put in order.
        width: how many columns the target has.
        labels: the classes, which the model's are added to.

    Raises:
        InvalidPredictions: they are of another form than the target.
        LabelsDiffer: its classes are of another kind.
    """
    if family == "classes":
        return _read_classes(answer, scores, labels)
    if family == "labels":
        return _read_labels(answer, scores, targets, width)
    if answer is None or not answer.is_number:
        method = answer.method if answer else scores.method if scores else "predict"
        raise InvalidPredictions(method, reason="they are no numbers", hint="pass task=, or method= for another method")
    values = _matrix(answer, targets, width).astype(np.float64, copy=False)
    usable = np.isfinite(values).all(axis=1)
    return Predictions(values=values, scores=None, names=None, usable=usable)


def _read_classes(answer: ModelOutput | None, scores: ModelOutput | None, labels: Labels) -> Predictions:
    values, usable = None, None
    if answer is not None:
        values = labels.encode_predicted(arrow_cells(answer))
        usable = values >= 0
    matrix = None if scores is None else _floats(scores)
    if matrix is not None:
        matrix = matrix if matrix.ndim == 2 else matrix[:, None]
        finite = np.isfinite(matrix).all(axis=1)
        usable = finite if usable is None else usable & finite
    names = scores.names if scores is not None else None
    assert usable is not None
    return Predictions(values=values, scores=matrix, names=names, usable=usable)


def are_scores(answer: ModelOutput) -> bool:
    """Whether what ``predict`` returns are scores: several a row, or numbers with fractions.

    Raises:
        InvalidPredictions: several values a row that are no numbers.
    """
    if answer.width > 1:
        if not answer.is_number:
            raise InvalidPredictions(answer.method, reason="several values a row that are no numbers", hint=_ONE)
        return True
    if answer.values.dtype.kind != "f":
        return False
    return has_fractions(answer.values)


def are_probabilities(scores: np.ndarray[Any, Any], method: str, family: Family) -> bool:
    """Whether scores of some rows, all of them finite, can be probabilities."""
    if not ((scores >= 0) & (scores <= 1)).all():
        return False
    if family == "labels" or scores.shape[1] == 1:
        return method != "decision_function"
    return bool((np.abs(scores.sum(axis=1, dtype=np.float64) - 1) <= _SUM_TOLERANCE).all())


def _floats(answer: ModelOutput) -> np.ndarray[Any, Any]:
    if not answer.is_number:
        raise InvalidPredictions(
            answer.method, reason="its scores are no numbers", hint="return a number for each class"
        )
    return answer.values if answer.values.dtype.kind == "f" else answer.values.astype(np.float64)


def _read_labels(
    answer: ModelOutput | None, scores: ModelOutput | None, targets: Sequence[str], width: int
) -> Predictions:
    rows = len(answer.values) if answer is not None else 0
    chances = None if scores is None else _matrix(scores, targets, width)
    values = None if answer is None else _matrix(answer, targets, width)
    if values is not None and values.dtype.kind == "f" and chances is None:
        values, chances = None, values
    finite = [
        np.isfinite(part).all(axis=1) for part in (values, chances) if part is not None and part.dtype.kind in "iuf"
    ]
    usable = np.logical_and.reduce(finite) if finite else np.ones(rows, dtype=bool)
    if values is not None:
        if values.dtype.kind not in "biuf" or not np.isin(values[usable], (0, 1)).all():
            method = answer.method if answer is not None else "predict"
            raise InvalidPredictions(method, reason="a label is neither 0 nor 1", hint="predict 0 or 1 for each label")
        values = values == 1
    return Predictions(values=values, scores=chances, names=None, usable=usable)


def has_fractions(values: np.ndarray[Any, Any]) -> bool:
    """Whether some of the numbers that are finite are not whole."""
    finite = values[np.isfinite(values)]
    return bool((finite != np.floor(finite)).any())


def _matrix(answer: ModelOutput, targets: Sequence[str], width: int) -> np.ndarray[Any, Any]:
    """Return a column for each target, in the target's order."""
    values = answer.values if answer.values.ndim == 2 else answer.values[:, None]
    if values.shape[1] != width:
        reason = f"{values.shape[1]} values a row for {width} {'target' if width == 1 else 'targets'}"
        raise InvalidPredictions(answer.method, reason=reason, hint="name as many columns of the target, in that order")
    if answer.names and targets and set(answer.names) == set(targets):
        values = values[:, [answer.names.index(name) for name in targets]]
    return values
