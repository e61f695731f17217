"""What the flavor keeps of a model, what it refuses to save, and how it predicts."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

import palate
import palate_lightgbm
from palate.errors import DependencyMissing, InvalidInput, PalateWarning, TrustRequired, UnsupportedModel

QUIET = {"verbosity": -1}


def save_and_load(model, folder, **options):
    """Return the model as a reader without trust gets it."""
    palate.save_model(model, folder / "model", **options)
    return palate.load_model(folder / "model")


OBJECTIVES = {
    "regression": {},
    "regression of roots": {"objective": "regression", "reg_sqrt": True},
    "regression_l1": {},
    "huber": {},
    "fair": {},
    "quantile": {"alpha": 0.3},
    "poisson": {},
    "mape": {},
    "tweedie": {},
    "cross_entropy": {},
    "cross_entropy_lambda": {},
    "binary": {"sigmoid": 0.7},
    "multiclass": {"num_class": 3},
    "multiclassova": {"num_class": 3},
    "function": {"objective": lambda scores, data: (scores - data.get_label(), np.ones_like(scores))},
    "forest": {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    "dart": {"objective": "regression", "boosting": "dart"},
    "goss": {"objective": "regression", "data_sample_strategy": "goss"},
    "monotone": {"objective": "regression", "monotone_constraints": [1, 0, -1]},
    "linear": {"objective": "regression", "linear_tree": True},
    "stump": {"objective": "regression", "min_data_in_leaf": 1000},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_booster_of_every_kind(numbers, target, tmp_path, name):
    """A booster of any objective and boosting predicts the same bits by every method after it was opened."""
    params = {"objective": name, **QUIET, "num_leaves": 6, **OBJECTIVES[name]}
    booster = lightgbm.train(params, lightgbm.Dataset(numbers, np.minimum(target, params.get("num_class", 2) - 1)), 4)
    opened = save_and_load(booster, tmp_path, input_example=numbers[:5])
    for method in opened.methods:
        kind = {} if method == "predict" else {method: True}
        assert np.array_equal(opened.call(method, numbers), booster.predict(numbers, **kind))


def test_linear_leaves_have_no_contributions(numbers, target, tmp_path):
    """A model of linear leaves does not offer pred_contrib, which LightGBM has not for it."""
    booster = lightgbm.train({"linear_tree": True, **QUIET}, lightgbm.Dataset(numbers, target), 2)
    opened = save_and_load(booster, tmp_path)
    assert opened.methods == ("predict", "raw_score", "pred_leaf")


LABELS = [
    [0, 1],
    [3, 7, 11],
    ["no", "yes"],
    ["a", "b", "ä"],
    [False, True],
    [1.0, 2.0, 3.0],
    [np.int8(1), np.int8(2)],
]


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_classifier_keeps_its_labels(numbers, target, tmp_path, labels):
    """A classifier's labels come back with their type, from a pandas Series as from an array."""
    for given in (np.array(labels), np.array(labels, dtype=object if isinstance(labels[0], str) else "float32")):
        known = given[target % len(labels)]
        model = lightgbm.LGBMClassifier(n_estimators=3, **QUIET).fit(numbers, pd.Series(known))
        opened = save_and_load(model, tmp_path / given.dtype.name, input_example=numbers[:5])
        found, expected = opened.predict(numbers), model.predict(numbers)
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()
        assert np.array_equal(opened.predict_proba(numbers), model.predict_proba(numbers))
        assert palate.load_native(tmp_path / given.dtype.name / "model").classes_.dtype == model.classes_.dtype


def test_estimators_keep_their_params(numbers, target, tmp_path):
    """get_params(), class and fitted attributes are the same after a model was opened."""
    weights = {0: 1.0, 1: 2.0, 2: 0.5}
    params = {"n_estimators": np.int64(3), "class_weight": weights, "max_bin": 31, "metric": ["auc_mu"]}
    model = lightgbm.LGBMClassifier(**params, **QUIET)
    model.fit(numbers, target)
    palate.save_model(model, tmp_path / "model")
    native = palate.load_native(tmp_path / "model")
    assert type(native) is lightgbm.LGBMClassifier
    assert native.get_params() == model.get_params()
    assert native.n_features_in_ == 3
    assert native.n_classes_ == 3
    assert native.feature_names_in_.tolist() == ["age", "member", "score"]
    assert native.objective_ == "multiclass"
    assert np.array_equal(native.feature_importances_, model.feature_importances_)
    assert native.fit(numbers, target).predict(numbers).shape == (300,)


