"""The classes of xgboost whose objects a file may become. Names in a file choose from this table and nothing else."""

from __future__ import annotations

from typing import Any

from palate.errors import UnsupportedModel

__all__ = ["BOOSTER", "ESTIMATOR_TYPES", "class_named", "is_known", "name_of"]

BOOSTER = "xgboost.core.Booster"

# What each class of scikit-learn's kind writes into its files, so that no other kind opens them.
ESTIMATOR_TYPES = {
    "xgboost.sklearn.XGBClassifier": "classifier",
    "xgboost.sklearn.XGBRFClassifier": "classifier",
    "xgboost.sklearn.XGBRegressor": "regressor",
    "xgboost.sklearn.XGBRFRegressor": "regressor",
    "xgboost.sklearn.XGBRanker": "ranker",
}


def is_known(name: object) -> bool:
    """Tell whether a file may name that class."""
    return name == BOOSTER or (isinstance(name, str) and name in ESTIMATOR_TYPES)


def class_named(name: str) -> Any:
    """Return the class of that full name, which must be in the table."""
    import xgboost

    if not is_known(name):
        raise KeyError(name)
    return getattr(xgboost, name.rpartition(".")[2])


def name_of(model: object) -> str:
    """Return the full name of the class of *model*.

    Raises:
        UnsupportedModel: it is none of the table.
    """
    cls = type(model)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if is_known(name):
        return name
    bases = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__[1:]]
    known = next(filter(is_known, bases), None)
    if cls.__module__.startswith(("xgboost.dask", "xgboost.spark")):
        reason = "it predicts on a cluster"
        hint = "save the booster that it trained: get_booster(), or the 'booster' of what dask's train returns"
    elif known == BOOSTER:
        reason = "it is a class of your own, which only its code could rebuild"
        hint = "save a plain Booster: xgboost.Booster(model_file=model.save_raw())"
    elif known:
        reason = (
            f"it is a class of your own, which only its code could rebuild (its base is {known.rpartition('.')[2]})"
        )
        hint = "save model.get_booster(), or wrap the model in a palate.PythonModel"
    else:
        reason = "it is no model of xgboost"
        hint = "save a Booster, XGBClassifier, XGBRegressor, XGBRanker, XGBRFClassifier or XGBRFRegressor"
    raise UnsupportedModel(cls.__qualname__, reason=reason, hint=hint)
