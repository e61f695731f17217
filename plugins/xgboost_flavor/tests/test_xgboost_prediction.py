"""Predicting: the same bits as xgboost's own calls, whatever the container, and no call that reads out of bounds."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import xgboost as xgb
from sklearn.datasets import load_iris

import palate
import xgboost_flavor
from palate.errors import DependencyMissing, InvalidInput
from palate.testing._threads import at_once

X, Y = load_iris(return_X_y=True, as_frame=True)


def predict(model: Any, data: Any, method: str = "predict", **params: Any) -> Any:
    """Call the hook."""
    return xgboost_flavor.predict(model=model, data=data, method=method, params=params)


def test_methods(models):
    """Every kind of model lists what it answers to, the default first."""
    kinds = ("output_margin", "pred_leaf", "pred_contribs", "pred_interactions")
    listed = {name: xgboost_flavor.methods(model=model) for name, (model, _) in models.items()}
    assert listed["tree booster"] == ("predict", *kinds)
    assert listed["regressor"] == ("predict", "apply", *kinds)
    assert listed["classifier"] == ("predict", "predict_proba", "apply", *kinds)
    assert listed["linear"] == ("predict", "output_margin", "pred_contribs")
    assert listed["vectors"] == ("predict", "apply", "output_margin", "pred_leaf")


def test_every_method_answers(models):
    """What a model lists it answers to, whatever kind of model it is."""
    for model, data in models.values():
        for method in xgboost_flavor.methods(model=model):
            assert len(predict(model, data, method)) == len(data)


@pytest.mark.parametrize("option", ["output_margin", "pred_leaf", "pred_contribs", "pred_interactions"])
@pytest.mark.parametrize("name", ["tree booster", "array booster", "parallel dart", "category booster"])
def test_kinds_of_a_booster(name, option, models):
    """A kind of prediction is a method, and a param of predict, and what Booster.predict returns."""
    booster, data = models[name]
    expected = booster.predict(xgb.DMatrix(data, enable_categorical=True), **{option: True})
    assert np.array_equal(predict(booster, data, option), expected)
    assert np.array_equal(predict(booster, data, **{option: True}), expected)


@pytest.mark.parametrize("name", ["classifier", "early", "dart", "ranker", "forest", "categories", "linear"])
def test_methods_of_an_estimator(name, models):
    """Estimators answer with their own methods and params, and kinds of prediction stop at the best iteration."""
    model, data = models[name]
    booster, early = model.get_booster(), {}
    if name == "early":
        assert model.best_iteration + 1 < booster.num_boosted_rounds()
        early = {"iteration_range": (0, model.best_iteration + 1)}
    matrix = xgb.DMatrix(data, enable_categorical=True)
    assert np.array_equal(predict(model, data), model.predict(data))
    assert np.array_equal(predict(model, data, output_margin=True), model.predict(data, output_margin=True))
    assert np.array_equal(predict(model, data, "output_margin"), booster.predict(matrix, output_margin=True, **early))
    assert np.array_equal(predict(model, data, "pred_contribs"), booster.predict(matrix, pred_contribs=True, **early))
    if name != "linear":
        assert np.array_equal(predict(model, data, "apply"), model.apply(data))
        assert np.array_equal(predict(model, data, "pred_leaf"), model.apply(data))
    if isinstance(model, xgb.XGBClassifier):
        assert np.array_equal(predict(model, data, "predict_proba"), model.predict_proba(data))


def test_params_that_a_method_does_not_take(models):
    """Params of a signature are for all methods: each takes its own, as stock MLflow drops the others."""
    model, data = models["classifier"]
    params = {"strict_shape": True, "pred_contribs": True, "output_margin": True, "iteration_range": [0, 2]}
    expected = model.predict_proba(data, iteration_range=(0, 2))
    assert np.array_equal(predict(model, data, "predict_proba", **params), expected)
    booster, data = models["tree booster"]
    expected = booster.predict(xgb.DMatrix(data), strict_shape=True, pred_leaf=True)
    assert np.array_equal(predict(booster, data, "pred_leaf", strict_shape=True, other=1), expected)


def test_approximate_contributions(models):
    """approx_contribs goes with the kinds that it belongs to."""
    booster, data = models["tree booster"]
    expected = booster.predict(xgb.DMatrix(data), pred_contribs=True, approx_contribs=True)
    assert np.array_equal(predict(booster, data, "pred_contribs", approx_contribs=True), expected)


@pytest.mark.parametrize("given", [[0, 2], (1, 3), np.array([0, 4]), [0, 0], (2, 0)])
def test_iteration_range(given, models):
    """Rounds are chosen as in xgboost, from lists too, as JSON has no tuples."""
    booster, data = models["tree booster"]
    expected = booster.predict(xgb.DMatrix(data), iteration_range=tuple(int(bound) for bound in given))
    assert np.array_equal(predict(booster, data, iteration_range=given), expected)


@pytest.mark.parametrize(
    "given", [[-1, 2], [0, -4], [0, 5], [3, 2], [10**9, 0], [0], [1, 2, 3], "ab", None, [None, 1], 7]
)
@pytest.mark.parametrize("name", ["tree booster", "regressor", "parallel dart"])
def test_iteration_range_outside(name, given, models):
    """xgboost reads beyond its array of rounds for such a range; it is refused before."""
    model, data = models[name]
    for method in ("predict", "pred_leaf", "pred_contribs"):
        with pytest.raises(InvalidInput, match="iteration_range: must be two integers from 0 to 4"):
            predict(model, data, method, iteration_range=given)


CONTAINERS = {
    "float32": lambda: X.to_numpy().astype("float32"),
    "float64": lambda: X.to_numpy(),
    "fortran": lambda: np.asfortranarray(X.to_numpy()),
    "strided": lambda: np.repeat(X.to_numpy(), 2, axis=0)[::2],
    "integers": lambda: (X.to_numpy() * 10).astype("int64"),
    "booleans": lambda: X.to_numpy() > 3,
    "missing": lambda: np.where(X.to_numpy() > 5, np.nan, X.to_numpy()),
    "csr": lambda: sp.csr_matrix(np.where(X.to_numpy() > 2, X.to_numpy(), 0)),
    "csc": lambda: sp.csc_matrix(np.where(X.to_numpy() > 2, X.to_numpy(), 0)),
    "one row": lambda: X.to_numpy()[:1],
    "no rows": lambda: X.to_numpy()[:0],
    "list": lambda: X.to_numpy().tolist(),
}


@pytest.mark.filterwarnings("ignore:.*Empty dataset")
@pytest.mark.parametrize("container", CONTAINERS)
def test_arrays(container, models):
    """Whatever array comes, the bits are those of a DMatrix of it; arrays take the model's names by position."""
    data = CONTAINERS[container]()
    for name in ("array booster", "tree booster"):
        booster, _ = models[name]
        expected = booster.predict(xgb.DMatrix(data, feature_names=booster.feature_names))
        assert np.array_equal(predict(booster, data), expected), name
        contribs = booster.predict(xgb.DMatrix(data, feature_names=booster.feature_names), pred_contribs=True)
        assert np.array_equal(predict(booster, data, "pred_contribs"), contribs), name