@pytest.mark.parametrize("kind", [lightgbm.LGBMRegressor, lightgbm.LGBMRanker, lightgbm.LGBMModel])
def test_other_estimators(numbers, target, tmp_path, kind):
    """A regressor, a ranker and a bare LGBMModel come back as what they were."""
    groups = {"group": [100, 200]} if kind is lightgbm.LGBMRanker else {}
    objective = {"objective": "regression"} if kind is lightgbm.LGBMModel else {}
    model = kind(n_estimators=3, **QUIET, **objective).fit(numbers, target, **groups)
    opened = save_and_load(model, tmp_path, input_example=numbers[:5])
    assert type(palate.load_native(tmp_path / "model")) is kind
    assert "predict_proba" not in opened.methods
    for method, native in {"predict": {}, "raw_score": {"raw_score": True}, "pred_leaf": {"pred_leaf": True}}.items():
        assert np.array_equal(opened.call(method, numbers), model.predict(numbers, **native))


def test_early_stopping(numbers, target, tmp_path):
    """A model that stopped early predicts up to its best round, and only those rounds are kept."""
    known, unseen = numbers[:200], numbers[200:]
    stop = lightgbm.early_stopping(2, verbose=False)
    train = lightgbm.Dataset(known, target[:200])
    valid = lightgbm.Dataset(unseen, target[200:], reference=train)
    options = {"valid_sets": [valid], "callbacks": [stop], "keep_training_booster": True}
    booster = lightgbm.train({"learning_rate": 1.5, **QUIET}, train, 30, **options)
    assert 0 < booster.best_iteration < booster.current_iteration()
    opened = save_and_load(booster, tmp_path, input_example=numbers[:5])
    native = palate.load_native(tmp_path / "model")
    assert native.best_iteration == booster.best_iteration == native.current_iteration()
    assert np.array_equal(opened.predict(numbers), booster.predict(numbers))


def test_categories_in_any_order(classifier, people, tmp_path):
    """Categories keep their meaning whatever order a caller's frame has them in, and text is taken for them."""
    opened = save_and_load(classifier, tmp_path, input_example=people[:5])
    expected = classifier.predict_proba(people)
    turned = people["city"].cat.set_categories(["Łódź", "Graz", "Bern"])
    for city in (turned, people["city"].astype(str)):
        assert np.array_equal(opened.predict_proba(people.assign(city=city)), expected)


def test_spaces_and_letters_in_names(numbers, target, tmp_path):
    """Columns whose names LightGBM changes are found by the names of the data."""
    frame = numbers.rename(columns={"age": "age in years", "score": "größe (cm)"})
    model = lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(frame, target)
    opened = save_and_load(model, tmp_path, input_example=frame[:5])
    assert [column.name for column in opened.signature.inputs.columns] == list(frame.columns)
    assert np.array_equal(opened.predict(frame[frame.columns[::-1]]), model.predict(frame))
    assert np.array_equal(save_and_load(model, tmp_path / "free", signature=None).predict(frame), model.predict(frame))


def test_schema_from_names(numbers, people, target, tmp_path):
    """Without an example the columns are known by name, if all are numbers and LightGBM did not change a name."""
    frame = numbers[["age", "score"]].astype(float)
    model = lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(frame, target)
    columns = save_and_load(model, tmp_path / "a").signature.inputs.columns
    assert [(column.name, column.type) for column in columns] == [("age", "double"), ("score", "double")]
    maybe_spaces = lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(frame.add_prefix("my_"), target)
    array = lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(frame.to_numpy(), target)
    categories = lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(people, target)
    for name, other in {"b": maybe_spaces, "c": array, "d": categories}.items():
        assert save_and_load(other, tmp_path / name).signature is None


def test_wrong_columns_without_a_signature(classifier, people, tmp_path):
    """Without a signature a frame of other columns is refused, which LightGBM would take by position."""
    opened = save_and_load(classifier, tmp_path, signature=None)
    with pytest.raises(InvalidInput, match="order"):
        opened.predict(people[people.columns[::-1]])
    with pytest.raises(InvalidInput, match=r"inputs\.city"):
        opened.predict(people.rename(columns={"city": "town"}))


def test_no_rows(classifier, booster, people, tmp_path):
    """No rows give no predictions, with the dtype and the width of others; LightGBM itself refuses them."""
    for name, model in {"classifier": classifier, "booster": booster}.items():
        opened = save_and_load(model, tmp_path / name, input_example=people[:5])
        for method in opened.methods:
            some, none = opened.call(method, people[:2]), opened.call(method, people[:0])
            assert none.shape == (0, *some.shape[1:])
            assert none.dtype == some.dtype


