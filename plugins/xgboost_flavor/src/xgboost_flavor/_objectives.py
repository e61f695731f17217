"""The objectives of a model: which there are, and what their parameters may be."""

from __future__ import annotations

from typing import Any

from xgboost_flavor._document import Broken, Document
from xgboost_flavor._values import read_count, read_floats, read_param

__all__ = ["check_objective"]

# By name, the object of parameters that goes with it, which xgboost takes for granted; None where there is none.
_PARAMS = {
    "binary:hinge": None,
    "binary:logistic": "reg_loss_param",
    "binary:logitraw": "reg_loss_param",
    "count:poisson": "poisson_regression_param",
    "multi:softmax": "softmax_multiclass_param",
    "multi:softprob": "softmax_multiclass_param",
    "rank:map": "lambdarank_param",
    "rank:ndcg": "lambdarank_param",
    "rank:pairwise": "lambdarank_param",
    "reg:absoluteerror": None,
    "reg:gamma": "reg_loss_param",
    "reg:linear": "reg_loss_param",
    "reg:logistic": "reg_loss_param",
    "reg:pseudohubererror": "pseudo_huber_param",
    "reg:quantileerror": "quantile_loss_param",
    "reg:squarederror": "reg_loss_param",
    "reg:squaredlogerror": "reg_loss_param",
    "reg:tweedie": "tweedie_regression_param",
    "survival:aft": "aft_loss_param",
    "survival:cox": None,
}
# Ranking counts positions beside, which only training uses.
_POSITIONS = {"ti+", "tj-"}
_MAX_TEXT = 64


def check_objective(document: Document, objective: Any, *, classes: int, targets: int) -> None:
    """Raise Broken unless *objective* is one of xgboost's, with parameters that fit the model's outputs."""
    name = read_param(objective, "name", "objective")
    if name not in _PARAMS:
        raise Broken(f"its objective is {name!r:.60}, which this version of the flavor does not know")
    for key, value in objective.items():
        if key in _POSITIONS:
            _check_positions(document, value)
        elif key != "name":
            _check_params(key, value)
    place = _PARAMS[name]
    if name.startswith("multi:") and read_count(objective.get(place), "num_class", str(place), most=classes) != classes:
        # xgboost divides by the one and allocates by the other.
        raise Broken(f"num_class of the objective is not the model's, {classes}")
    if name.startswith("multi:") and not classes:
        raise Broken("its objective has classes, and the model none")
    if name == "reg:quantileerror":
        quantiles = read_floats(objective.get(place), "quantile_alpha", str(place))
        if len(quantiles) != targets:
            raise Broken(f"its objective has {len(quantiles)} quantiles, and the model {targets} targets")


def _check_params(key: str, value: Any) -> None:
    known = {param for param in _PARAMS.values() if param}
    # Objectives of before 2.0 had this one; none reads it any more.
    if key not in known | {"lambda_rank_param"}:
        raise Broken(f"its objective has {key!r:.60}, which this version of the flavor does not know")
    if not isinstance(value, dict):
        raise Broken(f"{key} is not an object")
    for name, text in value.items():
        if name == "quantile_alpha":
            read_floats(value, name, key)
        elif not isinstance(text, str) or len(text) > _MAX_TEXT:
            raise Broken(f"{name!r:.60} of {key} is not a short text")


def _check_positions(document: Document, value: Any) -> None:
    """Vectors of numbers, which stand packed in UBJSON as float32 or float64."""
    for kind in "dD":
        try:
            document.lengths([value], kind, "positions")
        except Broken:
            continue
        if isinstance(value, list) and {type(number) for number in value} - {float}:
            break
        return
    raise Broken("the positions of a ranking objective are not numbers")
