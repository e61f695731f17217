"""Functions of one's own, latency, importance, pictures, and what an evaluation says of itself."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from evaluation_models import Columns, saved
from sklearn import metrics as judge
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import palate
from palate import evaluation
from palate.datasets import open_dataset
from palate.errors import InvalidOption
from palate.evaluation import errors, evaluate_model
from palate.evaluation.errors import MetricFailed

QUICK = {"resamples": 0, "latency": False}


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """Return a classifier of three flowers whose classes are text, its native object, and its data with y and w."""
    data = load_iris(as_frame=True)
    names = data.target_names[data.target].astype(object)
    native = LogisticRegression(C=0.01).fit(data.data, names)
    path = tmp_path_factory.mktemp("parts") / "m"
    palate.save_model(native, path, input_example=data.data.head())
    return palate.load_model(path), native, data.data.assign(y=names, w=np.linspace(0.5, 2, 150))


# -- functions of one's own --------------------------------------------------------------------------------------------


def cost(y_true, y_pred, sample_weight=None):
    """Return the weighted share of rows that are wrong."""
    return np.average(y_true != y_pred, weights=sample_weight)


cost.greater_is_better = False


def test_function_with_weights(iris) -> None:
    """A function is given classes as the data has them, and weights if it takes them."""
    model, native, frame = iris
    found = evaluate_model(model, frame, target="y", weights="w", metrics=[cost, judge.cohen_kappa_score], **QUICK)
    wrong = native.predict(frame.drop(columns=["y", "w"])) != frame["y"]
    assert found.metric("cost").value == pytest.approx(np.average(wrong, weights=frame["w"]))
    assert found.metric("cost").greater_is_better is False
    predicted = native.predict(frame.drop(columns=["y", "w"]))
    kappa = judge.cohen_kappa_score(frame["y"], predicted, sample_weight=frame["w"])
    assert found.metric("cohen_kappa_score").value == pytest.approx(kappa)
    assert found.metric("cohen_kappa_score").greater_is_better is None


def test_function_without_weights(iris) -> None:
    """A function that takes no weights is called without, which the note says."""
    model, _, frame = iris

    def wrong(y_true, y_pred):
        return int((y_true != y_pred).sum())

    found = evaluate_model(model, frame, target="y", weights="w", metrics=[wrong], **QUICK).metric("wrong")
    assert found.value == (model.predict(frame.drop(columns=["y", "w"])) != frame["y"]).sum()
    assert "each row counts once" in found.note


def test_function_with_several_values(iris) -> None:
    """A dict gives a metric for each of its keys."""
    model, _, frame = iris

    def shares(y_true, y_pred):
        return {name: float((y_pred == name).mean()) for name in set(y_true)}

    found = evaluate_model(model, frame, target="y", metrics=[shares], **QUICK)
    predicted = model.predict(frame.drop(columns=["y", "w"]))
    assert found.metric("shares_setosa").value == pytest.approx((predicted == "setosa").mean())


def test_function_that_has_no_value(iris) -> None:
    """NaN is no value."""
    model, _, frame = iris

    def nothing(y_true, y_pred):
        return math.nan

    assert evaluate_model(model, frame, target="y", metrics=[nothing], **QUICK).metric("nothing").value is None


@pytest.mark.parametrize("returned", ["text", None, True, [1.0]], ids=repr)
def test_function_that_returns_no_number(iris, returned: object) -> None:
    """What is no number is refused, with the function's name."""
    model, _, frame = iris

    def broken(y_true, y_pred):
        return returned

    with pytest.raises(MetricFailed, match=f"'broken' failed: it returned a {type(returned).__name__}"):
        evaluate_model(model, frame, target="y", metrics=[broken], **QUICK)


