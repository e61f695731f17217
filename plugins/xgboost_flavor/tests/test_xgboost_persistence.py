"""What is refused when it is saved, as no reader would open it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris

import xgboost_flavor
from palate.errors import UnsupportedModel
from xgboost_flavor._persistence import _SMALL

X, Y = load_iris(return_X_y=True)


def train(rounds: int, name: str = "a") -> xgb.Booster:
    """Return a booster of that many rounds, which make its file small or large, with a feature of that name."""
    data = xgb.DMatrix(X, Y, feature_names=[name, "b", "c", "d"])
    return xgb.train({"max_depth": 3, "learning_rate": 0.01}, data, rounds)


@pytest.mark.parametrize("depth", [1024, 30_000])
@pytest.mark.parametrize("format_", xgboost_flavor.FORMATS)
def test_too_deep_to_be_opened(format_, depth, models, save, encode, chain):
    """A model that no reader would open is refused when it is saved, however large its file is."""
    document = json.loads(bytes(models["tree booster"][0].save_raw("json")))
    document["learner"]["gradient_booster"]["model"]["trees"][0].update(chain(depth))
    booster = xgb.Booster()
    booster.load_model(bytearray(encode(document)))
    with pytest.raises(UnsupportedModel, match=r"deeper than 1024 levels.*shallower trees"):
        save(booster, format_)


@pytest.mark.parametrize("rounds", [2, 1500])
@pytest.mark.parametrize("name", ["a\x01", "a\b", "a\f"])
def test_names_with_control_characters(name, rounds, save, load):
    """Names that xgboost cannot read back from JSON are refused for it, however large the file is; ubj keeps them."""
    booster = train(rounds, name)
    assert (len(booster.save_raw("json")) > _SMALL) == (rounds > 2)
    with pytest.raises(UnsupportedModel, match=r"escaped character.*try the other format"):
        save(booster, "json")
    assert load(*save(booster, "ubj")).feature_names == booster.feature_names


@pytest.mark.parametrize("format_", xgboost_flavor.FORMATS)
@pytest.mark.parametrize("rounds", [2, 1500])
def test_best_iteration_that_is_none(rounds, format_, save):
    """A best iteration that was set by hand, beyond the rounds, is refused, however large the file is."""
    booster = train(rounds)
    booster.set_attr(best_iteration="5000")
    assert (len(booster.save_raw(format_)) > _SMALL) == (rounds > 2)
    with pytest.raises(UnsupportedModel, match="best_iteration '5000'"):
        save(booster, format_)


@pytest.mark.parametrize(
    ("name", "value"),
    [("objective", "multi:softmax"), ("booster", "gblinear"), ("feature_types", ["q"]), ("n_jobs", "all")],
)
def test_params_that_contradict_the_model(name, value, save):
    """An estimator whose parameters were changed to what no reader would take is refused, with the way out."""
    model = xgb.XGBClassifier(n_estimators=2).fit(X, Y)
    setattr(model, name, value)
    with pytest.raises(UnsupportedModel, match=rf"could not be read back.*{name}.*save model.get_booster"):
        save(model)


@pytest.mark.parametrize("params", [{"objective": "multi:softmax"}, {"booster": "dart"}, {"feature_types": ["q"] * 4}])
def test_params_that_agree_with_the_model(params, save, load):
    """What the model was trained with is kept."""
    model = xgb.XGBClassifier(n_estimators=2, **params).fit(X, Y)
    loaded = load(*save(model))
    assert loaded.get_params() | {"missing": 0} == model.get_params() | {"missing": 0}
    assert np.array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("name", ['quote"', "back\\slash", "new\nline", "tab\t", "é", "日本"])
def test_other_names(name, save, load):
    """Names with characters that xgboost escapes in its own way, or not at all, are kept by both formats."""
    booster = train(2, name)
    for format_ in xgboost_flavor.FORMATS:
        loaded = load(*save(booster, format_))
        assert loaded.feature_names == booster.feature_names
        assert np.array_equal(loaded.inplace_predict(X), booster.inplace_predict(X))
