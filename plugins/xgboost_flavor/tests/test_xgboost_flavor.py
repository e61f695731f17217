"""The hooks of the xgboost flavor: what is saved comes back, and nothing is lost."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris

import palate
import xgboost_flavor
from palate.errors import InvalidModelFile, PalateWarning, UnsafeModel, UnsupportedModel
from palate.hookspecs import SaveOptions

X, Y = load_iris(return_X_y=True, as_frame=True)
NAMES = [
    "classifier", "binary", "softmax", "categories", "labels", "forest", "regressor", "early", "targets", "vectors",
    "regression forest", "linear", "dart", "ranker", "tree booster", "array booster", "category booster",
    "quantile booster", "pruned booster", "parallel dart", "linear booster",
]  # fmt: skip


def own_prediction(model, data):
    """Return what xgboost itself predicts."""
    if isinstance(model, xgb.Booster):
        return model.predict(xgb.DMatrix(data, enable_categorical=True))
    return model.predict(data)


@pytest.mark.parametrize("format_", xgboost_flavor.FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name, format_, models, save, load):
    """A loaded model is of the same class and predicts the same bits, by every method that both have."""
    model, data = models[name]
    path, section = save(model, format_)
    loaded = load(path, section)
    assert type(loaded) is type(model)
    assert np.array_equal(own_prediction(loaded, data), own_prediction(model, data), equal_nan=True)
    for method in xgboost_flavor.methods(model=model):
        try:
            before = xgboost_flavor.predict(model=model, data=data, method=method, params={})
        except xgb.core.XGBoostError as exc:
            assert "multi-target" in str(exc) or "IsMultiTarget" in str(exc)  # noqa: PT017 - some kinds have no answer
            continue
        after = xgboost_flavor.predict(model=loaded, data=data, method=method, params={})
        assert np.array_equal(before, after, equal_nan=True), method
        assert before.dtype == after.dtype


@pytest.mark.parametrize("name", NAMES[:14])
def test_params_are_kept(name, models, save, load):
    """The constructor's parameters, which xgboost's files do not hold, are the same after loading."""
    model, _ = models[name]
    path, section = save(model)
    before, after = model.get_params(), load(path, section).get_params()
    assert before.keys() == after.keys()
    for key, value in before.items():
        nan = isinstance(value, float) and math.isnan(value)
        assert (nan and math.isnan(after[key])) or (value == after[key] and type(value) is type(after[key])), key


@pytest.mark.parametrize("name", ["early", "categories", "tree booster", "array booster"])
def test_what_the_booster_knows_is_kept(name, models, save, load):
    """Feature names and types, the best iteration and attributes of the caller's own come back."""
    model, _ = models[name]
    booster = model if isinstance(model, xgb.Booster) else model.get_booster()
    booster.set_attr(note="ours")
    path, section = save(model)
    loaded = load(path, section)
    again = loaded if isinstance(loaded, xgb.Booster) else loaded.get_booster()
    assert again.feature_names == booster.feature_names
    assert again.feature_types == booster.feature_types
    assert again.attributes() == booster.attributes()
    booster.set_attr(note=None)


def test_section_is_what_mlflow_writes(models, save):
    """The section has MLflow's keys, and beside them only the parameters."""
    path, section = save(models["tree booster"][0])
    expected = {
        "code": None,
        "data": "model.ubj",
        "model_class": "xgboost.core.Booster",
        "model_format": "ubj",
        "xgb_version": xgb.__version__,
    }
    assert section == expected
    assert os.listdir(path) == ["model.ubj"]
    assert xgboost_flavor.pyfunc_section(config=section) == {"loader_module": "mlflow.xgboost", "data": "model.ubj"}
    _, section = save(models["regressor"][0], "json")
    expected |= {"model_class": "xgboost.sklearn.XGBRegressor", "data": "model.json", "model_format": "json"}
    assert section.pop("params").keys() == {"max_depth", "n_estimators", "monotone_constraints"}
    assert section == expected


def test_same_model_same_bytes(models, tmp_path):
    """Saving a model twice gives the same bytes, in each format."""
    for format_ in xgboost_flavor.FORMATS:
        written = []
        for number in range(2):
            path = tmp_path / f"{format_}{number}"
            path.mkdir()
            xgboost_flavor.save_model(model=models["early"][0], path=path, options=SaveOptions(format=format_))
            written.append((path / f"model.{format_}").read_bytes())
        assert written[0] == written[1]


def test_saving_changes_nothing(save):
    """Neither attributes nor the random state of the caller's model are touched by saving it."""
    state = np.random.RandomState(3)
    model = xgb.XGBClassifier(n_estimators=2, random_state=state).fit(X, Y)
    model.get_booster().set_attr(scikit_learn="mine")
    before, drawn = model.get_booster().attributes(), state.get_state()[1].copy()
    with pytest.warns(PalateWarning, match="random_state=RandomState"):
        save(model)
    assert model.get_booster().attributes() == before
    assert np.array_equal(state.get_state()[1], drawn)


def squared(labels, predictions):
    """An objective of one's own."""
    return predictions - labels, np.ones_like(labels)


