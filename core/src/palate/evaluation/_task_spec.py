"""What the rows of a model are measured as: its task, classes in sorted order, the class of each column of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from palate.errors import InvalidOption
from palate.evaluation._class_outcome import ClassOutcome
from palate.evaluation._evaluated_model import EvaluatedModel, PredictedRows
from palate.evaluation._label_outcome import LabelOutcome
from palate.evaluation._labels import label_order
from palate.evaluation._number_outcome import NumberOutcome
from palate.evaluation._outcomes import Array
from palate.evaluation._score_columns import find_columns
from palate.evaluation.errors import InvalidTarget, LabelsDiffer
from palate.evaluation.results import Label, Task

__all__ = ["Rows", "TaskSpec", "class_form", "find_task_spec", "make_outcome", "with_sorted_classes"]

_TWO_WAYS: Final = {frozenset({-1, 1}), frozenset({0, 1})}
"""How the two classes of a binary task are written as numbers."""
Rows: TypeAlias = ClassOutcome | LabelOutcome | NumberOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """What rows are measured as.

    Attributes:
        task: the task.
        classes: all classes, in the order of *order*; or the names of labels; empty for numbers.
        order: the code of each class, in sorted order (int64).
        positive: of two classes, the code of the one that is looked for.
        columns: the code of each column of scores; None where there are none.
        center: of numbers, a value for each target that squares are taken from.
        scale: by what weights are divided, so that the greatest one is about 1.
        notes: what a reader has to know.
    """

    task: Task
    classes: tuple[Label, ...] = ()
    order: Array
    positive: int | None = None
    columns: tuple[int, ...] | None = None
    center: Array
    scale: float = 1.0
    notes: tuple[str, ...] = ()


def find_task_spec(subject: EvaluatedModel, part: PredictedRows, *, final: bool = True) -> TaskSpec:
    """Return what a model's rows are measured as: task, classes, and what each column of scores is of.

    Args:
        subject: the model.
        part: the rows.
        final: whether these are all rows; after some of them, more classes may come.

    Raises:
        EvaluationError: classes and scores do not fit together.
        InvalidOption: ``positive=`` or ``classes=`` are not of the classes.
    """
    subject.settled |= not final
    part = subject.read_scores(part)
    scale = 1.0 if part.weights is None else float(part.weights.max()) or 1.0
    none = np.empty(0, dtype=np.int64)
    if subject.family == "numbers":
        return TaskSpec(task="regression", order=none, center=part.truth.mean(axis=0), scale=scale)
    if subject.family == "labels":
        names = subject.target.names or tuple(map(str, range(subject.target.width)))
        return TaskSpec(task="multilabel", classes=names, order=none, center=none, scale=scale)
    columns, notes = None, []
    if part.scores is not None:
        columns, note = find_columns(
            subject.model,
            subject.labels,
            given=subject.settings.classes,
            names=subject.names,
            scores=part.scores,
            predicted=None if subject.by_scores else part.predicted,
            method=subject.asked.scores or subject.asked.first,
        )
        notes += [note] if note else []
    notes += _compare_classes(subject, part, columns)
    found = TaskSpec(
        task="multiclass",
        order=none,
        center=none,
        columns=None if columns is None else tuple(columns),
        scale=scale,
        notes=tuple(notes),
    )
    if final:
        return with_sorted_classes(subject, found)
    # Who is looked for is known once the model has named its two classes.
    two = columns is not None and len(subject.labels.met) == 2
    return replace(found, positive=_find_positive(subject)[1] if two else None)


def _compare_classes(subject: EvaluatedModel, part: PredictedRows, columns: Sequence[int] | None) -> list[str]:
    """Return what has to be said where the model predicts no class that the target has.

    Raises:
        LabelsDiffer: it could not, for all of its classes are others.
    """
    met, true = subject.labels.met, set(np.unique(part.truth).tolist())
    assert part.predicted is not None
    predicted = set(np.unique(part.predicted).tolist())
    if subject.by_scores:
        assert columns is not None
        predicted = {columns[at] for at in predicted}
    if not true or true & predicted:
        return []
    # Without scores, nobody knows the classes of a model that were never predicted.
    known = predicted | set(columns or ())
    if not true & known and (columns is not None or min(len(true), len(predicted)) > 1):
        theirs, ours = (sorted((met[code] for code in codes), key=label_order) for codes in (true, known))
        raise LabelsDiffer(subject.target.title, true=theirs, predicted=ours)
    return ["No row has a class that the model predicts for any row: see whether the target is the right one."]


def _compare_all_classes(subject: EvaluatedModel) -> str:
    """Return what has to be said where target and model share some classes only, and each has others.

    Raises:
        LabelsDiffer: one writes -1 and 1, and the other 0 and 1.
    """
    true, ours = subject.labels.true, subject.labels.modelled
    only_true, only_ours = (
        sorted(set(true) - set(ours), key=label_order),
        sorted(set(ours) - set(true), key=label_order),
    )
    if not only_true or not only_ours or len(only_true) == len(true):
        return ""
    if subject.settings.task != "multiclass" and {frozenset(true), frozenset(ours)} == _TWO_WAYS:
        raise LabelsDiffer(subject.target.title, true=true, predicted=ours)
    listed = (", ".join(f"{label!r:.40}" for label in labels[:5]) for labels in (only_true, only_ours))
    return (
        "The target has classes that the model does not know or predict ({}), and lacks some that it does ({}).".format(
            *listed
        )
    )


def with_sorted_classes(subject: EvaluatedModel, spec: TaskSpec) -> TaskSpec:
    """Return *spec* with all classes that were met until now."""
    if subject.family != "classes":
        return spec
    task, positive, note = _find_positive(subject)
    met = subject.labels.met
    order = np.array(sorted(range(len(met)), key=lambda code: label_order(met[code])), dtype=np.int64)
    if None not in (positive, spec.positive) and positive != spec.positive:
        reason = "the first rows, which were summed up, lack the class that all others tell to be looked for"
        raise InvalidTarget(subject.target.title, reason=reason, hint="pass positive= with the class")
    notes = tuple(dict.fromkeys([*spec.notes, *filter(None, [_compare_all_classes(subject), note])]))
    classes = tuple(met[code] for code in order)
    return replace(spec, task=task, positive=positive, order=order, classes=classes, notes=notes)


def _find_positive(subject: EvaluatedModel) -> tuple[Task, int | None, str]:
    """Return whether there are two classes or more, and which of two is looked for."""
    labels, settings = subject.labels, subject.settings
    if settings.task == "multiclass" or (len(labels.met) > 2 and settings.task is None and settings.positive is None):
        return "multiclass", None, ""
    if len(labels.met) > 2:
        shown = ", ".join(str(label) for label in labels.met[:5])
        reason = f"it has {len(labels.met)} classes ({shown}), and a binary task has two"
        raise InvalidTarget(subject.target.title, reason=reason, hint="pass task='multiclass', and no positive=")
    if settings.positive is not None:
        return "binary", _code_of(subject, settings.positive), ""
    if len(labels.met) == 1:
        _add_opposite(subject)
    positive = max(range(2), key=lambda code: label_order(labels.met[code]))
    label = labels.met[positive]
    if label in (0, 1):
        return "binary", positive, ""
    return (
        "binary",
        positive,
        f"The class that is looked for is {label!r:.60}, the last in order; positive (CLI: --positive) sets another.",
    )


def _code_of(subject: EvaluatedModel, positive: Label) -> int:
    """Return the code of the class that the caller looks for, which a command line gives as text."""
    met = subject.labels.met
    for code, label in enumerate(met):
        if label == positive or str(label) == str(positive):
            return code
    try:
        meant = subject.labels.read_alone(positive)
    except ValueError:
        meant = None
    if meant is not None and (meant in met or len(met) < 2):
        return subject.labels.add(meant)
    known = ", ".join(f"{label!r:.40}" for label in met)
    raise InvalidOption("positive", reason=f"{positive!r:.40} is no class", hint=f"there is {known}")


def _add_opposite(subject: EvaluatedModel) -> None:
    """Add what a single class is told from, where that is plain."""
    label = subject.labels.met[0]
    if label not in (0, 1):
        reason = f"it has only one class, {label!r:.40}, and the model names no other"
        hint = "pass positive= with the class that is looked for, or give rows of both classes"
        raise InvalidTarget(subject.target.title, reason=reason, hint=hint)
    subject.labels.add(not label if isinstance(label, bool) else 1 - int(label))


def make_outcome(subject: EvaluatedModel, spec: TaskSpec, part: PredictedRows, *, sort: bool = True) -> Rows:
    """Return rows as an outcome, classes in sorted order; or, while more may be met, in the order of their codes."""
    part = subject.read_scores(part)
    assert part.predicted is not None
    weights = None if part.weights is None else part.weights / spec.scale
    if subject.family == "numbers":
        return NumberOutcome(truth=part.truth, predicted=part.predicted, center=spec.center, weights=weights)
    if subject.family == "labels":
        names = tuple(map(str, spec.classes))
        return LabelOutcome(
            truth=part.truth, predicted=part.predicted, names=names, scores=part.scores, weights=weights
        )
    columns, predicted = spec.columns, part.predicted
    if subject.by_scores:
        assert columns is not None
        predicted = np.array(columns)[predicted]
    form = class_form(subject, spec, sort=sort)
    places = np.arange(len(subject.labels.met))
    if sort:
        places[spec.order] = np.arange(len(spec.order))
    scores = None if form.scores is None else part.scores
    return replace(form, truth=places[part.truth], predicted=places[predicted], scores=scores, weights=weights)


def class_form(subject: EvaluatedModel, spec: TaskSpec, *, sort: bool = True) -> ClassOutcome:
    """Return an outcome of classes without rows."""
    none = np.empty(0, dtype=np.int64)
    columns, positive = spec.columns or (), spec.positive
    if sort:
        places = {int(code): place for place, code in enumerate(spec.order)}
        columns = tuple(places[code] for code in columns)
        positive = None if positive is None else places[positive]
    known = columns and (positive is None or positive in columns)
    return ClassOutcome(
        truth=none,
        predicted=none,
        classes=spec.classes if sort else tuple(subject.labels.met),
        positive=positive,
        scores=np.empty((0, len(columns))) if known else None,
        columns=columns,
        probable=subject.probable and bool(known),
    )