def frames() -> dict[str, pd.DataFrame]:
    """Return the same table in several dtypes."""
    gaps = X.where(X < 6)
    return {
        "float64": X,
        "float32": X.astype("float32"),
        "mixed": X.assign(**{X.columns[0]: X.iloc[:, 0].astype("int64"), X.columns[1]: X.iloc[:, 1] > 3}),
        "missing": gaps,
        "nullable": gaps.convert_dtypes(),
        "nullable integers": (X * 10).round().astype("Int64"),
        "index": X.set_index(np.arange(150) + 1000),
    }


@pytest.mark.parametrize("kind", frames())
def test_frames(kind, models):
    """Whatever dtypes a table has, the bits are xgboost's own."""
    data = frames()[kind]
    booster, _ = models["tree booster"]
    assert np.array_equal(predict(booster, data), booster.predict(xgb.DMatrix(data)))
    model, _ = models["classifier"]
    assert np.array_equal(predict(model, data, "predict_proba"), model.predict_proba(data))
    assert np.array_equal(
        predict(model, data, "pred_contribs"), model.get_booster().predict(xgb.DMatrix(data), pred_contribs=True)
    )


def test_categories_are_recoded(models):
    """Categories in another order, or not all of them, mean what they meant in training; unknown ones are refused."""
    for name in ("categories", "category booster"):
        model, data = models[name]
        expected = predict(model, data)
        other = data.assign(text=data["text"].cat.reorder_categories(["ccc", "a", "bb"]))
        assert np.array_equal(predict(model, other), expected)
        unknown = data.assign(text=data["text"].cat.rename_categories({"a": "zzz"}))
        with pytest.raises(xgb.core.XGBoostError, match="not in the training set"):
            predict(model, unknown)


