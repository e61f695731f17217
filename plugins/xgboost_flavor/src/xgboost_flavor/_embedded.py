"""xgboost's classes inside the files of other flavors, such as a step of a scikit-learn pipeline saved by skops.

There a Booster is the bytes of xgboost's memory snapshot: the model and its training configuration as one UBJSON
object, which xgboost parses when the object is built from its attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from palate.hookspecs import EmbeddedType
from xgboost_flavor._classes import BOOSTER, ESTIMATOR_TYPES, class_named
from xgboost_flavor._document import Broken
from xgboost_flavor._model_checks import check_model
from xgboost_flavor._params import parameter_problem
from xgboost_flavor._ubjson import read_ubjson

__all__ = ["list_types"]

# The deepest text that xgboost parses by recursion is a list of lists: interaction constraints.
_MAX_BRACKETS = 4
_MAX_CLASSES = 1 << 24


def list_types() -> Sequence[EmbeddedType]:
    """Return Booster and the classes of scikit-learn's kind, each with its check."""
    estimators = (EmbeddedType(name=name, check=partial(_check_estimator, name)) for name in ESTIMATOR_TYPES)
    return (EmbeddedType(name=BOOSTER, check=_check_booster), *estimators)


# -- estimators --------------------------------------------------------------------------------------------------------


def _check_estimator(name: str, attributes: Mapping[str, object]) -> str | None:
    """Return what is wrong with the attributes of an estimator; its booster is checked as an object of its own."""
    own = class_named(name)
    for key, value in attributes.items():
        # What the class itself has of that name would be hidden by it.
        if key.startswith("__") or hasattr(own, key):
            return f"an attribute of {name} is called {key!r:.40}"
        if key == "_Booster" and value is not None and value is not ...:
            return f"the booster of {name} is no object"
        if problem := parameter_problem(key, value):
            return f"{key} of {name} {problem}"
    classes = attributes.get("n_classes_", 2)
    # The classes are counted up to it for every answer.
    if type(classes) is not int or not 0 <= classes <= _MAX_CLASSES:
        return f"n_classes_ of {name} is {classes!r:.30}"
    return None


# -- boosters ----------------------------------------------------------------------------------------------------------


def _check_booster(attributes: Mapping[str, object]) -> str | None:
    if attributes.keys() != {"handle"}:
        return f"a Booster has the attributes {sorted(attributes)!r:.100}, and not only its handle"
    handle = attributes["handle"]
    if not isinstance(handle, bytes | bytearray):
        return "the handle of a Booster is not the bytes of a model"
    try:
        _check_snapshot(handle)
    except Broken as exc:
        return str(exc)
    return None


def _check_snapshot(data: bytes | bytearray) -> None:
    document = read_ubjson(data)
    if document.root.keys() != {"Model", "Config"}:
        raise Broken("a Booster's bytes are not a model and its configuration")
    model, config = document.root["Model"], document.root["Config"]
    check_model(document, model)
    _check_config(config, model)


def _check_config(config: Any, model: Mapping[str, Any]) -> None:
    """Hold what the configuration repeats of the model against it; the rest is text for the next training."""
    if not isinstance(config, dict) or config.keys() != {"learner", "version"} or config["version"] != model["version"]:
        raise Broken("its configuration is not that of its model")
    learner, trained = config["learner"], model["learner"]
    if not isinstance(learner, dict):
        raise Broken("its configuration has no learner")
    for name in ("learner_model_param", "objective"):
        if name in learner and _without_arrays(learner[name]) != _without_arrays(trained[name]):
            raise Broken(f"{name} of its configuration is not that of its model")
    booster = learner.get("gradient_booster")
    train = learner.get("learner_train_param")
    if not isinstance(booster, dict) or booster.get("name") != trained["gradient_booster"]["name"]:
        raise Broken("the booster of its configuration is not that of its model")
    if not isinstance(train, dict) or train.get("objective") != trained["objective"]["name"]:
        raise Broken("the objective of its configuration is not that of its model")
    _check_texts(learner)


def _without_arrays(members: Any) -> Any:
    """Return an object without its packed arrays, which stand elsewhere in the file."""
    if not isinstance(members, dict):
        return members
    return {name: value for name, value in members.items() if isinstance(value, str | dict)}


def _check_texts(value: Any) -> None:
    """xgboost parses some texts as JSON, by recursion: none may be deeper than it writes them itself."""
    if isinstance(value, dict):
        for inner in value.values():
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)
    elif isinstance(value, str) and any(bracket in value for bracket in "[({"):
        depth = 0
        for character in value:
            depth += (character in "[({") - (character in "])}")
            if depth > _MAX_BRACKETS:
                raise Broken("a text of its configuration is nested too deep")
