"""How another model is opened from a model's code, by the ``load_model`` of one of MLflow's modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["answer_load_model", "load_model_of"]

# palate._opening, in a layer above, fills it.
_openers: dict[str, Callable[..., Any]] = {}


def answer_load_model(module: str, opener: Callable[..., Any]) -> None:
    """Have *opener* answer the ``load_model`` of one of MLflow's modules."""
    _openers[module] = opener


def load_model_of(module: str) -> Callable[..., Any]:
    """Return what stands for the ``load_model`` of one of MLflow's modules."""

    def load_model(model_uri: str, **kwargs: Any) -> Any:
        """Open another model, such as one among this model's artifacts; whoever trusts this model trusts that one."""
        return _openers[module](model_uri, **kwargs)

    return load_model
