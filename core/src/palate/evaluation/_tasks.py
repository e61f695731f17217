"""Which task a target and a model's predictions are: the written rule, and what is said of it.

1. Several targets: labels that are all 0 or 1 are multilabel; other numbers are regression.
2. Text and truth values are classes.
3. A model with ``predict_proba`` or ``decision_function`` is a classifier.
4. A target with fractions is regression.
5. Whole numbers, and a model without these methods, by what it predicts:
   several columns a row are one score for each class; text, truth values and integers are classes (integers for at
   most 100 different targets); numbers from 0 to 1 for a target of 0 and 1 are probabilities; other fractions are
   regression. Floats that are whole in each row, and mostly values of a target that has few, may be classes or numbers:
   that has to be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from palate.evaluation._column_source import ColumnSource, numbers
from palate.evaluation._model_output import ModelOutput
from palate.evaluation.errors import TaskUnknown
from palate.evaluation.results import Task

__all__ = ["Family", "Found", "beyond_zero_and_one", "find_family"]

Family: TypeAlias = Literal["classes", "labels", "numbers"]
"""What is measured: one class a row, several labels a row, or numbers."""

_FAMILIES: Final[dict[Task, Family]] = {
    "binary": "classes",
    "multiclass": "classes",
    "multilabel": "labels",
    "regression": "numbers",
}
_MAX_INTEGER_CLASSES: Final = 100
"""Integers with more different values are rather counts or identifiers than classes."""
_SCORES: Final = frozenset({"predict_proba", "decision_function"})


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        family: what is measured.
        note: the sentence that says by which rule it was found where that was not plain.
        probable: whether it was found because predictions were from 0 to 1, as all others have to be then.
    """

    family: Family
    note: str = ""
    probable: bool = False


def find_family(
    task: Task | None, given: ColumnSource, cells: list[Any], answer: ModelOutput, methods: tuple[str, ...]
) -> Found:
    """Return what is measured, from the first rows.

    Args:
        task: as the user said, or None.
        given: the target.
        cells: its columns, for these rows.
        answer: what the model predicted for them.
        methods: what the model answers to.

    Raises:
        TaskUnknown: they leave it open.
        InvalidTarget: several targets that are not numbers.
    """
    if task is not None:
        return Found(_FAMILIES[task])
    if given.width > 1:
        return _of_several(given, cells)
    if not _is_number(cells[0]) or _SCORES & set(methods):
        return Found("classes")
    values = numbers(cells[0], given)
    values = values[np.isfinite(values)]
    if not (values == np.floor(values)).all():
        return Found("numbers")
    return _of_whole_numbers(given, np.unique(values), answer)


def _of_several(given: ColumnSource, cells: list[Any]) -> Found:
    for column in cells:
        values = numbers(column, given)
        if not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            return Found("numbers")
    return Found("labels")


def _of_whole_numbers(given: ColumnSource, true: np.ndarray[Any, Any], answer: ModelOutput) -> Found:
    if answer.width > 1:
        return Found("classes", f"'{answer.method}' returns {answer.width} numbers a row, read as one for each class.")
    if not answer.is_number:
        return Found("classes")
    predicted = answer.values[np.isfinite(answer.values)]
    if answer.values.dtype.kind in "iu":
        if len(true) <= _MAX_INTEGER_CLASSES:
            return Found(
                "classes", "Target and predictions are integers, read as classes; task (CLI: --task) sets another."
            )
        reason = f"target and predictions are integers, and the target has {len(true):,} different ones"
        raise TaskUnknown(given.title, reason=reason, choices=("multiclass", "regression"))
    zero_one = np.isin(true, (0.0, 1.0)).all()
    whole = (predicted == np.floor(predicted)).all()
    if zero_one and not whole:
        if ((predicted >= 0) & (predicted <= 1)).all():
            note = f"'{answer.method}' returns numbers from 0 to 1 for a target of 0 and 1, read as probabilities of 1."
            return Found("classes", note, probable=True)
        raise beyond_zero_and_one(given)
    # What a regression tree predicts may be whole too, but seldom are most of it among a few values of the target.
    if whole and len(true) <= _MAX_INTEGER_CLASSES and (zero_one or np.isin(predicted, true).mean() > 0.5):
        reason = "target and predictions are whole numbers, though the model predicts floats"
        raise TaskUnknown(given.title, reason=reason, choices=("multiclass", "regression"))
    return Found("numbers", "The target is of whole numbers and the model predicts fractions, read as regression.")


def beyond_zero_and_one(given: ColumnSource) -> TaskUnknown:
    """Return what is raised where numbers for a target of 0 and 1 are no probabilities."""
    reason = "it is 0 and 1, and the predictions are numbers beyond these"
    return TaskUnknown(given.title, reason=reason, choices=("binary", "regression"))


def _is_number(cells: Any) -> bool:
    import pyarrow as pa

    kind = _value_type(cells)
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    )


def _value_type(cells: Any) -> Any:
    import pyarrow as pa

    return cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