def test_dict_of_columns(models):
    """A dict of columns is a table, in whatever order its keys are in training's order."""
    columns = {name: X[name].to_numpy() for name in X}
    for name in ("tree booster", "classifier"):
        model, _ = models[name]
        assert np.array_equal(predict(model, columns), predict(model, X))
        assert np.array_equal(predict(model, columns, "pred_leaf"), predict(model, X, "pred_leaf"))


def test_dict_of_columns_without_pandas(models, monkeypatch):
    """A dict of columns needs pandas, which the error says."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyMissing, match=r"dict of columns needs pandas.*pip install pandas"):
        predict(models["tree booster"][0], {name: X[name].to_numpy() for name in X})


def test_names_are_still_checked(models):
    """A table whose columns have other names, or stand in another order, is refused by xgboost as ever."""
    for name in ("tree booster", "classifier"):
        for data in (X[X.columns[::-1]], X.rename(columns={X.columns[0]: "x"}), X.iloc[:, :3]):
            with pytest.raises(ValueError, match="feature_names mismatch"):
                predict(models[name][0], data)


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf, -np.inf, 2.0**128 - 2.0**103])
def test_infinite_values(value, models):
    """Values that float32 cannot hold are refused where a DMatrix refuses them, and not predicted in place."""
    data = X.to_numpy().copy()
    data[0] = [np.nan, value, 0, np.nan]
    with pytest.raises(xgb.core.XGBoostError, match="inf"):
        predict(models["array booster"][0], data)


def test_largest_values(models):
    """What float32 still rounds to a number is predicted, beside missing values and alone, as is an array of none."""
    booster = models["array booster"][0]
    data = X.to_numpy().copy()
    data[::2, 1] = np.nextafter(2.0**128 - 2.0**103, 0)
    data[1::2] = np.nan
    for part in (data, -data, data[1::2], data[:0]):
        assert np.array_equal(predict(booster, part), booster.predict(xgb.DMatrix(part)))


@pytest.mark.parametrize("name", ["classifier", "regressor", "dart", "forest"])
@pytest.mark.parametrize("dtypes", [{}, {"a": "float32"}, {"b": "int64"}], ids=["one dtype", "floats", "mixed"])
def test_extreme_values_of_an_estimator(dtypes, name, models):
    """An estimator takes infinite values, and those beyond float32, in tables and in arrays, as xgboost's own does."""
    model, _ = models[name]
    columns = dict(zip("abcd", X.columns, strict=True))
    data = X.iloc[::5].copy()
    data.iloc[::3, 2] = 1e300
    data.iloc[1::3, 2] = -np.inf
    data.iloc[::4, 3] = np.inf
    data = data.astype({columns[key]: dtype for key, dtype in dtypes.items()})
    assert np.array_equal(predict(model, data), model.predict(data))
    array_model = type(model)(**model.get_params()).fit(X.to_numpy(), Y)
    assert np.array_equal(predict(array_model, data.to_numpy()), array_model.predict(data.to_numpy()))


def test_large_integers(models):
    """Integers that float64 cannot hold are rounded once, as xgboost does it, whatever columns stand beside them."""
    whole = pd.DataFrame({name: np.arange(40) * 4 + 2**53 + 2**29 + 1 for name in X.columns})
    model = xgb.XGBRegressor(n_estimators=4).fit(whole - 2**53, np.arange(40))
    booster = model.get_booster()
    for data in (whole, whole.astype({X.columns[1]: "float64"}), whole.astype({X.columns[1]: "float32"})):
        assert np.array_equal(predict(model, data), model.predict(data))
        assert np.array_equal(predict(booster, data), booster.predict(xgb.DMatrix(data)))


