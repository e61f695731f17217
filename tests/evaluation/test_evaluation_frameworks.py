"""Models of other frameworks, whose ``predict`` itself gives probabilities, scores or numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_rows import class_figures, number_figures, scores_of
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

import palate
from palate.evaluation import evaluate_model
from palate.evaluation.errors import TaskUnknown

QUICK = {"resamples": 0, "latency": False}


def saved(native, sample, path):
    """Save a model and return it as it is loaded again."""
    palate.save_model(native, path, input_example=sample)
    return palate.load_model(path)


def check(found, expected) -> None:
    """Hold every figure against the expected one."""
    assert {metric.name for metric in found.metrics} == set(expected)
    for metric in found.metrics:
        assert metric.value == pytest.approx(expected[metric.name], rel=1e-6), metric.name


def test_xgboost_classifiers(tmp_path) -> None:
    """A classifier of xgboost is one of two or of three classes."""
    xgboost = pytest.importorskip("xgboost")
    for data, positive in ((load_breast_cancer, 1), (load_iris, None)):
        X, y = data(return_X_y=True)
        native = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y)
        found = evaluate_model(saved(native, X[:3], tmp_path / data.__name__), X, target=y, **QUICK)
        chances = native.predict_proba(X)
        check(found, class_figures(y, native.predict(X), chances, native.classes_, positive=positive))


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "multi:softmax", "reg:squarederror"])
def test_xgboost_boosters(objective: str, tmp_path) -> None:
    """A booster's predictions are one probability, one for each class, a class written as a float, or a number."""
    xgboost = pytest.importorskip("xgboost")
    data = {"binary": load_breast_cancer, "multi": load_iris, "reg": load_diabetes}[objective.partition(":")[0]]
    X, y = data(return_X_y=True)
    matrix = xgboost.DMatrix(X, label=y)
    classes = {"num_class": 3} if objective.startswith("multi") else {}
    native = xgboost.train({"objective": objective, "max_depth": 2, **classes}, matrix, 3)
    model = saved(native, X[:3], tmp_path / "m")
    raw = native.predict(matrix)
    if objective == "binary:logistic":
        found = evaluate_model(model, X, target=y, **QUICK)
        both = np.stack((1 - raw, raw), axis=1)
        check(found, class_figures(y, (raw > 0.5).astype(int), both, [0, 1], positive=1))
    elif objective == "multi:softprob":
        check(evaluate_model(model, X, target=y, **QUICK), class_figures(y, raw.argmax(axis=1), raw, [0, 1, 2]))
    elif objective == "multi:softmax":
        with pytest.raises(TaskUnknown):
            evaluate_model(model, X, target=y, **QUICK)
        found = evaluate_model(model, X, target=y, task="multiclass", **QUICK)
        check(found, class_figures(y, raw.astype(int), None, None))
    else:
        check(evaluate_model(model, X, target=y, **QUICK), number_figures(y, raw.astype(float)))


@pytest.mark.slow
def test_torch_logits(tmp_path) -> None:
    """A network that returns logits is measured by the greatest one, and by both areas."""
    torch = pytest.importorskip("torch")
    X, y = load_iris(return_X_y=True)
    torch.manual_seed(0)
    native = torch.nn.Linear(4, 3)
    with torch.no_grad():
        logits = native(torch.tensor(X, dtype=torch.float32)).numpy()
    model = saved(native, X[:3].astype(np.float32), tmp_path / "m")
    found = evaluate_model(model, X.astype(np.float32), target=y, **QUICK)
    assert found.metric("accuracy").value == pytest.approx(scores_of("accuracy_score", y, logits.argmax(axis=1)))
    areas = [scores_of("roc_auc_score", y == label, logits[:, label]) for label in range(3)]
    assert found.metric("roc_auc").value == pytest.approx(np.mean(areas), abs=1e-6)
    assert "log_loss" not in {metric.name for metric in found.metrics}


@pytest.mark.slow
def test_keras_sigmoid(tmp_path) -> None:
    """A network with one sigmoid is a classifier of two classes."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    X, y = load_breast_cancer(return_X_y=True)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    native = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1, activation="sigmoid")])
    raw = native.predict(X, verbose=0)[:, 0]
    found = evaluate_model(saved(native, X[:3], tmp_path / "m"), X, target=y, **QUICK)
    assert found.task == "binary"
    assert found.metric("roc_auc").value == pytest.approx(scores_of("roc_auc_score", y, raw), abs=1e-4)
    assert found.metric("log_loss").value == pytest.approx(scores_of("log_loss", y, raw), rel=1e-4)


def test_frames_of_polars(tmp_path) -> None:
    """Rows and target may be polars'."""
    polars = pytest.importorskip("polars")
    from sklearn.linear_model import LogisticRegression

    data = load_iris(as_frame=True)
    native = LogisticRegression(C=0.01).fit(data.data, data.target)
    model = saved(native, data.data.head(3), tmp_path / "m")
    frame = polars.DataFrame({name: data.data[name].to_numpy() for name in data.data})
    expected = evaluate_model(model, data.data, target=data.target, **QUICK).metrics
    target = pd.Series(data.target).to_numpy()
    assert evaluate_model(model, frame, target=polars.Series("y", target), **QUICK).metrics == expected
    assert evaluate_model(model, frame.with_columns(y=target), target="y", **QUICK).metrics == expected
