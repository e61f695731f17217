"""Metrics that are functions of the user's own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

from palate.errors import InvalidOption
from palate.evaluation._outcomes import Array
from palate.evaluation.errors import MetricFailed
from palate.evaluation.results import Metric

__all__ = ["CustomMetric", "call_metrics", "check_metrics", "metric_name"]

CustomMetric: TypeAlias = Callable[..., float | Mapping[str, float]]
"""Called with y_true and y_pred, and with sample_weight if it takes that; returns a number, or several by name."""

_ONCE = "No interval: a function of your own is called once."
_NO_NUMBER = "The function returned NaN, or an infinite number."


def check_metrics(functions: Sequence[CustomMetric], taken: Sequence[str] = ()) -> None:
    """Refuse what is no function with a name of its own. Raises InvalidOption."""
    names: set[str] = set(taken)
    for function in functions:
        if not callable(function):
            reason = f"a {type(function).__name__} is no function"
            raise InvalidOption("metrics", reason=reason, hint="give functions of y_true and y_pred")
        name = metric_name(function)
        if not name.isidentifier() or name in names:
            reason = f"{name!r:.60} is no name of its own"
            raise InvalidOption("metrics", reason=reason, hint="define it with 'def', under another name")
        names.add(name)


def call_metrics(
    functions: Sequence[CustomMetric], true: Array, predicted: Array, weights: Array | None
) -> list[Metric]:
    """Return what each function says of the rows.

    Raises:
        MetricFailed: one raised, or returned no number.
    """
    return [metric for function in functions for metric in _call(function, true, predicted, weights)]


def _call(function: CustomMetric, true: Array, predicted: Array, weights: Array | None) -> list[Metric]:
    name = metric_name(function)
    given = {"sample_weight": weights} if _takes_weights(function) else {}
    # Copies: a function that sorts or changes what it is given must not change it for the next one.
    try:
        found: Any = function(true.copy(), predicted.copy(), **given)
    except Exception as exc:  # a function of the user's own may raise anything
        raise MetricFailed(name, reason=f"{type(exc).__name__}: {exc!s:.200}") from exc
    greater = getattr(function, "greater_is_better", None)
    note = _ONCE
    if weights is not None and not given:
        note = f"It takes no sample_weight, so each row counts once. {note}"
    named = {f"{name}_{key}": value for key, value in found.items()} if isinstance(found, Mapping) else {name: found}
    numbers = {key: _number(name, value) for key, value in named.items()}
    return [
        Metric(name=key, value=value, greater_is_better=greater, note=_NO_NUMBER if value is None else note)
        for key, value in numbers.items()
    ]


def _number(name: str, value: object) -> float | None:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        hint = "return a number, or a dict of numbers by name"
        raise MetricFailed(name, reason=f"it returned a {type(value).__name__}", hint=hint)
    return float(value) if math.isfinite(value) else None


def metric_name(function: CustomMetric) -> str:
    """Return what a function is called; a partial is called as the function that it calls."""
    named = getattr(function, "func", function)
    return str(getattr(named, "__name__", type(named).__name__))


def _takes_weights(function: CustomMetric) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C, and silent about what it takes
        return False
    return any(each.name == "sample_weight" or each.kind is each.VAR_KEYWORD for each in parameters)
