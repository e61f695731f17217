"""xgboost's classes inside another flavor's file: the checks that its reader asks before it builds them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import skops.io
import xgboost as xgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import palate
import xgboost_flavor
from palate.errors import UnsafeModel
from xgboost_flavor._document import Rows
from xgboost_flavor._ubjson import read_ubjson

CHECKS = {kind.name: kind.check for kind in xgboost_flavor.embedded_types()}
ESTIMATORS = ["XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor"]
OBJECTS = (list, tuple, dict, np.ndarray, xgb.Booster)


def attributes_of(model: Any) -> dict[str, object]:
    """Return an object's state as a reader shows it: plain values, bytes, and None for every other object."""
    state = model.__getstate__()
    return {key: None if isinstance(value, OBJECTS) or callable(value) else value for key, value in state.items()}


def booster_of(model: Any) -> xgb.Booster:
    """Return the booster of a model of either kind."""
    return model if isinstance(model, xgb.Booster) else model.get_booster()


def test_names():
    """Booster and the five classes of scikit-learn's kind are contributed."""
    assert set(CHECKS) == {"xgboost.core.Booster", *(f"xgboost.sklearn.{name}" for name in ESTIMATORS)}


def test_every_model_passes(models):
    """No state of a real model, trained in whatever way, is refused."""
    for name, (model, _) in models.items():
        booster = booster_of(model)
        assert CHECKS["xgboost.core.Booster"](attributes_of(booster)) is None, name
        assert CHECKS["xgboost.core.Booster"]({"handle": bytes(attributes_of(booster)["handle"])}) is None, name
        if model is not booster:
            assert CHECKS[f"xgboost.sklearn.{type(model).__name__}"](attributes_of(model)) is None, name


def test_untrusted_types_of_skops(models):
    """Of all that skops finds in such a file, these names are all that it does not trust by itself."""
    for name, (model, _) in models.items():
        untrusted = skops.io.get_untrusted_types(data=skops.io.dumps(model))
        assert set(untrusted) <= set(CHECKS), name


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"handle": None},
        {"handle": 12345},
        {"handle": "text"},
        {"handle": b""},
        {"handle": b"{}"},
        {"handle": b'{"Model": {}, "Config": {}}'},
        {"handle": b"\x80\x04K\x01."},
    ],
)
def test_handles_that_are_none(attributes):
    """What is no snapshot of a booster is refused; an integer would be taken for an address."""
    assert CHECKS["xgboost.core.Booster"](attributes)


def test_further_attributes(models):
    """A Booster has its handle and nothing beside."""
    state = attributes_of(models["tree booster"][0])
    assert "not only its handle" in CHECKS["xgboost.core.Booster"]({**state, "predict": "x"})


def plain(document: Any) -> Any:
    """Return a document with lists in place of its packed arrays."""

    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unpack(inner) for key, inner in value.items()}
        if isinstance(value, list | Rows):
            return [unpack(inner) for inner in value]
        if hasattr(value, "kind"):
            form = {"d": "f", "l": "i", "L": "q", "U": "B", "i": "b", "D": "d"}[value.kind]
            size = struct.calcsize(f">{value.length}{form}")
            return list(struct.unpack(f">{value.length}{form}", document.view[value.start : value.start + size]))
        return value

    return unpack(document.root)


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("Model/learner/gradient_booster/model/trees/0/left_children/0", 2**30, "children are outside"),
        ("Model/learner/learner_model_param/num_class", "5", "5 outputs"),
        ("Config/learner/objective/softmax_multiclass_param/num_class", "5", "objective of its configuration"),
        ("Config/learner/learner_model_param/num_feature", "500", "learner_model_param of its configuration"),
        ("Config/learner/gradient_booster/name", "dart", "booster of its configuration"),
        ("Config/learner/learner_train_param/objective", "reg:squarederror", "objective of its configuration"),
        ("Config/learner/gradient_booster/tree_train_param/interaction_constraints", "[" * 99999, "nested too deep"),
        ("Config/version", [9, 9, 9], "not that of its model"),
        ("Config/learner", 1, "no learner"),
        ("Config", 1, "not that of its model"),
        ("Other", {}, "not a model and its configuration"),
    ],
)
def test_lies_in_a_snapshot(path, value, rule, models, encode):
    """The model in a snapshot is checked like a file, and its configuration against the model."""
    handle = bytes(booster_of(models["classifier"][0]).__getstate__()["handle"])
    root = plain(read_ubjson(handle))
    assert CHECKS["xgboost.core.Booster"]({"handle": encode(root)}) is None
    node: Any = root
    *steps, last = path.split("/")
    for step in steps:
        node = node[int(step) if isinstance(node, list) else step]
    node[int(last) if isinstance(node, list) else last] = value
    assert rule in CHECKS["xgboost.core.Booster"]({"handle": encode(root)})


@pytest.mark.parametrize(
    "attributes",
    [
        {"__class__": "x"},
        {"predict": ...},
        {"get_booster": ...},
        {"classes_": [1, 2]},
        {"_Booster": "text"},
        {"n_classes_": 2**40},
        {"n_classes_": -1},
        {"n_classes_": "2"},
        {"missing": "x"},
        {"n_jobs": "all"},
        {"verbosity": 99},
        {"booster": 5},
        {"enable_categorical": "yes"},
    ],
)
def test_attributes_of_an_estimator(attributes, models):
    """Attributes that predicting uses have to be of their kind."""
    state = attributes_of(models["classifier"][0])
    assert CHECKS["xgboost.sklearn.XGBClassifier"]({**state, **attributes})


def test_inside_a_pipeline(models, tmp_path):
    """A pipeline with an estimator as a step is saved without pickle and opens without trust, and is still checked."""
    for name in ("binary", "regression forest"):
        model, data = models[name]
        labels = np.asarray(model.predict(data))
        pipeline = make_pipeline(StandardScaler(), type(model)(**model.get_params())).fit(data, labels)
        palate.save_model(pipeline, tmp_path / name, input_example=data[:3])
        loaded = palate.load_model(tmp_path / name)
        assert loaded.flavor == "sklearn"
        assert np.array_equal(loaded.predict(data), pipeline.predict(data))


def test_damaged_step_of_a_pipeline(models, tmp_path, encode):
    """A step whose trees are damaged is refused before xgboost sees it."""
    pipeline = make_pipeline("passthrough", models["binary"][0])
    handle = bytes(booster_of(models["binary"][0]).__getstate__()["handle"])
    root = plain(read_ubjson(handle))
    root["Model"]["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"][0] = 2**30
    damaged = encode(root)
    kept = xgb.Booster.__getstate__
    try:
        xgb.Booster.__getstate__ = lambda self: {"handle": bytearray(damaged)}
        skops.io.dump(pipeline, tmp_path / "model.skops")
    finally:
        xgb.Booster.__getstate__ = kept
    (tmp_path / "MLmodel").write_text(
        "flavors: {sklearn: {pickled_model: model.skops, serialization_format: skops, sklearn_version: '1.9'}}"
    )
    with pytest.raises(UnsafeModel, match="children are outside"):
        palate.load_model(tmp_path)
