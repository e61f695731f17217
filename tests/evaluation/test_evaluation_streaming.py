"""Rows that are too many to hold: the same figures from sums, and from fine bins where rows would have to be sorted."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from evaluation_models import Columns, saved
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_multilabel_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import palate
from palate.evaluation import Evaluation, evaluate_model

PASSING = {"max_held_bytes": 1, "batch_rows": 200}
FROM_BINS = {"roc_auc": 0.01, "pr_auc": 0.03, "median_absolute_error": 0.05}


def both(model, frame, **options) -> tuple[Evaluation, Evaluation]:
    """Return the evaluation of rows that are held, and of the same rows as they pass."""
    held = evaluate_model(model, frame, latency=False, **options)
    passing = evaluate_model(model, frame, latency=False, **{**options, **PASSING})
    assert held.exact
    return held, passing


def check(held, passing, *, looser: int = 1) -> None:
    """Compare figures: exactly, but for those from bins; intervals by how wide they are."""
    assert [metric.name for metric in held] == [metric.name for metric in passing]
    for one, other in zip(held, passing, strict=True):
        if one.value is None:
            assert other.value is None
            assert other.note == one.note
            continue
        tolerance = looser * FROM_BINS.get(one.name, 1e-9)
        assert other.value == pytest.approx(one.value, rel=tolerance), one.name
        if other.low is None:  # curves of slices have no intervals, and a greatest value never has one
            assert one.low is None or one.name in FROM_BINS
        else:
            assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.5), one.name


def shuffled(X, y):
    """Return columns x0, x1, … and the target y, in another order."""
    order = np.random.default_rng(0).permutation(len(X))
    return pd.DataFrame(X[order], columns=[f"x{at}" for at in range(X.shape[1])]), np.asarray(y)[order]


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("data", [load_breast_cancer, load_digits], ids=["binary", "multiclass"])
def test_classes(data, weighted: bool, tmp_path) -> None:
    """Figures of classes agree, with slices, confusion and calibration."""
    X, y = shuffled(*data(return_X_y=True))
    path = tmp_path / "m"
    palate.save_model(make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(X, y), path, input_example=X[:3])
    frame = X.assign(y=y, side=np.where(X["x2"] > X["x2"].median(), "more", "less"), w=np.linspace(1, 2, len(y)))
    weights = "w" if weighted else None
    held, passing = both(palate.load_model(path), frame, target="y", by="side", weights=weights, resamples=200)
    assert not passing.exact
    assert "bins" in " ".join(passing.notes)
    check(held.metrics, passing.metrics)
    assert [(part.label, part.rows) for part in held.slices] == [(part.label, part.rows) for part in passing.slices]
    for one, other in zip(held.slices, passing.slices, strict=True):
        check(one.metrics, other.metrics, looser=2)
    assert held.classes == passing.classes
    confusion = passing.pictures.confusion
    assert np.array(confusion.counts) == pytest.approx(np.array(held.pictures.confusion.counts))
    for one, other in zip(held.pictures.calibration, passing.pictures.calibration, strict=True):
        assert other.observed == pytest.approx(one.observed)
        assert other.rows == pytest.approx(one.rows)
    for one, other in zip(held.pictures.roc, passing.pictures.roc, strict=True):
        assert other.area == pytest.approx(one.area, abs=0.01)


def test_regression(tmp_path) -> None:
    """Figures of numbers agree, with the histogram of residuals inside of the range that was seen first."""
    X, y = shuffled(*load_diabetes(return_X_y=True))
    path = tmp_path / "m"
    palate.save_model(LinearRegression().fit(X, y), path, input_example=X[:3])
    held, passing = both(palate.load_model(path), X.assign(y=y), target="y", by="x2", resamples=200)
    check(held.metrics, passing.metrics)
    assert sum(passing.pictures.residuals.counts) == len(y)
    assert sum(part.rows for part in passing.slices) == len(y)


def test_labels(tmp_path) -> None:
    """Figures of several labels agree."""
    X, Y = shuffled(*make_multilabel_classification(400, n_classes=4, random_state=0))
    path = tmp_path / "m"
    palate.save_model(OneVsRestClassifier(LogisticRegression(max_iter=500)).fit(X, Y), path, input_example=X[:3])
    held, passing = both(palate.load_model(path), X, target=Y, resamples=200)
    check(held.metrics, passing.metrics)


@pytest.mark.parametrize("kind", [str, int], ids=["text", "integers"])
def test_classes_that_come_late(kind: type, tmp_path) -> None:
    """Sorted rows show one class after the other; those that come late are counted as if they had been known."""
    target = np.repeat([5, 3, 9, 1], 100)
    predicted = np.where(np.random.default_rng(0).random(400) < 0.7, target, np.roll(target, 100))
    frame = pd.DataFrame({"p": predicted.astype(kind), "x": 0.0})
    model = saved(Columns(), frame, tmp_path / "m")
    held, passing = both(model, frame, target=target.astype(kind), resamples=100)
    check(held.metrics, passing.metrics)
    assert passing.classes == held.classes == tuple(map(kind, (1, 3, 5, 9)))
    assert passing.pictures.confusion == held.pictures.confusion
    assert passing.exact  # no figure of these comes from bins


def test_unknown_classes_that_come_late(tmp_path) -> None:
    """A class that the model has no score for leaves figures of scores without value, whenever it comes."""
    X, y = load_breast_cancer(return_X_y=True)
    frame = pd.DataFrame(X, columns=[f"x{at}" for at in range(30)])
    path = tmp_path / "m"
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y)
    palate.save_model(model, path, input_example=frame[:3])
    target = np.where(np.arange(len(y)) > 400, 2, y)
    held, passing = both(palate.load_model(path), frame, target=target, resamples=50)
    check(held.metrics, passing.metrics)
    assert "does not know 2" in passing.metric("roc_auc").note


def test_custom_metrics_need_all_rows(tmp_path) -> None:
    """A function of the user's own has no value where rows are not held, and says so."""
    frame = pd.DataFrame({"p": np.linspace(0, 1, 300), "x": 0.0})
    model = saved(Columns(), frame, tmp_path / "m")

    def bias(y_true, y_pred):
        return float(np.mean(y_pred - y_true))

    held, passing = both(model, frame, target=frame["p"].to_numpy() + 0.5, metrics=[bias], resamples=0)
    assert held.metric("bias").value == pytest.approx(-0.5)
    assert passing.metric("bias").value is None
    assert "too many to hold" in passing.metric("bias").note


