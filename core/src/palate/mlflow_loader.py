"""The loader that stock MLflow imports for flavors it does not know, where Palate is installed."""

from __future__ import annotations

import os
from typing import Any

from palate.loading import load_model

__all__: list[str] = []


class _Model:
    """What ``mlflow.pyfunc`` expects of a loaded model."""

    def __init__(self, path: str, *, trust: bool) -> None:
        self._model = load_model(path, trust=trust)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return self._model.predict(model_input, params)


def _load_pyfunc(path: str) -> _Model:
    # MLflow's own switch for the same question; its default is to trust.
    trust = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").lower() != "false"
    return _Model(path, trust=trust)
