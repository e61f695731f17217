"""The booster in whatever LightGBM made."""

from __future__ import annotations

from typing import Any

from palate.errors import UnsupportedModel

__all__ = ["find_booster"]


def find_booster(model: Any) -> Any:
    """Return the Booster that *model* is or has. Raises UnsupportedModel for an object that has none."""
    import lightgbm

    if isinstance(model, lightgbm.Booster):
        return model
    name = type(model).__name__
    if not isinstance(model, lightgbm.LGBMModel):
        hint = "save a Booster, or an estimator such as LGBMClassifier"
        raise UnsupportedModel(name, reason="it is no model of LightGBM", hint=hint)
    if not model.__sklearn_is_fitted__():
        raise UnsupportedModel(name, reason="it is not fitted", hint="call fit first")
    return model.booster_
