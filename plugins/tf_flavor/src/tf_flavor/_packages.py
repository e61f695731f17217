"""The pip requirements of a saved model."""

from __future__ import annotations

from palate.hookspecs import pin_installed
from tf_flavor._imports import import_keras

__all__ = ["keras_requirements"]


def keras_requirements(format_name: str) -> tuple[str, ...]:
    """Return what reads a Keras model in that format, on the backend that is in use."""
    # Keras calls its backends as their distributions are called. mlflow.keras imports keras for SavedModels, too.
    saved_model = format_name == "saved_model"
    packages = ("keras", "tensorflow") if saved_model else ("keras", "h5py", import_keras().backend.backend())
    return tuple(map(pin_installed, packages))
