"""Estimators of LightGBM's scikit-learn interface: told as plain data, and built again from it and a booster."""

from __future__ import annotations

import functools
import itertools
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from palate.errors import PalateWarning, UnsupportedModel
from palate_lightgbm._layout import LARGEST_INT32, THREADS
from palate_lightgbm._model_text import TextFacts
from palate_lightgbm._tree_text import require

__all__ = ["check", "describe", "rebuild"]

_CLASSES = ("LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor")
_KEYS = {"class", "params", "objective", "best_iteration", "named_features"}
_CLASSIFIER_KEYS = {"classes", "classes_dtype"}
_DTYPES = re.compile(r"bool|object|u?int(?:8|16|32|64)|float(?:16|32|64)|<U[1-9][0-9]{0,3}")
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]{0,62}[A-Za-z0-9])?")
# OpenMP ends the process when it cannot start as many threads as it was told to.
_MOST_THREADS = 1024


def describe(model: Any) -> dict[str, Any]:
    """Return plain data from which ``rebuild`` makes an estimator that predicts the same. Raises UnsupportedModel."""
    name = type(model).__name__
    _refuse_others(model, name)
    description: dict[str, Any] = {
        "class": name,
        "params": dict(_plain_params(model)),
        "objective": model.objective_,
        "best_iteration": int(model.best_iteration_),
        "named_features": hasattr(model, "feature_names_in_"),
    }
    if name == "LGBMClassifier":
        classes, dtype = model.classes_.tolist(), str(model.classes_.dtype)
        description |= {"classes": classes, "classes_dtype": _narrow(dtype, classes)}
    return description


def _refuse_others(model: Any, name: str) -> None:
    import lightgbm

    if name not in _CLASSES or type(model) is not getattr(lightgbm, name):
        reason = "text is for LightGBM's own estimators, and this class is another"
        hint = "save model.booster_, or use format='cloudpickle'"
        if type(model).__module__ == "lightgbm.dask":
            hint = "save model.to_local()"
        raise UnsupportedModel(name, reason=reason, hint=hint)
    if not isinstance(model.objective_, str):
        hint = "save model.booster_, or use format='cloudpickle'"
        raise UnsupportedModel(name, reason="its objective is a function, which text cannot hold", hint=hint)


