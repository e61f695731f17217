"""What can go wrong when a model is evaluated; an error of the data names rows and columns, never a whole cell.

EvaluationError (PalateError)
├── TargetNotFound (InvalidOption, LookupError)  no column of that name, or one that the model is given as an input
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

from palate.errors import InvalidOption, PalateError

__all__ = [
    "EvaluationError",
    "InvalidPredictions",
    "InvalidSlice",
    "InvalidTarget",
    "InvalidWeights",
    "LabelsDiffer",
    "MetricFailed",
    "NoRows",
    "TargetNotFound",
    "TaskUnknown",
    "TooManyClasses",
]


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
            more = " …" if len(self.known) > 20 else ""
            told = "is no column of the data"
            hint = f"there is {', '.join(self.known[:20])}{more}; values of text themselves are passed as an array"
        InvalidOption.__init__(self, role, reason=f"{column!r:.80} {told}", hint=hint)


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
            f"The target '{target:.80}' holds {_kinds(self.true)}, and the model predicts {_kinds(self.predicted)}. "
            "Hint: give a target with the values that the model was trained on."
        )


class TaskUnknown(EvaluationError, InvalidOption, ValueError):
    """Target and predictions leave open what is to be measured."""

    def __init__(self, target: str, *, reason: str, choices: Sequence[str]) -> None:
        self.target, self.choices = target, tuple(choices)
        ways = " or ".join(f"task='{choice}'" for choice in self.choices)
        told = f"it is not clear what the target '{target:.80}' is: {reason}"
        InvalidOption.__init__(self, "task", reason=told, hint=f"pass {ways}")


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

    def __init__(self, column: str, *, reason: str) -> None:
        self.column = column
        told = f"rows cannot be divided by '{column:.80}': {reason}"
        InvalidOption.__init__(self, "by", reason=told, hint="give a column with a few values, or of numbers")


class MetricFailed(EvaluationError, RuntimeError):
    """A metric that is a function of the user's own did not give a number."""

    def __init__(self, metric: str, *, reason: str, hint: str = "it is called with y_true and y_pred") -> None:
        self.metric, self.reason = metric, reason
        super().__init__(f"The metric '{metric:.80}' failed: {reason}. Hint: {hint}.")


def _kinds(values: Sequence[object]) -> str:
    """Return of which types some values are, with a few of them."""
    types = " and ".join(sorted({type(value).__name__ for value in values}))
    shown = ", ".join(f"{value!r:.30}" for value in values[:4])
    return f"{types} ({shown}{', …' if len(values) > 4 else ''})"
