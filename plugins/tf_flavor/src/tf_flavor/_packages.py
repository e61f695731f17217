"""The pip requirements of a saved model."""

from __future__ import annotations

from importlib.metadata import version

from tf_flavor._quiet import import_keras

__all__ = ["keras_requirements", "pinned"]

_BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def pinned(distribution: str) -> str:
    """Return ``name==version`` of what is installed, without a local label that no index knows."""
    return f"{distribution}=={version(distribution).partition('+')[0]}"


def keras_requirements(format_name: str) -> tuple[str, ...]:
    """Return what reads a Keras model in that format, on the backend that is in use."""
    if format_name == "saved_model":
        # MLflow's mlflow.keras imports keras for this format, too.
        return (pinned("keras"), pinned("tensorflow"))
    backend = _BACKENDS.get(import_keras().backend.backend())
    return (pinned("keras"), pinned("h5py"), *((pinned(backend),) if backend else ()))