def _plain_params(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the constructor's params as plain data; warn of those that have no such form, which only training uses."""
    left_out = []
    for key, value in sorted(model.get_params(deep=False).items()):
        if key == "class_weight" and isinstance(value, Mapping):
            value = [[_as_plain(label), _as_plain(weight)] for label, weight in value.items()]
        plain = _as_plain(value)
        if (plain is None and value is not None) or (key != "class_weight" and not _is_word(plain)):
            left_out.append(key)
        else:
            yield key, plain
    if left_out:
        names = ", ".join(left_out)
        message = f"The params {names} are objects or texts with spaces, which cannot be held, so they were left out."
        warnings.warn(message, PalateWarning, stacklevel=2)


def _as_plain(value: Any) -> Any:
    """Return *value* as scalars and lists, or None if it is something else."""
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        value = value.tolist()
    if isinstance(value, list | tuple):
        parts = [_as_plain(part) for part in value]
        return None if None in parts else parts
    return value if isinstance(value, str | int | float) else None


def _is_word(value: Any) -> bool:
    """Return whether *value* is one value to LightGBM, which takes what follows a space for another parameter."""
    if isinstance(value, list):
        return all(map(_is_word, value))
    return not isinstance(value, str) or (value.isprintable() and " " not in value)


def _narrow(dtype: str, classes: list[Any]) -> str:
    """Return a dtype of text as wide as the longest label; other dtypes as they are."""
    return f"<U{max(1, *map(len, classes))}" if dtype.startswith("<U") else dtype


def check(description: Any, facts: TextFacts) -> None:
    """Raise Malformed if this cannot be the description of an estimator whose booster has these facts."""
    require(isinstance(description, Mapping), "flavors.lightgbm.estimator must be a mapping")
    name = description.get("class")
    require(isinstance(name, str) and name in _CLASSES, f"the estimator's class must be one of {', '.join(_CLASSES)}")
    keys = _KEYS | _CLASSIFIER_KEYS if name == "LGBMClassifier" else _KEYS
    require(description.keys() == keys, f"the description of an {name} must have {', '.join(sorted(keys))}")
    best = description["best_iteration"]
    require(type(best) is int and -1 <= best <= facts.rounds, "best_iteration must be a round that the model has")
    objective = description["objective"]
    require(isinstance(objective, str) and _is_word(objective), "the estimator's objective must be a name")
    require(isinstance(description["named_features"], bool), "named_features must be true or false")
    _check_params(description["params"])
    if name == "LGBMClassifier":
        _check_classes(description, facts)


def _check_params(params: object) -> None:
    require(isinstance(params, Mapping), "the estimator's params must be a mapping")
    assert isinstance(params, Mapping)
    for key, value in params.items():
        require(isinstance(key, str) and _NAME.fullmatch(key) is not None, "params must have names of params")
        require(key not in _taken_names(), "params must not have the names of an estimator's methods and state")
        require(value is None or _as_plain(value) is not None, "params must be texts, numbers, truth values or lists")
        if key == "class_weight":
            _check_weights(value)
        elif value is not None:
            require(_is_word(value), "params must be texts without spaces")
            _check_heeded(key, value)


@functools.cache
def _taken_names() -> frozenset[str]:
    """Return what a param must not be called: LightGBM sets every param as an attribute, also with ``_`` before it."""
    import lightgbm

    taken = {"self"}
    for name in _CLASSES:
        estimator = getattr(lightgbm, name)()
        taken |= {word.removeprefix("_") for word in dir(estimator)} - estimator.get_params(deep=False).keys()
    return frozenset(taken)


def _check_weights(weights: Any) -> None:
    """Check class_weight, which is a text or pairs of a label and its weight."""
    fit = all(map(_is_weight, weights)) if isinstance(weights, list) else weights is None or isinstance(weights, str)
    require(fit, "class_weight must be a text, or pairs of a label and a number")


def _is_weight(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    return isinstance(pair[0], str | int | float) and isinstance(pair[1], int | float)


def _check_heeded(key: str, value: Any) -> None:
    """Check a param that predicting hands to LightGBM."""
    if key in THREADS:
        few = type(value) is int and abs(value) <= _MOST_THREADS
        require(few, f"{key} must be an integer, and no more than {_MOST_THREADS}")
    elif key == "pred_early_stop":
        require(isinstance(value, bool), f"{key} must be true or false")
    elif key == "pred_early_stop_freq":
        require(type(value) is int and 0 < value <= LARGEST_INT32, f"{key} must be a positive integer of 32 bits")
    elif key == "pred_early_stop_margin":
        fit = type(value) in (int, float) and 0 <= value <= sys.float_info.max
        require(fit, f"{key} must be a finite number that is not negative")


def _check_classes(description: Mapping[str, Any], facts: TextFacts) -> None:
    classes, dtype = description["classes"], description["classes_dtype"]
    require(isinstance(dtype, str) and _DTYPES.fullmatch(dtype) is not None, "classes_dtype must be a dtype of labels")
    fit = isinstance(classes, list) and len(classes) > 0 and type(classes[0]) in (str, int, float, bool)
    require(fit and len(set(map(type, classes))) == 1, "classes must be texts, numbers or truth values, of one type")
    fit = all(label < following for label, following in itertools.pairwise(classes))
    require(fit, "classes must differ, and be in ascending order")
    _check_labels(classes, dtype)
    count = len(classes)
    fit = facts.outputs == count if count > 2 else facts.outputs in (1, count)
    require(fit, "classes must be as many as the booster tells apart")


def _check_labels(classes: list[Any], dtype: str) -> None:
    """Check that labels are the same in an array of the dtype, and that it is no wider than they need."""
    import numpy

    text = isinstance(classes[0], str)
    require(text == (dtype == "object" or dtype.startswith("<U")), "classes_dtype must be that of the classes")
    require(dtype == _narrow(dtype, classes), "classes_dtype must be as wide as the longest label")
    try:
        kept = numpy.array(classes, dtype=dtype).tolist()
    except (ValueError, OverflowError):  # of numbers that are none of the dtype's
        kept = []
    fit = [*map(repr, kept)] == [*map(repr, classes)]
    require(fit, "classes must be labels of classes_dtype")


def rebuild(description: Mapping[str, Any], booster: Any) -> Any:
    """Return the estimator of a description that ``check`` has passed."""
    import lightgbm

    params = dict(description["params"])
    if isinstance(params.get("class_weight"), list):
        params["class_weight"] = dict(params["class_weight"])
    estimator = getattr(lightgbm, description["class"])(**params)
    # What fit leaves behind; LightGBM has no other way to give an estimator its booster.
    state = {
        "_Booster": booster,
        "_objective": description["objective"],
        "_best_iteration": description["best_iteration"],
        "_n_features": booster.num_feature(),
        "_n_features_in": booster.num_feature(),
        "_fitted_with_feature_names": description["named_features"],
        "fitted_": True,
    }
    if "classes" in description:
        state |= _label_state(description)
    vars(estimator).update(state)
    return estimator


def _label_state(description: Mapping[str, Any]) -> dict[str, Any]:
    import numpy
    from sklearn.preprocessing import LabelEncoder

    classes = numpy.array(description["classes"], dtype=description["classes_dtype"])
    encoder = LabelEncoder()
    encoder.classes_ = classes
    numbers = dict(zip(classes, encoder.transform(classes), strict=True))
    return {"_classes": classes, "_n_classes": len(classes), "_le": encoder, "_class_map": numbers}
