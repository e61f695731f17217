"""Every figure of a saved and loaded model is what scikit-learn's own function says on scikit-learn's own data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_rows import class_figures, label_figures, number_figures, scores_of
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeRegressor

import palate
from palate.evaluation import Evaluation, evaluate_model

QUICK = {"resamples": 0, "latency": False}
FORMS = {
    "strings": lambda y: np.array([f"class {label}" for label in y], dtype=object),
    "ints": lambda y: y + 3,
    "bools": lambda y: y == 1,
    "floats": lambda y: y.astype(float),
}


def weights_of(rows: int, weighted: bool):
    """Return weights, some of which are 0, or None."""
    if not weighted:
        return None
    weights = np.random.default_rng(0).uniform(0, 3, rows)
    weights[::7] = 0
    return weights


def save(model, X, path):
    """Save a fitted model and return it as it is loaded again."""
    palate.save_model(model, path, input_example=X[:3])
    return palate.load_model(path)


def check(found: Evaluation, expected: dict[str, float]) -> None:
    """Hold every figure against the expected one, of which there is none too few."""
    values = {metric.name: metric.value for metric in found.metrics}
    assert values.keys() == expected.keys()
    for name, value in values.items():
        assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("form", ["strings", "ints", "bools", "floats"])
def test_binary(form: str, weighted: bool, tmp_path) -> None:
    """Two classes, whatever they are written as: breast_cancer."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    y = FORMS[form](y)
    native = make_pipeline(StandardScaler(), LogisticRegression(C=0.001)).fit(X, y)
    weights = weights_of(len(y), weighted)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, weights=weights, **QUICK)
    assert found.task == "binary"
    assert list(found.classes) == native.classes_.tolist()
    assert found.positive == native.classes_[1]
    chances = native.predict_proba(X)
    check(
        found,
        class_figures(y, native.predict(X), chances, native.classes_, positive=native.classes_[1], weights=weights),
    )


def test_positive_is_the_other_class(tmp_path) -> None:
    """``positive=`` turns precision, recall and both areas to the first class, and leaves the losses alone."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    native = make_pipeline(StandardScaler(), LogisticRegression(C=0.001)).fit(X, y)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, positive=0, **QUICK)
    assert found.positive == 0
    check(found, class_figures(y, native.predict(X), native.predict_proba(X), [0, 1], positive=0))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("data", ["iris", "wine", "digits"])
@pytest.mark.parametrize("form", ["strings", "ints"])
def test_multiclass(data: str, form: str, weighted: bool, tmp_path) -> None:
    """Three and ten classes: iris, wine and digits."""
    X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    y = FORMS[form](y)
    native = RandomForestClassifier(8, max_depth=3, random_state=0).fit(X, y)
    weights = weights_of(len(y), weighted)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, weights=weights, **QUICK)
    assert found.task == "multiclass"
    assert found.positive is None
    check(found, class_figures(y, native.predict(X), native.predict_proba(X), native.classes_, weights=weights))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("targets", [1, 2])
def test_regression(targets: int, weighted: bool, tmp_path) -> None:
    """One number and two: diabetes."""
    X, y = datasets.load_diabetes(return_X_y=True)
    if targets == 2:
        y = np.stack((y, np.sqrt(y)), axis=1)
    native = LinearRegression().fit(X, y)
    weights = weights_of(len(y), weighted)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, weights=weights, **QUICK)
    assert found.task == "regression"
    check(found, number_figures(y, native.predict(X), weights=weights))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["forest", "one against the rest"])
def test_multilabel(kind: str, weighted: bool, tmp_path) -> None:
    """Several labels, of whose chances one classifier returns a list and another a matrix."""
    X, Y = datasets.make_multilabel_classification(200, n_classes=4, random_state=0)
    if kind == "forest":
        native = RandomForestClassifier(8, max_depth=3, random_state=0).fit(X, Y)
        chances = np.stack([each[:, 1] for each in native.predict_proba(X)], axis=1)
    else:
        native = OneVsRestClassifier(LogisticRegression(max_iter=500)).fit(X, Y)
        chances = native.predict_proba(X)
    weights = weights_of(len(Y), weighted)
    labels = pd.DataFrame(Y, columns=list("abcd"))
    model = save(native, X, tmp_path / "m")
    found = evaluate_model(model, X, target=labels, weights=weights, **QUICK)
    assert found.task == "multilabel"
    check(found, label_figures(Y, native.predict(X), chances, weights=weights))


@pytest.mark.parametrize("kind", ["linear", "ridge", "svc"])
def test_scores_that_are_no_probabilities(kind: str, tmp_path) -> None:
    """``decision_function`` gives both areas, and nothing that needs probabilities."""
    X, y = datasets.load_wine(return_X_y=True)
    native = {"linear": LinearSVC(), "ridge": RidgeClassifier(), "svc": SVC()}[kind]
    native = make_pipeline(StandardScaler(), native).fit(X, y)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, **QUICK)
    scores = native.decision_function(X)
    expected = class_figures(y, native.predict(X), None, [0, 1, 2])
    for name, function in (("roc_auc", "roc_auc_score"), ("pr_auc", "average_precision_score")):
        expected[name] = float(np.mean([scores_of(function, y == label, scores[:, label]) for label in range(3)]))
    check(found, expected)


def test_binary_scores_that_are_no_probabilities(tmp_path) -> None:
    """A single score a row ranks both classes."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    native = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1e4)).fit(X, y)
    model = save(native, X, tmp_path / "m")
    for positive in (0, 1):
        found = evaluate_model(model, X, target=y, positive=positive, **QUICK)
        scores = native.decision_function(X) * (1 if positive else -1)
        assert found.metric("roc_auc").value == pytest.approx(scores_of("roc_auc_score", y == positive, scores))
        expected = scores_of("average_precision_score", y == positive, scores)
        assert found.metric("pr_auc").value == pytest.approx(expected)


