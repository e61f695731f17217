"""The loader that stock MLflow imports for flavors it does not know, where Palate is installed."""

from __future__ import annotations

import os
from typing import Any

from palate.errors import InvalidOption
from palate.loading import load_model

__all__: list[str] = []

SWITCH = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


class _Model:
    """What ``mlflow.pyfunc`` expects of a loaded model."""

    def __init__(self, path: str, *, trust: bool) -> None:
        self._model = load_model(path, trust=trust)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return self._model.predict(model_input, params)


def _load_pyfunc(path: str) -> _Model:
    return _Model(path, trust=_is_trusted())


def _is_trusted() -> bool:
    """Read MLflow's own switch for the same question, as MLflow reads it; its default is to trust."""
    given = os.environ.get(SWITCH, "true").strip().lower()
    if given not in ("true", "1", "false", "0"):
        raise InvalidOption(
            SWITCH, reason="it is set to something else than true, 1, false or 0", hint="set one of these"
        )
    return given in ("true", "1")
