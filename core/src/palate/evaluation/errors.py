"""What can go wrong when a model is evaluated; an error of the data names rows and columns, never a whole cell.

EvaluationError (PalateError)
├── TargetNotFound (InvalidOption, LookupError)  no column of that name, or one that the model is given as an input
├── InputsNotFound (InvalidInput, LookupError)  columns that a model needs are not in the data
├── ModelFailed (RuntimeError)          the model raised on a row
├── MetricNotFound (KeyError)           a result has no figure of that name
├── InvalidTarget (ValueError)          what is true cannot be read, or does not fit the task
├── InvalidWeights (ValueError)         weights that are missing, negative or all zero
├── InvalidPredictions (ValueError)     the model returned nothing that can be held against the target
├── LabelsDiffer (TypeError)            classes of the target and of the model are of two kinds
├── TaskUnknown (InvalidOption, ValueError)  target and predictions do not tell what is to be measured
├── TooManyClasses (ValueError)         more classes than a classifier has
├── NoRows (ValueError)                 nothing is left to evaluate
├── InvalidSlice (InvalidOption, ValueError)  a column by which rows cannot be divided
└── MetricFailed (RuntimeError)         a function of the user's own raised, or returned no number
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palate.errors import InvalidInput, InvalidOption, PalateError, Problem
from palate.evaluation._near_names import listed_names, meant_names

__all__ = [
    "EvaluationError",
    "InputsNotFound",
    "InvalidPredictions",
    "InvalidSlice",
    "InvalidTarget",
    "InvalidWeights",
    "LabelsDiffer",
    "MetricFailed",
    "MetricNotFound",
    "ModelFailed",
    "NoRows",
    "TargetNotFound",
    "TaskUnknown",
    "TooManyClasses",
]

_DELIMITERS: Final = {";": "';'", "\t": "tab", "|": "'|'"}


class EvaluationError(PalateError):
    """The base of what keeps a model from being evaluated."""


class TargetNotFound(EvaluationError, InvalidOption, LookupError):
    """A column that was asked for is not in the data, or not free to be a target."""

    def __init__(self, column: str, *, role: str, known: Sequence[str], is_input: bool = False) -> None:
        self.column, self.role, self.known = column, role, tuple(known)
        if is_input:
            told = "is also an input of the model, which would be shown what it has to predict"
            hint = "give the column that holds what is true; or pass the values themselves as target="
        elif not self.known:
            told = "is asked for by its name, and an array has no names"
            hint = "pass an array with a value for each row"
        else:
            told = "is no column of the data"
            meant = meant_names(column, self.known)
            others = f" There is {listed_names(self.known)}" if meant.endswith("?") else ""
            hint = f"{meant}{others}{_delimiter_hint(self.known)}"
        InvalidOption.__init__(self, role, reason=f"{column!r:.80} {told}", hint=hint)


class InputsNotFound(EvaluationError, InvalidInput, LookupError):
    """Columns that a model needs are not in the data."""

    def __init__(self, model: str, *, missing: Sequence[str], data: str, known: Sequence[str]) -> None:
        self.model, self.missing, self.data, self.known = model, tuple(missing), data, tuple(known)
        self.problems = tuple(Problem(("inputs", name), "missing", "this column is missing") for name in missing)
        count = f"{len(self.missing)} of the columns that it needs: " if len(self.missing) > 1 else ""
        PalateError.__init__(
            self,
            f"The model '{model}' cannot be evaluated on {data:.200}, which lacks {count}{_listed(self.missing)}. "
            f"There is {listed_names(self.known)}. "
            f"Hint: give the rows that this model was made for{_delimiter_hint(self.known)}.",
        )


class ModelFailed(EvaluationError, RuntimeError):
    """A model raised when it was asked about some rows; *row* is the first one on which it fails alone, or None."""

    def __init__(self, model: str, *, file: str, row: int | None, reason: str) -> None:
        self.model, self.file, self.row, self.reason = model, file, row, reason
        where = f"some rows of '{file}', though on none alone" if row is None else f"row {row:,} of '{file}'"
        counted = "" if row is None else ", counted from 0"
        super().__init__(
            f"The model '{model}' fails on {where}{counted}: {reason.rstrip('.')}. "
            "Hint: mend such rows, or leave them out; a model that shall take them has to be trained for it."
        )


class MetricNotFound(EvaluationError, KeyError):
    """A result has no figure of that name."""

    def __init__(self, metric: str, *, known: Sequence[str]) -> None:
        self.metric, self.known = metric, tuple(known)
        super().__init__(f"There is no metric {metric!r:.80}. Hint: {meant_names(metric, self.known)}")

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show its text in quotes


class InvalidTarget(EvaluationError, ValueError):
    """What is true of the rows cannot be read, or does not fit the task."""

    def __init__(self, target: str, *, reason: str, hint: str) -> None:
        self.target, self.reason = target, reason
        super().__init__(f"The target '{target:.80}' cannot be used: {reason}. Hint: {hint}.")


class InvalidWeights(EvaluationError, ValueError):
    """Weights of rows that no mean can be made of."""

    def __init__(self, weights: str, *, reason: str) -> None:
        self.weights, self.reason = weights, reason
        super().__init__(
            f"The weights '{weights:.80}' cannot be used: {reason}. "
            "Hint: each row needs a number that is not negative, and one of them has to be more than 0; "
            "leave out rows that shall not count."
        )


class InvalidPredictions(EvaluationError, ValueError):
    """A model returned nothing that can be held against the target."""

    def __init__(self, method: str, *, reason: str, hint: str) -> None:
        self.method, self.reason = method, reason
        super().__init__(f"What '{method}' returns cannot be evaluated: {reason}. Hint: {hint}.")


class LabelsDiffer(EvaluationError, TypeError):
    """The classes of the target and those that the model predicts are of two kinds that do not meet."""

    def __init__(self, target: str, *, true: Sequence[object], predicted: Sequence[object]) -> None:
        self.target, self.true, self.predicted = target, tuple(true), tuple(predicted)
        super().__init__(
            f"The target '{target:.80}' holds {_kinds(self.true)}, and the model predicts {_kinds(self.predicted)}: "
            f"{_shared(self.true, self.predicted)}. "
            "Hint: give a target with the values that the model was trained on."
        )


class TaskUnknown(EvaluationError, InvalidOption, ValueError):
    """Target and predictions leave open what is to be measured."""

    def __init__(self, target: str, *, reason: str, choices: Sequence[str]) -> None:
        self.target, self.choices = target, tuple(choices)
        ways = " or ".join(f"task='{choice}'" for choice in self.choices)
        told = f"it is not clear what the target '{target:.80}' is: {reason}"
        InvalidOption.__init__(self, "task", reason=told, hint=f"pass {ways} (CLI: --task)")


class TooManyClasses(EvaluationError, ValueError):
    """There are more classes than an evaluation takes."""

    def __init__(self, target: str, *, found: int, limit: int) -> None:
        self.target, self.found, self.limit = target, found, limit
        super().__init__(
            f"The target '{target:.80}' has {found:,} classes or more, and at most {limit:,} are evaluated. "
            "Hint: if it is a number, pass task='regression'; if it is text, see that it is the right column."
        )


class NoRows(EvaluationError, ValueError):
    """There is nothing to evaluate."""

    def __init__(self, data: str, *, skipped: int) -> None:
        self.data, self.skipped = data, skipped
        why = f"the target is missing in all of its {skipped:,} rows" if skipped else "it has no rows"
        super().__init__(f"{data:.200}: {why}. Hint: give rows of which it is known what is true.")


class InvalidSlice(EvaluationError, InvalidOption, ValueError):
    """A column has no values by which rows can be divided."""

    def __init__(
        self, column: str, *, reason: str, hint: str = "give a column with a few values, or of numbers"
    ) -> None:
        self.column = column
        told = f"rows cannot be divided by '{column:.80}': {reason}"
        InvalidOption.__init__(self, "by", reason=told, hint=hint)


class MetricFailed(EvaluationError, RuntimeError):
    """A metric that is a function of the user's own did not give a number."""

    def __init__(self, metric: str, *, reason: str, hint: str = "it is called with y_true and y_pred") -> None:
        self.metric, self.reason = metric, reason
        super().__init__(f"The metric '{metric:.80}' failed: {reason}. Hint: {hint}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{name!r:.62}" for name in names[:10]) + (", …" if len(names) > 10 else "")


def _delimiter_hint(known: Sequence[str]) -> str:
    """Return what to do where the only column looks like a line of csv that was not divided."""
    found = next((name for sign, name in _DELIMITERS.items() if len(known) == 1 and sign in known[0]), None)
    return f"; it was read as one column: say what divides the cells (CLI: --delimiter {found})" if found else ""


def _shared(true: Sequence[object], predicted: Sequence[object]) -> str:
    """Return which classes are the same."""
    both = [label for label in true if label in predicted]
    return f"only {_listed(list(map(str, both)))} is the same" if both else "no class is the same"


def _kinds(values: Sequence[object]) -> str:
    """Return of which types some values are, with a few of them."""
    types = " and ".join(sorted({type(value).__name__ for value in values}))
    shown = ", ".join(f"{value!r:.30}" for value in values[:4])
    return f"{types} ({shown}{', …' if len(values) > 4 else ''})"