def test_median_of_few_distances_is_exact(tmp_path) -> None:
    """Where predictions are off by a few amounts, each has a bin of its own."""
    random = np.random.default_rng(0)
    predicted = random.integers(0, 4, 500) * 0.5
    frame = pd.DataFrame({"p": predicted + 0.25, "x": 0.0})
    model = saved(Columns(), frame, tmp_path / "m")
    held, passing = both(model, frame, target=np.full(500, 0.25), resamples=0)
    assert passing.metric("median_absolute_error").value == held.metric("median_absolute_error").value


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path) -> None:
    """Ten times the rows need no more memory, once they are not held."""
    sample = pd.DataFrame({"p": [0.25, 0.5, 1.0], "x": 0.0})
    model = saved(Columns(), sample, tmp_path / "m")
    peaks = []
    for rows in (200_000, 2_000_000):
        random = np.random.default_rng(0)
        frame = pd.DataFrame({"p": random.random(rows), "x": 0.0, "y": random.random(rows)})
        frame.to_parquet(tmp_path / "rows.parquet", row_group_size=50_000)
        del frame
        tracemalloc.start()
        found = evaluate_model(
            model, tmp_path / "rows.parquet", target="y", max_held_bytes=1_000_000, resamples=100, latency=False
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.rows == rows
    assert peaks[1] < 1.3 * peaks[0]