def test_custom_objective(save, load):
    """A function as objective is named, warned of, and missed by no prediction."""
    model = xgb.XGBRegressor(n_estimators=3, objective=squared, callbacks=[xgb.callback.EvaluationMonitor()]).fit(X, Y)
    with pytest.warns(PalateWarning, match="objective=squared.*Predictions are not affected"):
        path, section = save(model)
    assert section["custom_objective"] == "squared"
    loaded = load(path, section)
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert loaded.callbacks is None


def test_awkward_params(save, load):
    """Infinite numbers, tuples, dicts, numpy's numbers and arrays, and further keyword arguments come back."""
    params = {
        "missing": -math.inf,
        "learning_rate": np.float32(0.5),
        "max_depth": np.int64(2),
        "monotone_constraints": {"sepal length (cm)": 1},
        "interaction_constraints": [["sepal length (cm)", "petal length (cm)"]],
        "feature_weights": np.array([1.0, 2.0, 3.0, 4.0]),
        "base_score": 0.25,
        "seed_per_iteration": True,
        "huber_slope": 2,
        "objective": "reg:pseudohubererror",
    }
    model = xgb.XGBRegressor(n_estimators=2, **params).fit(X, Y)
    path, section = save(model)
    after = load(path, section).get_params()
    assert after.keys() == model.get_params().keys()
    assert all(np.array_equal(after[name], value) for name, value in params.items())


class Tuned(xgb.XGBClassifier):
    """A class that no package provides."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Tuned(n_estimators=1).fit(X, Y), "a class of your own.*XGBClassifier"),
        (type("Own", (xgb.Booster,), {})(), "a class of your own"),
        (xgb.DMatrix(X), "no model of xgboost"),
        (xgb.XGBClassifier(), "it is not fitted"),
    ],
)
def test_what_is_not_saved(model, reason, save):
    """What could not be loaded as it was is refused, with the way out."""
    with pytest.raises(UnsupportedModel, match=f"{reason}.*Hint: "):
        save(model)


def test_untrained_booster_is_refused(tmp_path):
    """A booster that nothing was trained into cannot be saved."""
    with pytest.raises(UnsupportedModel, match="failed to write it"):
        palate.save_model(xgb.Booster(), tmp_path / "model")


def test_requirements(models):
    """xgboost is pinned, and scikit-learn for the classes that stand on it."""
    assert xgboost_flavor.requirements(model=models["tree booster"][0]) == (f"xgboost=={xgb.__version__}",)
    names = [line.partition("==")[0] for line in xgboost_flavor.requirements(model=models["regressor"][0])]
    assert names == ["scikit-learn", "xgboost"]


# -- sections as others wrote them ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*Found JSON model saved before")
def test_files_of_early_releases(models, load, tmp_path):
    """What xgboost wrote before it counted rounds, targets, deleted nodes and categories is read as it reads it."""
    document = json.loads(bytes(models["tree booster"][0].save_raw("json")))
    document["version"] = [1, 0, 0]
    learner = document["learner"]
    learner["learner_model_param"] = {"base_score": "5E-1", "num_class": "0", "num_feature": "4"}
    learner["attributes"]["best_iteration"] = "3"
    del learner["feature_names"], learner["feature_types"]
    model = learner["gradient_booster"]["model"]
    del model["cats"], model["iteration_indptr"]
    model["gbtree_model_param"] = {"num_trees": "4", "size_leaf_vector": "0"}
    for tree in model["trees"]:
        for name in [name for name in tree if name.startswith("categor") or name == "split_type"]:
            del tree[name]
        tree["default_left"] = [bool(side) for side in tree["default_left"]]
        tree["leaf_child_counts"] = [0] * len(tree["parents"])
        tree["tree_param"] |= {"size_leaf_vector": "0"}
        del tree["tree_param"]["num_deleted"]
    (tmp_path / "model.json").write_text(json.dumps(document))
    native = xgb.Booster(model_file=tmp_path / "model.json")
    loaded = load(tmp_path, {"data": "model.json", "xgb_version": "1.0.0"})
    array = X.to_numpy()
    assert np.array_equal(loaded.predict(xgb.DMatrix(array)), native.predict(xgb.DMatrix(array)))
    assert loaded.num_boosted_rounds() == 4


def test_section_without_class_is_a_booster(models, save, load):
    """Directories of MLflow before 1.22 name neither class nor format, and hold a booster."""
    path, _ = save(models["regressor"][0])
    assert isinstance(load(path, {"data": "model.ubj", "xgb_version": "1.4.0"}), xgb.Booster)


def test_any_file_as_any_class(models, save, load):
    """A booster's file opens as an estimator, and an estimator's as a booster, as in xgboost."""
    path, section = save(models["array booster"][0])
    loaded = load(path, {**section, "model_class": "xgboost.sklearn.XGBClassifier"})
    assert loaded.n_classes_ == 3
    assert np.array_equal(loaded.predict_proba(X.to_numpy()), own_prediction(*models["array booster"]))


def test_class_that_does_not_fit_the_file(models, save, load):
    """A regressor's file does not open as a classifier."""
    path, section = save(models["regressor"][0])
    with pytest.raises(UnsafeModel, match=r"model\.ubj was refused: it holds a regressor"):
        load(path, {**section, "model_class": "xgboost.sklearn.XGBClassifier"})


