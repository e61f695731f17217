"""Predicting with whatever a directory of either flavor held."""

from __future__ import annotations

from typing import Any

from tf_flavor._keras_calling import predict_keras
from tf_flavor._saved_model_calling import is_keras_model, method_names, predict_saved_model

__all__ = ["methods_of", "predict_any"]


def predict_any(model: Any, data: Any, method: str) -> Any:
    """Predict with a Keras model, or call a module or a signature of TensorFlow's."""
    return predict_keras(model, data) if is_keras_model(model) else predict_saved_model(model, data, method)


def methods_of(model: Any) -> tuple[str, ...]:
    """Return what *model* answers to."""
    return ("predict",) if is_keras_model(model) else method_names(model)
