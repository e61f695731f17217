"""The constructor's parameters of the classes of scikit-learn's kind, which xgboost's own files do not hold.

They are kept in MLmodel as plain data, those that are not the class's default, and put back after loading. What is no
plain data (a function as objective, callbacks, a random state) only matters in training: it is named in a warning and
left out.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from palate.errors import InvalidModelFile, PalateWarning, Problem
from xgboost_flavor._values import FEATURE_TYPES

__all__ = ["check_params", "describe_params", "parameter_problem", "read_params", "restore_params", "threads_of"]

_SECTION = ("flavors", "xgboost", "params")

# What xgboost writes into the attribute where further keyword arguments of a constructor go.
_FURTHER = "kwargs"

_NAMES = frozenset(
    """n_estimators max_depth max_leaves max_bin grow_policy learning_rate verbosity objective booster
    tree_method n_jobs gamma min_child_weight max_delta_step subsample sampling_method colsample_bytree
    colsample_bylevel colsample_bynode reg_alpha reg_lambda scale_pos_weight base_score random_state missing
    num_parallel_tree monotone_constraints interaction_constraints importance_type device validate_parameters
    enable_categorical feature_types feature_weights max_cat_to_onehot max_cat_threshold multi_strategy
    eval_metric early_stopping_rounds callbacks""".split()
)
_MAX_FURTHER = 200
# The objective whose answers are classes.
_CLASSES = "multi:softmax"


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# Parameters that predicting uses too have to be of their kind, whoever wrote the file; the others lie still until fit.
_KINDS: Mapping[str, Callable[[object], bool]] = {
    "booster": _is_text,
    "enable_categorical": lambda value: isinstance(value, bool),
    "feature_types": lambda value: value is None or (isinstance(value, list) and all(map(_is_text, value))),
    "missing": lambda value: value is None or _is_number(value),
    "n_jobs": lambda value: value is None or (isinstance(value, int) and abs(value) < 2**31),
    "objective": _is_text,
    "verbosity": lambda value: value is None or (isinstance(value, int) and 0 <= value <= 3),
}


# -- saving --------------------------------------------------------------------------------------------------------


def describe_params(model: Any) -> dict[str, Any]:
    """Return the parameters of *model* that differ from its class's defaults, as plain YAML data."""
    fresh = type(model)()
    given = {name: getattr(model, name, None) for name in sorted(_NAMES)}
    given.update(getattr(model, _FURTHER, None) or {})
    params: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in given.items():
        if name in _NAMES and _same(value, getattr(fresh, name, None)):
            continue
        try:
            params[name] = _encode(value)
        except TypeError:
            left_out.append(f"{name}={_name_of(value)}")
    section: dict[str, Any] = {"params": params}
    if callable(model.objective):
        section["custom_objective"] = _name_of(model.objective)
    if left_out:
        warnings.warn(
            f"Not saved with the {type(model).__name__}, as only training uses it: {', '.join(left_out)}. "
            "Predictions are not affected.",
            PalateWarning,
            stacklevel=2,
        )
    return section


def _same(value: object, default: object) -> bool:
    if isinstance(value, float) and isinstance(default, float) and math.isnan(value):
        return math.isnan(default)
    return type(value) is type(default) and bool(value == default)


