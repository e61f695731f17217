"""Which class each column of scores is of: said by the user, by the model, or told by what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from palate.errors import InvalidOption, NativeElsewhere
from palate.evaluation._labels import Labels, label_order
from palate.evaluation._outcomes import Array
from palate.evaluation.errors import InvalidPredictions, LabelsDiffer
from palate.evaluation.results import Label
from palate.pyfunc import PyFuncModel

__all__ = ["find_columns"]

_AGREEMENT: Final = 0.9
"""How often the greatest score has to be the predicted class's: SVC's probabilities and classes differ at times."""


def find_columns(
    model: PyFuncModel,
    labels: Labels,
    *,
    given: Sequence[Label] | None,
    names: tuple[str, ...] | None,
    scores: Array,
    predicted: Array | None,
    method: str,
) -> tuple[list[int] | None, str]:
    """Return the code of the class of each column, and a note; None where nothing tells.

    Args:
        model: whose native object may have ``classes_``, if it is in this process.
        labels: all classes met; those that only the model knows are added.
        given: the classes as the user says, in the order of the columns.
        names: of the columns, where the model names them.
        scores: of some rows.
        predicted: the code of the class that was predicted for each; None where only the scores tell.
        method: what the scores come from.

    Raises:
        InvalidOption: *given* are not as many as there are columns.
        InvalidPredictions: only scores tell what is predicted, and nothing tells of what they are.
    """
    count = scores.shape[1]
    if given is not None:
        if len(given) != count:
            reason = f"{len(given)} classes for the {count} columns of '{method}'"
            raise InvalidOption("classes", reason=reason, hint="name the class of each column, in their order")
        return labels.codes(given), ""
    for told in (names, _native_classes(model)):
        if told is not None and (codes := _known(labels, told, count)) is not None:
            return codes, ""
    if predicted is not None:
        return _by_agreement(labels, scores, predicted, method)
    return _by_count(labels, count, method)


def _native_classes(model: PyFuncModel) -> list[Any] | None:
    try:
        found = getattr(model.native, "classes_", None)
    except NativeElsewhere:
        return None
    return found.tolist() if isinstance(found, np.ndarray) and found.ndim == 1 else None


def _known(labels: Labels, told: Sequence[object], count: int) -> list[int] | None:
    """Return the codes of what columns are called, if that is classes: some have to be met in the data."""
    if len(told) != count:
        return None
    try:
        found = labels.read(told)
    except LabelsDiffer:
        return None
    met = set(labels.met)
    return labels.codes(told) if any(label in met for label in found) else None


def _by_agreement(labels: Labels, scores: Array, predicted: Array, method: str) -> tuple[list[int] | None, str]:
    """Return the class that is predicted where a column is the greatest; scikit-learn's are in sorted order."""
    count, greatest = scores.shape[1], scores.argmax(axis=1)
    order = sorted(range(len(labels.met)), key=lambda code: label_order(labels.met[code]))
    votes = np.zeros((count, len(labels.met)))
    np.add.at(votes, (greatest, predicted), 1)
    voted = [int(column.argmax()) if column.any() else None for column in votes]
    named = [code for code in voted if code is not None]
    if len(order) == count:
        agreed = sum(votes[place, code] for place, code in enumerate(order)) / max(len(predicted), 1)
        contradicted = len(set(named)) == len(named) and any(
            code is not None and code != order[place] for place, code in enumerate(voted)
        )
        if agreed >= _AGREEMENT and not contradicted:
            return order, ""
    if len(named) == count == len(set(named)):
        note = f"The order of the classes in '{method}' was told from the predictions; classes= says it."
        return named, note
    unknown = f"which class each column of '{method}' is of is not known; classes= says it."
    return None, f"The figures that need scores are left out: {unknown}"


def _by_count(labels: Labels, count: int, method: str) -> tuple[list[int], str]:
    met = labels.met
    if all(not isinstance(label, str) and 0 <= int(label or 0) < count for label in met):
        return labels.codes([label == 1 if isinstance(met[0], bool) else label for label in range(count)]), ""
    if len(met) == count:
        order = sorted(range(count), key=lambda code: label_order(met[code]))
        shown = ", ".join(str(met[code]) for code in order[:5])
        return (
            order,
            f"The columns of '{method}' were taken for the classes in sorted order ({shown}); classes= says it.",
        )
    reason = f"{count} scores a row, and nothing says which of the {len(met)} classes they are of"
    raise InvalidPredictions(method, reason=reason, hint="pass classes=, with the class of each column")
