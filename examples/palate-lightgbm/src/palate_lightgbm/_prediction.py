"""Predictions: each kind that LightGBM makes is a method of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palate.errors import InvalidInput, Problem
from palate_lightgbm._boosters import find_booster
from palate_lightgbm._layout import LARGEST_INT32, THREADS
from palate_lightgbm._rounds import hold_rounds
from palate_lightgbm._schema import are_numbered

__all__ = ["methods", "predict"]

_KINDS = ("raw_score", "pred_leaf", "pred_contrib")
_ROUNDS = ("start_iteration", "num_iteration")
# Of all that an estimator hands to LightGBM, what predicting heeds.
_HEEDED = ("pred_early_stop", "pred_early_stop_freq", "pred_early_stop_margin")


def methods(model: Any) -> Sequence[str]:
    """Return the methods of a Booster or an estimator, the default first."""
    kinds = [kind for kind in _KINDS if kind != "pred_contrib" or not _is_linear(find_booster(model))]
    return ("predict", *(("predict_proba",) if hasattr(model, "predict_proba") else ()), *kinds)


def _is_linear(booster: Any) -> bool:
    """Return whether the leaves are linear models, for which LightGBM has no contributions."""
    return "\n[linear_tree: 1]\n" in booster.model_to_string(num_iteration=1)


def predict(model: Any, data: Any, method: str, params: Mapping[str, Any], *, enforced: bool) -> object:
    """Return what LightGBM's own method predicts.

    Params that reach it are ``start_iteration`` and ``num_iteration``, as in LightGBM; the others are left out. Raises
    InvalidInput for data whose columns are not the model's, which LightGBM takes by position if they are as many.
    """
    booster = find_booster(model)
    if not enforced:
        _check_columns(booster, data)
    rounds = {name: _check_round(name, params[name]) for name in _ROUNDS if params.get(name) is not None}
    with hold_rounds(booster, shared=not rounds):
        if method not in _KINDS and _has_own_methods(model):
            return getattr(model, method)(data, **rounds)
        kind = {method: True} if method in _KINDS else {}
        heeded = _heeded_params(model) if booster is not model else {}
        empty = _is_empty(data)
        scores = booster.predict(_one_row(booster) if empty else data, **rounds, **kind, **heeded)
        return _answer(model, method, scores[:0] if empty else scores)


def _has_own_methods(model: Any) -> bool:
    """Return whether the model is of a class that is not LightGBM's, whose methods may do something else."""
    return type(model).__module__ not in ("lightgbm.basic", "lightgbm.sklearn")


def _heeded_params(model: Any) -> dict[str, Any]:
    """Return an estimator's params that matter for predictions.

    The estimator's own ``predict`` hands over all of them: LightGBM then prints at each call which it ignores, and
    draws from a random generator among them.
    """
    params = model.get_params(deep=False)
    heeded = {name: params[name] for name in _HEEDED if name in params}
    threads = next((params[name] for name in THREADS if params.get(name) is not None), None)
    return {**heeded, "num_threads": threads} if isinstance(threads, int) and threads > 0 else heeded


def _answer(model: Any, method: str, scores: Any) -> Any:
    """Return what an estimator makes of its booster's predictions: labels and probabilities for a classifier."""
    import lightgbm
    import numpy

    if method in _KINDS or not isinstance(model, lightgbm.LGBMClassifier) or callable(model.objective_):
        return scores
    chances = scores if scores.ndim == 2 else numpy.vstack((1.0 - scores, scores)).transpose()
    if method == "predict_proba":
        return chances
    # A classifier that was trained on one label has a chance for another, which has no name.
    return model.classes_[numpy.argmax(chances[:, : len(model.classes_)], axis=1)]


def _check_columns(booster: Any, data: Any) -> None:
    names = booster.feature_name()
    if hasattr(data, "columns") and not are_numbered(names):
        _check_names(names, [str(name).replace(" ", "_") for name in data.columns])
    shape: tuple[int, ...] = getattr(data, "shape", ())
    if len(shape) == 2 and shape[1] != len(names):
        message = f"the model takes {len(names)} columns, not {shape[1]}"
        raise InvalidInput([Problem(("inputs",), "wrong_shape", message)])


def _check_names(names: Sequence[str], given: Sequence[str]) -> None:
    if list(names) == given:
        return
    missing = [Problem(("inputs", name), "missing", "the model has this column") for name in names if name not in given]
    order = Problem(("inputs",), "wrong_value", "the columns must be the model's, in their order")
    raise InvalidInput(missing or [order])


def _check_round(name: str, value: object) -> int:
    if type(value) is int and abs(value) <= LARGEST_INT32:
        return value
    raise InvalidInput([Problem(("params", name), "wrong_value", "must be an integer of 32 bits")])


def _is_empty(data: Any) -> bool:
    shape: tuple[int, ...] = getattr(data, "shape", ())
    return len(shape) == 2 and shape[0] == 0


def _one_row(booster: Any) -> Any:
    """Return a row to predict in place of none, which LightGBM refuses; only the answer's form is used."""
    import numpy

    return numpy.zeros((1, booster.num_feature()))
