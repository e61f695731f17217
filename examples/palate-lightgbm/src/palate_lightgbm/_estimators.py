"""Estimators of LightGBM's scikit-learn interface: told as plain data, and built again from it and a booster."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from palate.errors import PalateWarning, UnsupportedModel
from palate_lightgbm._model_text import TextFacts
from palate_lightgbm._tree_text import require

_CLASSES = ("LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor")
_KEYS = {"class", "params", "objective", "best_iteration", "named_features"}
_CLASSIFIER_KEYS = {"classes", "classes_dtype"}
_DTYPES = re.compile(r"bool|object|u?int(?:8|16|32|64)|float(?:16|32|64)|<U[1-9][0-9]{0,5}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_OF_THREADS = ("n_jobs", "num_threads", "num_thread", "nthread", "nthreads")
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
        dtype = str(model.classes_.dtype)
        description |= {"classes": model.classes_.tolist(), "classes_dtype": dtype}
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
        if plain is None and value is not None:
            left_out.append(key)
        else:
            yield key, plain
    if left_out:
        message = f"The params {', '.join(left_out)} are objects that text cannot hold, so they were left out."
        warnings.warn(message, PalateWarning, stacklevel=2)


def _as_plain(value: Any) -> Any:
    """Return *value* as scalars and lists, or None if it is something else."""
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        value = value.tolist()
    if isinstance(value, list | tuple):
        parts = [_as_plain(part) for part in value]
        return None if None in parts else parts
    return value if isinstance(value, str | int | float) else None


def check(description: Any, facts: TextFacts) -> None:
    """Raise Malformed if this cannot be the description of an estimator whose booster has these facts."""
    require(isinstance(description, Mapping), "flavors.lightgbm.estimator must be a mapping")
    name = description.get("class")
    require(isinstance(name, str) and name in _CLASSES, f"the estimator's class must be one of {', '.join(_CLASSES)}")
    keys = _KEYS | _CLASSIFIER_KEYS if name == "LGBMClassifier" else _KEYS
    require(description.keys() == keys, f"the description of an {name} must have {', '.join(sorted(keys))}")
    best = description["best_iteration"]
    require(type(best) is int and -1 <= best <= facts.rounds, "best_iteration must be a round that the model has")
    require(isinstance(description["objective"], str), "the estimator's objective must be a name")
    require(isinstance(description["named_features"], bool), "named_features must be true or false")
    _check_params(description["params"])
    if name == "LGBMClassifier":
        _check_classes(description, facts)


def _check_params(params: object) -> None:
    require(isinstance(params, Mapping), "the estimator's params must be a mapping")
    assert isinstance(params, Mapping)
    for key, value in params.items():
        require(isinstance(key, str) and _NAME.fullmatch(key) is not None, "params must have names")
        require(value is None or _as_plain(value) is not None, "params must be texts, numbers, truth values or lists")
        if key in _OF_THREADS:
            few = value is None or (type(value) is int and abs(value) <= _MOST_THREADS)
            require(few, f"{key} must be an integer, and no more than {_MOST_THREADS}")


def _check_classes(description: Mapping[str, Any], facts: TextFacts) -> None:
    classes, dtype = description["classes"], description["classes_dtype"]
    require(isinstance(dtype, str) and _DTYPES.fullmatch(dtype) is not None, "classes_dtype must be a dtype of labels")
    fit = isinstance(classes, list) and all(isinstance(label, str | int | float) for label in classes)
    require(fit and len(classes) == len(set(classes)) > 0, "classes must be different texts, numbers or truth values")
    count = len(classes)
    fit = facts.outputs == count if count > 2 else facts.outputs in (1, count)
    require(fit, "classes must be as many as the booster tells apart")


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