def test_function_that_raises(iris) -> None:
    """What a function raises is told with its name, and is the cause."""
    model, _, frame = iris

    def broken(y_true, y_pred):
        raise ZeroDivisionError("nothing to divide by")

    with pytest.raises(MetricFailed, match=r"'broken' failed: ZeroDivisionError: nothing") as caught:
        evaluate_model(model, frame, target="y", metrics=[broken], **QUICK)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_functions_do_not_disturb_each_other(iris) -> None:
    """A function that changes what it is given changes nothing for the next one."""
    model, _, frame = iris

    def vandal(y_true, y_pred):
        y_true[:] = y_pred
        return 0

    found = evaluate_model(model, frame, target="y", metrics=[vandal, cost], **QUICK)
    assert found.metric("cost").value > 0
    assert found.metric("cost").value == pytest.approx(1 - found.metric("accuracy").value)


def accuracy(y_true, y_pred):
    """Have the name of a metric that there is already."""
    return 0.0


@pytest.mark.parametrize("functions", [[lambda a, b: 0], ["accuracy"], [cost, cost]], ids=["lambda", "text", "twice"])
def test_functions_without_a_name_of_their_own(iris, functions) -> None:
    """A function needs a name of its own, by which rules ask for it."""
    model, _, frame = iris
    with pytest.raises(InvalidOption, match="metrics"):
        evaluate_model(model, frame, target="y", metrics=functions, **QUICK)


def test_partial_is_called_as_its_function(iris) -> None:
    """A partial has the name of the function that it calls."""
    model, _, frame = iris
    beta = functools.partial(judge.fbeta_score, beta=2, average="macro")
    found = evaluate_model(model, frame, target="y", metrics=[beta], **QUICK)
    expected = beta(frame["y"], model.predict(frame.drop(columns=["y", "w"])))
    assert found.metric("fbeta_score").value == pytest.approx(expected)


def test_function_with_the_name_of_a_metric(iris) -> None:
    """A function may not take the name of a metric that there is already."""
    model, _, frame = iris
    with pytest.raises(InvalidOption, match="'accuracy'"):
        evaluate_model(model, frame, target="y", metrics=[accuracy], **QUICK)


# -- latency and importance --------------------------------------------------------------------------------------------


def test_latency(iris) -> None:
    """Two hundred calls with one row each are timed on the way that every prediction goes."""
    model, _, frame = iris
    found = evaluate_model(model, frame, target="y", resamples=0).latency
    assert (found.rows_per_call, found.calls) == (1, 200)
    assert 0 < found.p50_ms <= found.p95_ms <= found.p99_ms
    rows = [frame[row : row + 1].drop(columns=["y", "w"]) for row in range(50)]
    begun = time.perf_counter()
    for row in rows:
        model.predict(row)
    each = (time.perf_counter() - begun) / len(rows) * 1e3
    assert each / 8 < found.p50_ms < each * 8


def test_importance_is_scikit_learns(iris) -> None:
    """What each input matters is what scikit-learn's permutation importance says, up to the shuffles."""
    model, native, frame = iris
    found = evaluate_model(model, frame, target="y", importance=True, **QUICK).importance
    X = frame.drop(columns=["y", "w"])
    expected = permutation_importance(native, X, frame["y"], n_repeats=20, random_state=0)
    assert {each.column for each in found} == set(X.columns)
    for each in found:
        at = list(X.columns).index(each.column)
        assert each.mean == pytest.approx(expected.importances_mean[at], abs=0.07)
    assert [each.mean for each in found] == sorted((each.mean for each in found), reverse=True)


def test_importance_of_an_array(tmp_path) -> None:
    """Columns of an array are called by their numbers; one that the model does not look at does not matter."""
    X, y = load_breast_cancer(return_X_y=True)
    X = np.hstack((X[:, :3], np.zeros((len(X), 1))))
    palate.save_model(
        make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), tmp_path / "m", input_example=X[:3]
    )
    found = evaluate_model(str(tmp_path / "m"), X, target=y, importance=True, **QUICK).importance
    assert {each.column: each.mean for each in found}["3"] == 0
    assert found[0].mean > 0.05


# -- pictures and the rest ---------------------------------------------------------------------------------------------