def _name_of(value: object) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _encode(value: Any) -> Any:
    """Return plain YAML data for *value*: what YAML and JSON have no words for stands in an object of one member."""
    if value is None:
        return None
    for kind in (bool, int, str):
        if isinstance(value, kind):
            return kind(value)  # of an enumeration, or of numpy, the plain value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"__float__": str(float(value))}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, tuple):
        return {"__tuple__": [_encode(item) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"__dict__": {key: _encode(item) for key, item in value.items()}}
    if hasattr(value, "dtype") and hasattr(value, "tolist") and value.dtype.kind in "biufU":
        plain = _encode(value.tolist())
        return {"__array__": plain} if getattr(value, "ndim", 0) else plain
    raise TypeError(type(value).__name__)


# -- loading -------------------------------------------------------------------------------------------------------


def read_params(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the parameters that MLmodel keeps, checked; None for a directory that MLflow wrote.

    Raises:
        InvalidModelFile: listing every parameter that cannot be one.
    """
    stored = config.get("params")
    if stored is None:
        return None
    if not isinstance(stored, dict) or len(stored) > len(_NAMES) + _MAX_FURTHER:
        raise InvalidModelFile([Problem(_SECTION, "wrong_type", "must be a map from parameters to plain values")])
    params: dict[str, Any] = {}
    problems = []
    for name, value in stored.items():
        try:
            params[name] = _decode(value)
        except (TypeError, ValueError):
            problems.append(Problem((*_SECTION, name), "wrong_value", "is not what a parameter is written as"))
            continue
        if not name.isidentifier() or name.startswith("_"):
            problems.append(Problem((*_SECTION, name), "extra", "is not the name of a parameter"))
        elif name in _KINDS and not _KINDS[name](params[name]):
            problems.append(Problem((*_SECTION, name), "wrong_value", "is of a kind that this parameter cannot have"))
    if problems:
        raise InvalidModelFile(problems)
    return params


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "__float__" and isinstance(content, str):
        return float(content)
    if kind == "__tuple__" and isinstance(content, list):
        return tuple(_decode(item) for item in content)
    if kind == "__dict__" and isinstance(content, dict):
        return {key: _decode(item) for key, item in content.items()}
    if kind == "__array__" and isinstance(content, list):
        import numpy as np

        array: Any = np.array(_decode(content))
        if array.dtype.kind in "biufU":
            return array
    raise TypeError(kind)


def threads_of(params: Mapping[str, Any] | None) -> int | None:
    """Return the parameter that the native booster is made with; xgboost keeps to the number of processors."""
    return params.get("n_jobs") if params else None


def restore_params(model: Any, params: Mapping[str, Any]) -> None:
    """Give *model* the parameters that it was saved with; loading set some to what xgboost made of them."""
    fresh = type(model)()
    for name in _NAMES:
        if name != "objective":  # that of the file, if a function took its place in training
            setattr(model, name, params.get(name, getattr(fresh, name, None)))
    model.objective = params.get("objective", model.objective)
    further = {name: value for name, value in params.items() if name not in _NAMES}
    if further:
        setattr(model, _FURTHER, further)


# -- beside the booster ------------------------------------------------------------------------------------------------


def check_params(booster: Any, params: Mapping[str, Any]) -> None:
    """Hold the parameters that predicting uses against what *booster* was trained for.

    Raises:
        InvalidModelFile: listing every parameter that contradicts it.
    """
    problems = [Problem((*_SECTION, name), "wrong_value", text) for name, text in _contradictions(booster, params)]
    if problems:
        raise InvalidModelFile(problems)


def _contradictions(booster: Any, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    learner = json.loads(booster.save_config())["learner"]
    trained, given = learner["objective"]["name"], params.get("objective")
    # A classifier takes its booster's answers for classes, or for their probabilities, by this name alone.
    if given is not None and (given == _CLASSES) != (trained == _CLASSES):
        yield "objective", f"is {given!r:.60}, and the model was trained with {trained!r}"
    kind = learner["gradient_booster"]["name"]
    if params.get("booster") not in (None, kind):
        yield "booster", f"is {params['booster']!r:.60}, and the model is a {kind}"
    types = params.get("feature_types")
    if types is not None and (len(types) != booster.num_features() or not FEATURE_TYPES.issuperset(types)):
        yield "feature_types", f"is not a type for each of {booster.num_features()} features"


# -- inside of other flavors' files ------------------------------------------------------------------------------------


def parameter_problem(name: str, value: object) -> str | None:
    """Return what is wrong with an attribute of an estimator; those that predicting does not use may be anything."""
    if value is None or name not in _KINDS or _KINDS[name](value):
        return None
    return "is of a kind that this parameter cannot have"
