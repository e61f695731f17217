"""Rows for tests of metrics, and what scikit-learn says of them: the judge that evaluation is held against."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn import metrics as judge

AVERAGES = ("macro", "micro", "weighted")
THREE = ("precision", "recall", "f1")


def scores_of(name: str, *args: Any, **options: Any) -> float:
    """Return what a function of scikit-learn says, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(getattr(judge, name)(*args, **options))


def class_figures(
    true: Any, predicted: Any, chances: Any, classes: Any, *, positive: Any = None, weights: Any = None
) -> dict[str, float]:
    """Return the figures of classes, each from scikit-learn's own function; *chances* are in the order of *classes*."""
    given: dict[str, Any] = {"sample_weight": weights}
    pair = (true, predicted)
    found = {
        "accuracy": scores_of("accuracy_score", *pair, **given),
        "balanced_accuracy": scores_of("balanced_accuracy_score", *pair, **given),
        "mcc": scores_of("matthews_corrcoef", *pair, **given),
    }
    if positive is not None:
        for name in THREE:
            found[name] = scores_of(f"{name}_score", *pair, pos_label=positive, zero_division=np.nan, **given)
    else:
        for average in AVERAGES:
            for name in THREE:
                options = {"average": average, "zero_division": 0, **given}
                found[f"{name}_{average}"] = scores_of(f"{name}_score", *pair, **options)
    if chances is None:
        return found
    found["log_loss"] = scores_of("log_loss", true, chances, labels=classes, **given)
    found["brier"] = scores_of("brier_score_loss", true, chances, labels=classes, **given)
    if positive is not None:
        column = np.asarray(chances)[:, list(classes).index(positive)]
        found["roc_auc"] = scores_of("roc_auc_score", np.asarray(true) == positive, column, **given)
        found["pr_auc"] = scores_of("average_precision_score", np.asarray(true) == positive, column, **given)
    else:
        options = {"multi_class": "ovr", "average": "macro", "labels": classes, **given}
        found["roc_auc"] = scores_of("roc_auc_score", true, chances, **options)
        found["pr_auc"] = scores_of("average_precision_score", true, chances, average="macro", **given)
    return found


def label_figures(true: Any, predicted: Any, chances: Any = None, *, weights: Any = None) -> dict[str, float]:
    """Return the figures of several labels a row."""
    given: dict[str, Any] = {"sample_weight": weights}
    pair = (true, predicted)
    found = {
        "subset_accuracy": scores_of("accuracy_score", *pair, **given),
        "hamming_loss": scores_of("hamming_loss", *pair, **given),
        "jaccard": scores_of("jaccard_score", *pair, average="samples", zero_division=0, **given),
    }
    for average in AVERAGES:
        for name in THREE:
            options = {"average": average, "zero_division": 0, **given}
            found[f"{name}_{average}"] = scores_of(f"{name}_score", *pair, **options)
    if chances is not None:
        found["roc_auc"] = scores_of("roc_auc_score", true, chances, average="macro", **given)
        found["pr_auc"] = scores_of("average_precision_score", true, chances, average="macro", **given)
    return found


def number_figures(true: Any, predicted: Any, *, weights: Any = None) -> dict[str, float]:
    """Return the figures of numbers, the mean over the targets."""
    given: dict[str, Any] = {"sample_weight": weights}
    pair = (true, predicted)
    columns = [np.asarray(side).reshape(len(true), -1).T for side in pair]
    return {
        "rmse": scores_of("root_mean_squared_error", *pair, **given),
        "mae": scores_of("mean_absolute_error", *pair, **given),
        "r2": scores_of("r2_score", *pair, **given),
        "mape": scores_of("mean_absolute_percentage_error", *pair, **given),
        "median_absolute_error": scores_of("median_absolute_error", *pair, **given),
        "max_error": float(np.mean([scores_of("max_error", *one) for one in zip(*columns, strict=True)])),
    }
