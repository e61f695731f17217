"""Evaluations as values, put together from scikit-learn's own curves, for tests of what is done with them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_breast_cancer, load_diabetes, make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from palate.evaluation.results import (
    Calibration,
    Comparison,
    Confusion,
    Curve,
    Difference,
    Evaluation,
    Importance,
    Latency,
    Metric,
    Pictures,
    Residuals,
    Slice,
)

__all__ = ["HOSTILE", "binary", "compared", "empty", "hostile", "multiclass", "regression"]

DIGEST = "3f5c" * 16
HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e{{ 7*7 }}"


def empty(**changes: Any) -> Evaluation:
    """Return an evaluation that found nothing at all."""
    nothing = Evaluation(
        uri="models:/screening/3",
        digest=DIGEST,
        name="screening",
        version=3,
        flavor="sklearn",
        task="binary",
        target="diagnosis",
        data="holdout.parquet",
        rows=0,
        skipped=0,
        classes=(),
        positive=None,
        weights=None,
        confidence=0.95,
        resamples=0,
        seed=0,
        exact=True,
        time="2026-11-28T15:04:05.678+00:00",
        software={},
        metrics=(),
        slices=(),
        pictures=Pictures(),
        latency=None,
        importance=(),
        notes=(),
    )
    return replace(nothing, **changes)


def _metric(name: str, value: float, spread: float, *, greater: bool = True) -> Metric:
    return Metric(name=name, value=value, low=value - spread, high=value + spread * 0.8, greater_is_better=greater)


def _thin(values: Any, most: int = 200) -> tuple[float, ...]:
    places = np.unique(np.linspace(0, len(values) - 1, most).astype(int))
    return tuple(float(values[place]) for place in places)


def _curves(label: Any, true: Any, score: Any) -> tuple[Curve, Curve, Calibration]:
    fpr, tpr, _ = metrics.roc_curve(true, score)
    precision, recall, _ = metrics.precision_recall_curve(true, score)
    observed, predicted = calibration_curve(true, score, n_bins=10)
    counts, _ = np.histogram(score, bins=10, range=(0, 1))
    roc = Curve(label=label, x=_thin(fpr), y=_thin(tpr), area=float(metrics.roc_auc_score(true, score)))
    area = float(metrics.average_precision_score(true, score))
    pr = Curve(label=label, x=_thin(recall), y=_thin(precision), area=area)
    rows = tuple(map(float, counts[counts > 0]))
    return roc, pr, Calibration(label=label, predicted=_thin(predicted), observed=_thin(observed), rows=rows)


def _confusion(labels: Any, true: Any, predicted: Any) -> Confusion:
    counts = metrics.confusion_matrix(true, predicted)
    return Confusion(labels=tuple(labels), counts=tuple(tuple(map(float, row)) for row in counts))


def binary(*, noise: float = 1.5, **changes: Any) -> Evaluation:
    """Return an evaluation of a classifier of tumours, with slices."""
    return replace(_binary(noise), **changes)


@cache
def _binary(noise: float) -> Evaluation:
    x, y = load_breast_cancer(return_X_y=True)
    x = x + np.random.default_rng(0).normal(0, noise, x.shape) * x.std(axis=0)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.5, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(train_x, train_y)
    names = np.array(["benign", "malignant"])
    score, true = model.predict_proba(test_x)[:, 0], test_y == 0
    roc, pr, calibration = _curves("malignant", true, score)
    found = (
        _metric("accuracy", float(metrics.accuracy_score(true, score > 0.5)), 0.035),
        _metric("f1", float(metrics.f1_score(true, score > 0.5)), 0.05),
        _metric("roc_auc", float(metrics.roc_auc_score(true, score)), 0.02),
        _metric("log_loss", float(metrics.log_loss(true, score)), 0.04, greater=False),
        _metric("precision", float(metrics.precision_score(true, score > 0.5)), 0.06),
        _metric("recall", float(metrics.recall_score(true, score > 0.5)), 0.06),
        _metric("brier", float(metrics.brier_score_loss(true, score)), 0.02, greater=False),
        _metric("mcc", float(metrics.matthews_corrcoef(true, score > 0.5)), 0.07),
    )
    site = np.random.default_rng(1).integers(0, 4, len(true))
    slices = tuple(
        Slice(
            column="site",
            value=label,
            label=label,
            rows=int((site == number).sum()),
            metrics=tuple(
                _metric(m.name, (m.value or 0) + shift, 0.05, greater=bool(m.greater_is_better)) for m in found
            ),
        )
        for number, (label, shift) in enumerate([("Aachen", 0.01), ("Bergen", -0.04), ("Cork", 0.02), ("Delft", 0.0)])
    )
    return empty(
        rows=len(true),
        skipped=3,
        classes=("benign", "malignant"),
        positive="malignant",
        resamples=1000,
        software={"palate": "0.1.0", "python": "3.11.2", "scikit-learn": "1.9.1"},
        metrics=found,
        slices=slices,
        pictures=Pictures(
            roc=(roc,),
            pr=(pr,),
            calibration=(calibration,),
            confusion=_confusion(names, names[true.astype(int)], names[(score > 0.5).astype(int)]),
        ),
        latency=Latency(rows_per_call=1, calls=200, mean_ms=0.42, p50_ms=0.39, p95_ms=0.61, p99_ms=1.27),
        importance=tuple(
            Importance(column=name, mean=mean, deviation=mean / 5 + 0.002)
            for name, mean in [("mean radius", 0.041), ("worst texture", 0.063), ("smoothness", -0.001)]
        ),
        notes=("3 rows were left out: their target is missing.",),
    )


def multiclass(classes: int = 4, labels: tuple[Any, ...] | None = None, **changes: Any) -> Evaluation:
    """Return an evaluation of a classifier of some classes."""
    return replace(_multiclass(classes, labels), **changes)


@cache
def _multiclass(classes: int, labels: tuple[Any, ...] | None) -> Evaluation:
    x, y = make_classification(
        n_samples=max(900, classes * 40),
        n_features=20,
        n_informative=12,
        n_classes=classes,
        n_clusters_per_class=1,
        flip_y=0.15,
        random_state=3,
    )
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.5, random_state=0, stratify=y)
    model = LogisticRegression(max_iter=500).fit(train_x, train_y)
    score, predicted = model.predict_proba(test_x), model.predict(test_x)
    names = labels or tuple(f"class {number}" for number in range(classes))
    curves = [_curves(names[n], test_y == n, score[:, n]) for n in range(classes)]
    found = (
        _metric("accuracy", float(metrics.accuracy_score(test_y, predicted)), 0.03),
        _metric("f1_macro", float(metrics.f1_score(test_y, predicted, average="macro")), 0.03),
        _metric("roc_auc", float(metrics.roc_auc_score(test_y, score, multi_class="ovr")), 0.01),
        Metric(name="log_loss", value=None, greater_is_better=False, note="the model gives no probabilities"),
    )
    return empty(
        task="multiclass",
        rows=len(test_y),
        classes=names,
        resamples=1000,
        metrics=found,
        pictures=Pictures(
            roc=tuple(roc for roc, _, _ in curves),
            pr=tuple(pr for _, pr, _ in curves),
            calibration=tuple(line for _, _, line in curves),
            confusion=_confusion(names, test_y, predicted),
        ),
    )


def regression(**changes: Any) -> Evaluation:
    """Return an evaluation of a model of numbers."""
    x, y = load_diabetes(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.5, random_state=0)
    predicted = LinearRegression().fit(train_x, train_y).predict(test_x)
    counts, edges = np.histogram(predicted - test_y, bins=20)
    residuals = Residuals(
        edges=tuple(map(float, edges)),
        counts=tuple(map(float, counts)),
        actual=tuple(map(float, test_y)),
        predicted=tuple(map(float, predicted)),
    )
    found = (
        _metric("rmse", float(metrics.root_mean_squared_error(test_y, predicted)), 3.1, greater=False),
        _metric("mae", float(metrics.mean_absolute_error(test_y, predicted)), 2.4, greater=False),
        _metric("r2", float(metrics.r2_score(test_y, predicted)), 0.06),
    )
    return empty(
        name=None,
        version=None,
        uri="./models/progression",
        task="regression",
        target="progression",
        rows=len(test_y),
        resamples=1000,
        metrics=found,
        pictures=Pictures(residuals=residuals),
        **changes,
    )


def compared() -> Comparison:
    """Return a comparison of two classifiers, of which the second is better in some figures."""
    a, b = binary(noise=3.0, version=2, uri="models:/screening/2"), binary()
    differences = []
    for number, (old, new) in enumerate(zip(a.metrics, b.metrics, strict=True)):
        assert old.value is not None
        assert new.value is not None
        change = new.value - old.value
        is_real = number in (0, 2, 3)
        differences.append(
            Difference(
                name=old.name,
                a=old.value,
                b=new.value,
                difference=change,
                low=change - abs(change) * (0.6 if is_real else 1.4),
                high=change + abs(change) * (0.6 if is_real else 1.4),
                p_value=0.0004 if is_real else 0.21,
                better="b" if is_real else "",
                greater_is_better=old.greater_is_better,
                test="exact McNemar" if number == 0 else "paired bootstrap",
            )
        )
    return Comparison(a=a, b=b, confidence=0.95, differences=tuple(differences))


def hostile() -> Evaluation:
    """Return an evaluation in which every text is a stranger's."""
    labels = (HOSTILE, "שלום עולם", "x" * 200, "", None, "東京", "a\x00b\x1b[31m")
    found = multiclass(7, labels)
    part = replace(binary().slices[0], column=HOSTILE, value=HOSTILE, label=HOSTILE, metrics=found.metrics)
    return replace(
        found,
        **dict.fromkeys(("uri", "name", "flavor", "target", "data", "weights", "positive"), HOSTILE),
        notes=(HOSTILE,),
        software={HOSTILE: HOSTILE},
        slices=(part,),
        metrics=(*found.metrics, Metric(name=HOSTILE, value=0.5, note=HOSTILE)),
        importance=(replace(binary().importance[0], column=HOSTILE),),
    )