def test_pictures_are_scikit_learns(tmp_path) -> None:
    """Curves lie on scikit-learn's, calibration is its, and the confusion matrix too."""
    from sklearn.calibration import calibration_curve

    X, y = load_breast_cancer(return_X_y=True)
    native = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(X, y)
    palate.save_model(native, tmp_path / "m", input_example=X[:3])
    found = evaluate_model(str(tmp_path / "m"), X, target=y, **QUICK)
    chances = native.predict_proba(X)[:, 1]
    roc, pr = found.pictures.roc[0], found.pictures.pr[0]
    false, true, _ = judge.roc_curve(y, chances)
    assert set(zip(roc.x, roc.y, strict=True)) <= set(zip(false.tolist(), true.tolist(), strict=True))
    precision, recall, _ = judge.precision_recall_curve(y, chances)
    assert set(zip(pr.x, pr.y, strict=True)) <= set(zip(recall.tolist(), precision.tolist(), strict=True))
    assert roc.area == pytest.approx(found.metric("roc_auc").value)
    assert pr.area == pytest.approx(found.metric("pr_auc").value)
    assert len(roc.x) == len(roc.y) <= 200
    assert len(pr.x) == len(pr.y) <= 200
    observed, predicted = calibration_curve(y, chances, n_bins=10)
    assert found.pictures.calibration[0].observed == pytest.approx(observed)
    assert found.pictures.calibration[0].predicted == pytest.approx(predicted)
    assert np.array(found.pictures.confusion.counts) == pytest.approx(judge.confusion_matrix(y, native.predict(X)))


def test_all_of_it_is_json(iris) -> None:
    """An evaluation is JSON data, without NaN, and says what it was made of."""
    model, _, frame = iris
    found = evaluate_model(model, frame, target="y", weights="w", by="y", importance=True, resamples=20)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["rows"] == 150
    assert found.uri == model.location.uri
    assert found.flavor == "sklearn"
    assert found.data == "the table of 150 rows"
    assert (found.weights, found.target) == ("w", "y")
    assert set(found.software) == {"palate", "scikit-learn", "numpy"}
    assert found.classes == ("setosa", "versicolor", "virginica")


def test_dataset_that_is_open(iris) -> None:
    """Data may be a dataset that was opened before."""
    model, _, frame = iris
    found = evaluate_model(model, open_dataset(frame), target="y", **QUICK)
    assert found.metrics == evaluate_model(model, frame, target="y", **QUICK).metrics


def test_same_figures_whatever_the_batch(iris) -> None:
    """How many rows are predicted at once changes no figure and no interval."""
    model, _, frame = iris
    found = [
        evaluate_model(model, frame, target="y", by="y", resamples=50, latency=False, batch_rows=rows)
        for rows in (7, 1000)
    ]
    assert found[0].metrics == found[1].metrics
    assert found[0].slices == found[1].slices


def test_model_without_a_signature(tmp_path) -> None:
    """A model without a signature is given all columns that are neither target nor weights."""
    data = load_iris(as_frame=True)
    palate.save_model(LogisticRegression(C=0.01).fit(data.data, data.target), tmp_path / "m", signature=None)
    frame = data.data.assign(y=data.target, w=1.0)
    found = evaluate_model(str(tmp_path / "m"), frame, target="y", weights="w", **QUICK)
    assert found.metric("accuracy").value > 0.8


def test_errors_are_offered() -> None:
    """All that can go wrong can be imported from ``palate.evaluation``, as from ``palate.evaluation.errors``."""
    for name in errors.__all__:
        assert getattr(evaluation, name) is getattr(errors, name)
        assert name in evaluation.__all__


def test_import_is_cheap() -> None:
    """``import palate.evaluation`` loads no framework, no pandas and no pyarrow."""
    heavy = {"sklearn", "scipy", "pandas", "pyarrow", "matplotlib"}
    code = f"import sys, palate.evaluation; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_predictions_of_strings_of_pandas(tmp_path) -> None:
    """Classes in a frame, as pandas' own strings, are classes."""
    frame = pd.DataFrame({"p": pd.Series(["a", "b"] * 20, dtype="string"), "x": 0.0})
    found = evaluate_model(saved(Columns(), frame, tmp_path / "m"), frame, target=frame["p"], **QUICK)
    assert found.metric("accuracy").value == 1
