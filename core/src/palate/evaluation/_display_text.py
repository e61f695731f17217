"""Numbers and names as people read them in a report and in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from palate.evaluation.results import Label

__all__ = [
    "interval_text",
    "label_text",
    "metric_title",
    "number_text",
    "percent_text",
    "short_text",
    "signed_text",
    "tick_texts",
]

_NOTHING: Final = "\N{EN DASH}"
_MINUS: Final = "\N{MINUS SIGN}"
_TITLES: Final = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
    "f1": "F1",
    "hamming_loss": "Hamming loss",
    "jaccard": "Jaccard index",
    "log_loss": "Log loss",
    "mae": "Mean absolute error",
    "mape": "Mean absolute percentage error, as a share",
    "max_error": "Largest error",
    "mcc": "Matthews correlation",
    "median_absolute_error": "Median absolute error",
    "pr_auc": "PR AUC",
    "precision": "Precision",
    "r2": "R²",
    "recall": "Recall",
    "rmse": "Root mean squared error",
    "roc_auc": "ROC AUC",
    "subset_accuracy": "Subset accuracy",
}
_AVERAGES: Final = ("macro", "micro", "weighted")


def metric_title(name: str) -> str:
    """Return what people call a metric; one that nobody knows keeps its name."""
    if name in _TITLES:
        return _TITLES[name]
    stem, _, average = name.rpartition("_")
    return f"{_TITLES[stem]} ({average})" if stem in _TITLES and average in _AVERAGES else name


def label_text(label: Label) -> str:
    """Return a class, or the value of a column, as text that is never empty."""
    if label is None:
        return "(missing)"
    if isinstance(label, float) and label.is_integer() and abs(label) < 1e15:
        return str(int(label))
    text = str(label)
    return text if text.strip() else f"“{text}”"


def short_text(text: str, most: int) -> str:
    """Return a text with its middle left out where it is too long for its place."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 1]}…{text[-end:]}"


def number_text(value: float | None) -> str:
    """Return a number with about four digits, or a dash where there is none."""
    if value is None or math.isnan(value):
        return _NOTHING
    if math.isinf(value):
        return f"{_MINUS if value < 0 else ''}∞"
    return _with(value, _digits(abs(value)))


def signed_text(value: float | None) -> str:
    """Return a difference with its sign."""
    text = number_text(value)
    return f"+{text}" if value is not None and value > 0 else text


def interval_text(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Return both ends of an interval; nothing where it has not both."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    show = signed_text if signed else number_text
    return f"{show(low)} to {show(high)}"


def percent_text(share: float) -> str:
    """Return a share as people say it: "95 %"."""
    return f"{share * 100:.6g}\N{NO-BREAK SPACE}%"


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return the numbers along an axis, each with as many digits as the step between them needs."""
    step = min((abs(b - a) for a, b in pairwise(values)), default=1.0)
    largest = max(map(abs, values), default=0.0)
    if largest >= 1e6 or (step and step < 1e-4):
        return [f"{value:.4g}".replace("-", _MINUS) for value in values]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0
    if round(step, decimals) != round(step, decimals + 2):
        decimals += 1  # a step of 2.5, or of 0.25
    return [f"{value + 0.0:,.{decimals}f}".replace("-", _MINUS) for value in values]


def _digits(size: float) -> int | None:
    """Return how many digits stand behind the point; None where a number needs an exponent.

    Numbers below one, as most figures are, have four each, so that they stand in line.
    """
    if size != 0 and not 1e-3 <= size < 1e9:
        return None
    if size < 1:
        return 4
    return max(0, 3 - math.floor(math.log10(size)))


def _with(value: float, digits: int | None) -> str:
    text = f"{value:.2e}" if digits is None else f"{value:,.{digits}f}"
    if digits is not None and float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)