def test_rounds_as_params(booster, people, tmp_path):
    """A range of rounds may be asked for, in the signature's params; what is no round is refused."""
    rounds = {"start_iteration": 0, "num_iteration": -1}
    opened = save_and_load(booster, tmp_path, input_example=people[:5], params=rounds)
    expected = booster.predict(people, start_iteration=1, num_iteration=2)
    assert np.array_equal(opened.predict(people, {"start_iteration": 1, "num_iteration": 2}), expected)
    with pytest.raises(InvalidInput, match="num_iteration"):
        opened.predict(people, {"num_iteration": 2**40})


def test_ranges_in_many_threads(booster, people, tmp_path):
    """Threads that ask one model for different ranges of rounds each get their own, and no memory is overrun."""
    rounds = {"start_iteration": 0, "num_iteration": -1}
    opened = save_and_load(booster, tmp_path, input_example=people[:5], params=rounds)
    expected = [booster.predict(people, num_iteration=count, pred_leaf=True) for count in (1, 2, 3, 4)]
    wrong = []

    def ask(count):
        for _ in range(30):
            params = {"num_iteration": count} if count < 4 else {}
            if not np.array_equal(opened.pred_leaf(people, params), expected[count - 1]):
                wrong.append(count)

    threads = [threading.Thread(target=ask, args=(count,)) for count in (1, 2, 3, 4) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


PREDICTS_ALOUD = """
import sys, lightgbm, numpy, palate
X = numpy.random.default_rng(0).random((300, 3))
model = lightgbm.LGBMRegressor(n_estimators=2, feature_fraction=0.9, colsample_bytree=0.8).fit(X, X[:, 0])
print("== native", flush=True)
model.predict(X)
print("== palate", flush=True)
palate.save_model(model, sys.argv[1], input_example=X[:5])
palate.load_model(sys.argv[1]).predict(X)
print("== native", flush=True)
model.predict(X)
"""


def test_nothing_is_printed(tmp_path):
    """Saving, opening and predicting print nothing, and LightGBM's own calls go on to say which params they ignore."""
    command = [sys.executable, "-c", PREDICTS_ALOUD, str(tmp_path / "model")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    before, silent, after = printed.split("== ")[1:]
    assert "will be ignored" in before
    assert silent == "palate\n"
    assert after == before


def test_random_state_stays(numbers, target, tmp_path):
    """A random generator in an estimator is left out with a warning, and saving draws nothing from it."""
    model = lightgbm.LGBMRegressor(n_estimators=2, random_state=np.random.RandomState(1), **QUIET).fit(numbers, target)
    before = model.random_state.get_state()[1].tolist()
    with pytest.warns(PalateWarning, match="random_state"):
        opened = save_and_load(model, tmp_path, input_example=numbers[:5])
    assert model.random_state.get_state()[1].tolist() == before
    assert np.array_equal(opened.predict(numbers), model.predict(numbers))


class OwnClassifier(lightgbm.LGBMClassifier):
    """A class that only its own code can build."""


def squares(known, scores):
    """Return the gradient and the hessian of squared errors."""
    return scores - known, np.ones_like(scores)


def test_refused_in_text(numbers, target, tmp_path):
    """What text cannot hold is refused with a way on: own classes, functions as objective, what is not fitted."""
    refused = {
        "another": OwnClassifier(n_estimators=2, **QUIET).fit(numbers, target),
        "function": lightgbm.LGBMRegressor(n_estimators=2, objective=squares, **QUIET).fit(numbers, target),
        "not fitted": lightgbm.LGBMRegressor(),
        "no model": lightgbm.Dataset(numbers),
    }
    for reason, model in refused.items():
        with pytest.raises(UnsupportedModel, match=reason):
            palate.save_model(model, tmp_path / "model")
        assert not (tmp_path / "model").exists()


def test_booster_has_one_format(booster, tmp_path):
    """A booster in a format of estimators is refused, as MLflow has none for it, and named text."""
    with pytest.raises(UnsupportedModel, match="text"):
        palate.save_model(booster, tmp_path / "model", format="pickle")


OWN = """
import lightgbm

class Cautious(lightgbm.LGBMClassifier):
    def predict(self, X, **options):
        return self.predict_proba(X, **options)[:, 1] > 0.9
"""


def test_own_class_with_its_code(numbers, target, tmp_path, monkeypatch):
    """An estimator of one's own class is pickled with its code, and its own predict is what answers."""
    (tmp_path / "cautious_labels.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("cautious_labels")
    model = module.Cautious(n_estimators=3, **QUIET).fit(numbers, target > 0)
    code = [tmp_path / "cautious_labels.py"]
    palate.save_model(model, tmp_path / "model", format="pickle", code_paths=code, input_example=numbers[:5])
    monkeypatch.delitem(sys.modules, "cautious_labels")
    opened = palate.load_model(tmp_path / "model", trust=True)
    assert opened.predict(numbers).tolist() == model.predict(numbers).tolist()
    assert np.array_equal(opened.raw_score(numbers), model.booster_.predict(numbers, raw_score=True))


def test_infinities(numbers, target, tmp_path):
    """A model that has seen infinities predicts the same; LightGBM notes them as the bounds of a column."""
    endless = numbers.astype({"age": float})
    endless.loc[::7, "score"], endless.loc[::5, "age"] = np.inf, -np.inf
    model = lightgbm.LGBMClassifier(n_estimators=3, verbosity=-1).fit(endless, target)
    assert {"[-inf:", ":inf]"} <= set(re.findall(r"\[-inf:|:inf\]", model.booster_.model_to_string()))
    opened = save_and_load(model, tmp_path, input_example=endless[1:5])
    assert np.array_equal(opened.predict(endless), model.predict(endless))


def test_one_label(numbers, tmp_path):
    """A classifier that has seen one label predicts it, whatever its booster says."""
    model = lightgbm.LGBMClassifier(n_estimators=2, verbosity=-1).fit(numbers, np.full(len(numbers), "only one"))
    opened = save_and_load(model, tmp_path, input_example=numbers[:5])
    assert np.array_equal(opened.predict(numbers), model.predict(numbers))
    assert np.array_equal(opened.predict_proba(numbers), model.predict_proba(numbers))


def test_wide_labels(numbers, target, tmp_path):
    """Labels in a dtype wider than the longest of them are the same after loading, in one as wide as it."""
    labels = np.array(["not yet", "now", "never"], dtype="<U40")[target]
    model = lightgbm.LGBMClassifier(n_estimators=2, verbosity=-1, class_weight={"not yet": 2.0}).fit(numbers, labels)
    opened = save_and_load(model, tmp_path, input_example=numbers[:5])
    assert opened.predict(numbers).dtype == "<U7"
    assert np.array_equal(opened.predict(numbers), model.predict(numbers))
    assert palate.load_native(tmp_path / "model").get_params() == model.get_params()


def test_text_with_spaces(numbers, target, tmp_path):
    """A param whose text LightGBM would take for several is left out, with a warning that names it."""
    model = lightgbm.LGBMClassifier(n_estimators=2, verbosity=-1).fit(numbers, target)
    model.set_params(forcedsplits_filename="my splits.json")
    with pytest.warns(PalateWarning, match="forcedsplits_filename"):
        palate.save_model(model, tmp_path / "model", input_example=numbers[:5])
    assert "forcedsplits_filename" not in palate.load_native(tmp_path / "model").get_params()


@pytest.mark.parametrize("stored", palate_lightgbm.FORMATS_NEEDING_TRUST)
def test_formats_that_need_trust(classifier, people, tmp_path, stored):
    """The formats of MLflow's estimators open with trust only, and predict the same."""
    palate.save_model(classifier, tmp_path / "model", format=stored, input_example=people[:5])
    assert palate.inspect_model(tmp_path / "model").trust_needed
    with pytest.raises(TrustRequired, match="format='text'"):
        palate.load_model(tmp_path / "model")
    opened = palate.load_model(tmp_path / "model", trust=True)
    assert np.array_equal(opened.predict_proba(people), classifier.predict_proba(people))


def test_skops_missing(classifier, tmp_path, monkeypatch):
    """Without skops its format says what to install."""
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(DependencyMissing, match=r"palate-lightgbm\[skops\]"):
        palate.save_model(classifier, tmp_path / "model", format="skops")


def test_requirements(classifier, booster, tmp_path):
    """What a model needs is pinned: lightgbm, for estimators scikit-learn too."""
    pinned = f"lightgbm=={lightgbm.__version__}"
    assert palate.save_model(booster, tmp_path / "booster").requirements == (pinned,)
    found = palate.save_model(classifier, tmp_path / "classifier").requirements
    assert found[0] == pinned
    assert any(line.startswith("scikit-learn==") for line in found)


def test_same_bytes_as_lightgbm(booster, classifier, tmp_path):
    """The file is what LightGBM's own save_model writes."""
    for name, model in {"booster": booster, "classifier": classifier.booster_}.items():
        palate.save_model(booster if name == "booster" else classifier, tmp_path / name)
        model.save_model(tmp_path / "own.lgb")
        assert (tmp_path / name / "model.lgb").read_bytes() == (tmp_path / "own.lgb").read_bytes()


def test_readme(tmp_path):
    """The Python blocks of the README run, one after another."""
    readme = Path(__file__).parents[1] / "README.md"
    blocks = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