def test_nothing_is_copied(models):
    """A table of one dtype, and an array, go to an estimator as the memory that they are."""
    model, array, given = models["classifier"][0], X.to_numpy(), []
    observed = copy.copy(model)
    observed.predict = lambda data: given.append(data)
    predict(observed, X)
    predict(observed, array)
    assert np.shares_memory(given[0], array)
    assert given[1] is array


def test_large_tables_are_left_alone(models):
    """A table so large that a look at it is nothing goes to an estimator as it is, so that no copy of it is made."""
    model, given = models["classifier"][0], []
    observed = copy.copy(model)
    observed.predict = lambda data: given.append(data)
    rows = (1 << 17) // 4
    large = pd.DataFrame(np.zeros((rows + 1, 4)), columns=X.columns).astype({X.columns[0]: "float32"})
    predict(observed, large.iloc[:rows])
    predict(observed, large)
    assert isinstance(given[0], np.ndarray)
    assert given[1] is large


@pytest.mark.parametrize("times", [1, 300], ids=["small", "large"])
@pytest.mark.parametrize("name", ["array booster", "binary"])
def test_foreign_byte_order(name, times, models):
    """Numbers in the byte order of other machines, which xgboost misreads, mean what they say."""
    model, data = models[name][0], np.tile(X.to_numpy(), (times, 1))
    foreign = data.astype(">f8")
    assert np.array_equal(predict(model, foreign), predict(model, data))
    assert np.array_equal(predict(model, pd.DataFrame(foreign)), predict(model, data))


def test_missing_marker(models):
    """An estimator's own marker of missing values means so in tables, arrays and kinds of prediction."""
    model, data = models["binary"]
    data = np.where(data > 5, -1.0, data)
    frame = pd.DataFrame(data)
    expected = model.predict_proba(np.where(data == -1, np.nan, data))
    assert np.array_equal(predict(model, data, "predict_proba"), expected)
    assert np.array_equal(predict(model, frame, "predict_proba"), expected)
    assert np.array_equal(predict(model, data, "pred_leaf"), model.apply(data))


def test_ranker_with_groups(models):
    """A ranker takes a table with or without the column of query ids."""
    model, data = models["ranker"]
    groups = data.assign(qid=np.repeat([0, 1, 2], 50))
    for method in xgboost_flavor.methods(model=model):
        assert np.array_equal(predict(model, groups, method), predict(model, data, method)), method


def test_wide_model_and_narrow_data():
    """A model that says it is very wide gets no narrow data, for which xgboost would allocate rows of that width."""
    width = 1 << 19
    data = sp.random(50, width, density=1e-5, format="csr", random_state=0)
    booster = xgb.train({"max_depth": 2}, xgb.DMatrix(data, np.arange(50) % 2), 2)
    assert np.array_equal(predict(booster, data), booster.predict(xgb.DMatrix(data)))
    with pytest.raises(InvalidInput, match="has 4 columns, and the model 524288 features"):
        predict(booster, np.zeros((2, 4)))


def test_fewer_columns_are_missing_values(models):
    """As in MLflow, an array with fewer columns than a model without names has is one of missing values."""
    booster, _ = models["array booster"]
    data = X.to_numpy()[:, :3]
    assert np.array_equal(predict(booster, data), booster.predict(xgb.DMatrix(data)))


@pytest.mark.parametrize("name", ["tree booster", "classifier", "linear booster", "parallel dart", "categories"])
def test_threads(name, models):
    """Eight threads that share a model get what one gets."""
    model, data = models[name]
    expected, wrong = predict(model, data), []

    def work(_: int) -> None:
        for _ in range(20):
            if not np.array_equal(predict(model, data), expected):
                wrong.append(name)

    at_once(work, 8)
    assert not wrong


def test_data_is_left_alone(models):
    """Neither the array nor the table that was given is changed."""
    array, frame = X.to_numpy().copy(), X.copy()
    for name in ("tree booster", "classifier"):
        predict(models[name][0], array)
        predict(models[name][0], frame)
    assert np.array_equal(array, X.to_numpy())
    assert frame.equals(X)


# -- signatures -----------------------------------------------------------------------------------------------------


