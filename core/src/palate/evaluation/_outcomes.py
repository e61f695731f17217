"""What is true and what was predicted, row by row: the one shape that figures are computed from for every task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from palate.evaluation._sums import Sums

__all__ = ["Array", "Outcome", "Remarks", "Undefined", "Values", "counted_as_zero", "take_rows"]

_Rows = TypeVar("_Rows", bound=Any)

Array: TypeAlias = "np.ndarray[Any, Any]"
Values: TypeAlias = dict[str, Array]
"""By the name of a metric, its value for each of some samples; NaN where it is not defined."""
Undefined: TypeAlias = dict[str, str]
"""By the name of a metric that has no value, the sentence that says why."""
Remarks: TypeAlias = dict[str, str]
"""By the name of a metric, a sentence that its reader has to know."""


class Outcome(Protocol):
    """Some rows of one task."""

    @property
    def weights(self) -> Array | None:
        """The weights of the rows, or None."""

    @property
    def order(self) -> Sequence[tuple[str, bool]]:
        """The names of all metrics, the most telling first, and whether greater is better."""

    def __len__(self) -> int:
        """Return how many rows there are."""

    def take(self, rows: Array) -> Outcome:
        """Return the outcome of some rows, by their numbers."""

    def sums(self) -> Sums:
        """Return what is summed up for ``values``."""

    def values(self, sums: Array) -> Values:
        """Return the metrics that follow from sums, of which there is a row for each sample."""

    def rankings(self) -> list[tuple[Array, Array]]:
        """Return, for each ROC AUC that the metric is a mean of, which rows are of the class and all scores."""

    def absolute_errors(self) -> list[Array]:
        """Return, for each target, how far off the predictions are, of which the median is a metric."""

    def exact(self) -> dict[str, float]:
        """Return what scikit-learn says of the rows. Only metrics that ``values`` has a value for are asked for."""

    def undefined(self) -> Undefined:
        """Return why metrics have no value for these rows; those that are left out have one."""

    def remarks(self) -> Remarks:
        """Return what has to be known of metrics that have a value."""


def take_rows(outcome: _Rows, rows: Array, *, columns: Sequence[str]) -> _Rows:
    """Return some rows of a dataclass, by their numbers; *columns* are its fields that have a value for each row."""
    held = {name: getattr(outcome, name) for name in columns}
    taken: _Rows = replace(outcome, **{name: None if each is None else each[rows] for name, each in held.items()})
    return taken


def counted_as_zero(names: Sequence[str], true: Array, predicted: Array, counted: Array) -> Remarks:
    """Return which classes, or labels, pull an average down because nothing is known of them.

    Args:
        names: of the classes.
        true: rows, or weight, of each.
        predicted: the same of what was predicted.
        counted: whether each is part of an average where all count the same.
    """
    absent, unsaid = counted & (true <= 0), counted & (predicted <= 0)
    cases = {
        "recall_macro": (absent, "of which there are no rows"),
        "f1_macro": (absent, "of which there are no rows"),
        "precision_macro": (unsaid, "which was never predicted"),
        "precision_weighted": (unsaid & (true > 0), "which was never predicted"),
    }
    found: Remarks = {}
    for metric, (which, why) in cases.items():
        chosen = [names[at] for at in np.flatnonzero(which).tolist()]
        if chosen:
            more = f" and {len(chosen) - 5} more" if len(chosen) > 5 else ""
            found[metric] = f"{', '.join(chosen[:5])}{more}, {why}, counts as 0 in it."
    return found