def test_ties(tmp_path) -> None:
    """Chances of a few neighbours are the same for many rows."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    native = KNeighborsClassifier(3).fit(X[:, :2], y)
    found = evaluate_model(save(native, X[:, :2], tmp_path / "m"), X[:, :2], target=y, **QUICK)
    chances = native.predict_proba(X[:, :2])
    assert len(np.unique(chances)) <= 4
    check(found, class_figures(y, native.predict(X[:, :2]), chances, [0, 1], positive=1))


def test_tree_on_whole_numbers(tmp_path) -> None:
    """A regressor that predicts whole numbers is one, where the target has many."""
    X, y = datasets.load_diabetes(return_X_y=True)
    native = DecisionTreeRegressor(random_state=0).fit(X, y)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, **QUICK)
    assert found.task == "regression"
    check(found, number_figures(y, native.predict(X)))


def test_columns_of_a_frame_and_of_a_file(tmp_path) -> None:
    """A target in the table, weights in the table, and the same table as files, give the same figures."""
    data = datasets.load_iris(as_frame=True)
    native = LogisticRegression(C=0.01).fit(data.data, data.target)
    model = save(native, data.data, tmp_path / "m")
    frame = data.data.assign(kind=data.target, weight=np.linspace(0, 1, 150), note="text")
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    expected = class_figures(
        data.target, native.predict(data.data), native.predict_proba(data.data), [0, 1, 2], weights=frame["weight"]
    )
    for rows in (frame, tmp_path / "rows.parquet", str(tmp_path / "rows.csv")):
        found = evaluate_model(model, rows, target="kind", weights="weight", batch_rows=40, **QUICK)
        check(found, expected)
        assert found.target == "kind"
        assert found.weights == "weight"


def test_one_model_opened_in_three_ways(tmp_path) -> None:
    """A loaded model, its URI, and its own process give one evaluation."""
    X, y = datasets.load_iris(return_X_y=True)
    names = np.array(["zebra", "ant", "mouse"], dtype=object)[y]  # not in the order in which they stand
    native = LogisticRegression(C=0.01).fit(X, names)
    model = save(native, X, tmp_path / "m")
    expected = class_figures(names, native.predict(X), native.predict_proba(X), native.classes_)
    for given, options in ((model, {}), (str(tmp_path / "m"), {}), (str(tmp_path / "m"), {"isolate": True})):
        found = evaluate_model(given, X, target=names, **options, **QUICK)
        check(found, expected)
        assert found.digest == model.location.digest


def test_huge_weights(tmp_path) -> None:
    """Weights near the greatest number change nothing: only their shares count."""
    X, y = datasets.load_iris(return_X_y=True)
    native = LogisticRegression(C=0.01).fit(X, y)
    weights = weights_of(150, True)
    expected = class_figures(y, native.predict(X), native.predict_proba(X), [0, 1, 2], weights=weights)
    found = evaluate_model(save(native, X, tmp_path / "m"), X, target=y, weights=weights * 1e300, **QUICK)
    check(found, expected)
    rows = found.pictures.confusion
    assert rows is not None
    assert sum(map(sum, rows.counts)) == pytest.approx(weights.sum() * 1e300)