def test_input_schema(models):
    """A model trained on a table knows its columns, their types and categories; one trained on an array nothing."""
    schema = xgboost_flavor.infer_input_schema(model=models["categories"][0])
    kinds = {column.name: (column.type, column.categories) for column in schema.columns}
    assert kinds["petal width (cm)"] == ("double", None)
    assert kinds["count"] == ("long", None)
    assert kinds["long"] == ("boolean", None)
    assert kinds["text"] == ("string", ("a", "bb", "ccc"))
    assert kinds["number"] == ("long", (0, 1, 2, 3, 4))
    assert all(column.categorical for column in schema.columns if column.categories)
    assert xgboost_flavor.infer_input_schema(model=models["array booster"][0]) is None
    assert xgboost_flavor.infer_input_schema(model=xgb.XGBClassifier()) is None


@pytest.mark.parametrize("name", ["categories", "category booster"])
def test_signature_without_example(name, models, tmp_path):
    """From that alone follows a signature, under which text becomes the model's categories."""
    model, data = models[name]
    palate.save_model(model, tmp_path / "model")
    loaded = palate.load_model(tmp_path / "model")
    assert np.array_equal(loaded.predict(data), predict(model, data))
    text = data.assign(text=data["text"].astype(str), number=data["number"].astype("int64"))
    assert np.array_equal(loaded.predict(text), predict(model, data))


def test_params_through_the_public_door(models, tmp_path):
    """Params that the signature declares reach xgboost, with their defaults."""
    model, data = models["tree booster"]
    palate.save_model(
        model, tmp_path / "model", input_example=data[:3], params={"iteration_range": [0, 0], "pred_leaf": False}
    )
    loaded = palate.load_model(tmp_path / "model")
    assert np.array_equal(loaded.predict(data), model.predict(xgb.DMatrix(data)))
    expected = model.predict(xgb.DMatrix(data), pred_leaf=True, iteration_range=(0, 2))
    assert np.array_equal(loaded.predict(data, {"iteration_range": [0, 2], "pred_leaf": True}), expected)
    assert np.array_equal(loaded.pred_contribs(data), model.predict(xgb.DMatrix(data), pred_contribs=True))


class Rescaled(xgb.XGBRegressor):
    """An estimator of the user's own, which looks at all rows and at their names."""

    def predict(self, X, *args, **kwargs):
        """Rescale the rows by what came together."""
        return super().predict(X.assign(**{X.columns[0]: X.iloc[:, 0] - X.iloc[:, 0].mean()}), *args, **kwargs)


def test_rows_of_each_kind_are_predicted_alone_as_among_others(models):
    """By every method, as the flavor says; xgboost gives them the same bits."""
    for name, (model, sample) in models.items():
        assert xgboost_flavor.rows_are_independent(model=model), name
        for method in xgboost_flavor.methods(model=model):
            whole = predict(model, sample, method)
            for row in range(3):
                alone = predict(model, sample[row : row + 1], method)
                np.testing.assert_allclose(
                    alone, whole[row : row + 1], rtol=1e-5, atol=1e-6, err_msg=f"{name} {method}"
                )


def test_an_array_is_taken_by_trees_over_numbers_only():
    """Not in another order, not with categories, not by a linear model, and not by a class of the user's own."""
    names = list(X.columns)
    trees = xgb.XGBRegressor(n_estimators=2, n_jobs=1).fit(X, Y)
    for model in (trees, trees.get_booster(), xgb.XGBRegressor(n_estimators=2, n_jobs=1).fit(X.to_numpy(), Y)):
        assert xgboost_flavor.takes_array(model=model, columns=tuple(names))
    assert not xgboost_flavor.takes_array(model=trees, columns=tuple(names[::-1]))
    assert not xgboost_flavor.takes_array(model=trees, columns=tuple(names[:-1]))
    kinds = X.assign(kind=pd.Categorical(Y.map(str)))
    categorical = xgb.XGBRegressor(n_estimators=2, n_jobs=1, enable_categorical=True).fit(kinds, Y)
    assert not xgboost_flavor.takes_array(model=categorical, columns=tuple(kinds.columns))
    linear = xgb.XGBRegressor(n_estimators=2, n_jobs=1, booster="gblinear").fit(X, Y)
    assert not xgboost_flavor.takes_array(model=linear, columns=tuple(names))
    own = Rescaled(n_estimators=2, n_jobs=1).fit(X, Y)
    assert not xgboost_flavor.takes_array(model=own, columns=tuple(names))
    assert not xgboost_flavor.rows_are_independent(model=own)
