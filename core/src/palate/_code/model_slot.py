"""Where a models-from-code file leaves its model: a slot per run of a file, which nothing survives.

Stock MLflow has one global slot that is never cleared, so that a file which forgets ``set_model`` gives the model of
the file before. Where the real MLflow is installed, its slot is emptied before each run and put back after it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from palate._process_lock import ProcessLock

__all__ = ["ModelSlot", "current_slot", "open_slot", "set_model"]

# (module, attribute) of the globals that mlflow.models.set_model and mlflow.models.ModelConfig use.
_MLFLOW_MODEL = ("mlflow.models.model", "__mlflow_model__")
_MLFLOW_CONFIG = ("mlflow.models.model_config", "__mlflow_model_config__")
_mlflow_lock = ProcessLock()


@dataclass(slots=True)
class ModelSlot:
    """What one run of a file is given, and what it sets."""

    config: Mapping[str, Any] | None
    model: object = None


_slot: ContextVar[ModelSlot | None] = ContextVar("palate_model_slot", default=None)


def current_slot() -> ModelSlot | None:
    """Return the slot of the file that is being run, or None."""
    return _slot.get()


def set_model(model: object) -> None:
    """Declare the model of a models-from-code file: a PythonModel instance or a function.

    Outside of a load this does nothing, so that the file can be run and imported like any other.
    """
    slot = _slot.get()
    if slot is not None:
        slot.model = model
    else:
        # Stock MLflow may be running this file; its own set_model would refuse a class that is not its own.
        _write(_MLFLOW_MODEL, model)


@contextmanager
def open_slot(config: Mapping[str, Any] | None) -> Iterator[ModelSlot]:
    """Open a slot for the file that runs inside the block; it holds the model afterwards, or None."""
    slot = ModelSlot(config)
    with _mlflow_lock.held if "mlflow" in sys.modules else nullcontext():
        before = _read(_MLFLOW_MODEL), _read(_MLFLOW_CONFIG)
        _write(_MLFLOW_MODEL, None)
        # MLflow tells "no configuration" from "not loading" by an empty string.
        _write(_MLFLOW_CONFIG, config or "")
        token = _slot.set(slot)
        try:
            yield slot
            if slot.model is None:
                slot.model = _read(_MLFLOW_MODEL)
        finally:
            _slot.reset(token)
            _write(_MLFLOW_MODEL, before[0])
            _write(_MLFLOW_CONFIG, before[1])


def _read(place: tuple[str, str]) -> Any:
    return getattr(sys.modules.get(place[0]), place[1], None)


def _write(place: tuple[str, str], value: object) -> None:
    module = sys.modules.get(place[0])
    if module is not None:
        setattr(module, place[1], value)