def test_extension_does_not_matter(models, save, load):
    """What a file is shows in its bytes; MLflow lets people choose any extension."""
    path, section = save(models["regressor"][0])
    (path / "model.ubj").rename(path / "model.xgb")
    loaded = load(path, {**section, "data": "model.xgb", "model_format": "xgb"})
    assert np.array_equal(loaded.predict(X), models["regressor"][0].predict(X))


def test_class_of_the_models_own(models, save, load, tmp_path):
    """A class that MLflow would import needs trust, and then comes from the model's own code."""
    path, section = save(models["classifier"][0])
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text("import xgboost\nclass Mine(xgboost.XGBClassifier):\n    here = True\n")
    section["model_class"] = "mine.Mine"
    (reason,) = xgboost_flavor.executes_code(config=section)
    assert "mine.Mine" in reason.rule
    assert not xgboost_flavor.guarantees(config=section).no_code
    with pytest.raises(InvalidModelFile, match="model_class"):
        load(path, section)
    loaded = load(path, section, trust=True)
    assert loaded.here
    assert np.array_equal(loaded.predict(X), models["classifier"][0].predict(X))


@pytest.mark.parametrize(
    "wanted", ["os.system", "xgboost.core.DMatrix", "xgboost.Booster", "", 5, ["a"], {"a": 1}, "x"]
)
def test_classes_that_no_file_may_name(wanted, models, save, load):
    """Whatever model_class says, only the table's classes are built; nothing is imported."""
    path, section = save(models["tree booster"][0])
    section["model_class"] = wanted
    assert len(xgboost_flavor.executes_code(config=section)) == 1
    with pytest.raises(InvalidModelFile, match="model_class"):
        load(path, section)


def test_files_themselves_run_no_code(models, save):
    """No format is a reason to ask for trust, and all guarantees hold."""
    _, section = save(models["classifier"][0])
    assert xgboost_flavor.executes_code(config=section) == ()
    held = xgboost_flavor.guarantees(config=section)
    assert held.no_code
    assert held.memory_safe
    assert held.bounded


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ([1], "params"),
        ({"n_jobs": "all"}, "n_jobs"),
        ({"missing": "x"}, "missing"),
        ({"booster": ["gbtree"]}, "booster"),
        ({"verbosity": 9}, "verbosity"),
        ({"enable_categorical": 1}, "enable_categorical"),
        ({"objective": {"__tuple__": [1]}}, "objective"),
        ({"objective": "multi:softmax"}, "objective"),
        ({"booster": "gblinear"}, "booster"),
        ({"feature_types": ["zz"]}, "feature_types"),
        ({"feature_types": ["zz", "q", "q", "q"]}, "feature_types"),
        ({"feature_types": ["q"]}, "feature_types"),
        ({"max_depth": {"__import__": "os"}}, "max_depth"),
        ({"max_depth": {"__float__": "x"}}, "max_depth"),
        ({"max_depth": {"a": 1, "b": 2}}, "max_depth"),
        ({"__class__": 1}, "__class__"),
        ({"_Booster": 1}, "_Booster"),
        ({"not a name": 1}, "not a name"),
        ({f"name{number}": 1 for number in range(500)}, "params"),
    ],
)
def test_params_of_strangers(params, where, models, save, load):
    """Parameters in MLmodel that cannot be ones are refused by name."""
    path, section = save(models["classifier"][0])
    with pytest.raises(InvalidModelFile, match=rf"flavors\.xgboost\.params.*{where}|{where}"):
        load(path, {**section, "params": params})


def test_sample_models(tmp_path):
    """The sample trains, saves with its proof, and opens."""
    for sample in xgboost_flavor.sample_models().values():
        palate.save_model(sample.model, tmp_path / "sample", input_example=sample.sample)
        assert palate.verify_model(tmp_path / "sample")


def test_readme(tmp_path, monkeypatch):
    """The code of the README runs, from the first block to the last."""
    monkeypatch.chdir(tmp_path)
    blocks = (Path(__file__).parents[1] / "README.md").read_text().split("```python\n")[1:]
    exec("\n".join(block.partition("```")[0] for block in blocks), {})
    assert (tmp_path / "leaves" / "MLmodel").exists()


def test_objective_of_classes_by_a_function(save, load):
    """A classifier trained with a function has the objective that its file has, and the same predictions."""

    def multinomial(labels, margins):
        odds = np.exp(margins.reshape(len(labels), -1))
        chances = odds / odds.sum(axis=1, keepdims=True)
        gradient = chances.copy()
        gradient[np.arange(len(labels)), labels.astype(int)] -= 1
        return gradient, np.maximum(2 * chances * (1 - chances), 1e-6)

    model = xgb.XGBClassifier(n_estimators=3, objective=multinomial).fit(X, Y)
    with pytest.warns(PalateWarning, match="objective=.*multinomial"):
        path, section = save(model)
    loaded = load(path, section)
    assert loaded.objective == "multi:softprob"
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
