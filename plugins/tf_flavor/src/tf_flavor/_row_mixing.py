"""Which models may answer for a row by looking at the other rows that came with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["mixes_rows"]

# Layers that run a function, a graph or a module of somebody else's.
_CARRIERS = frozenset(["FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"])
# Where a layer has others inside.
_WRAPPED = ("layer", "forward_layer", "backward_layer", "cell")
_LAYERS = "keras.src.layers."
_MODELS = "keras.src.models."


def mixes_rows(model: Any) -> bool:
    """Return whether a row's answer may depend on the others.

    It does not where all of *model* are layers of Keras's own that leave the axis of the rows alone. Of a graph, of a
    class of the user's, and of bare operations between layers, which may be means over the rows, nothing is known.
    """
    if not type(model).__module__.startswith(_MODELS):
        return True
    return any(_may_mix(part) for part in _parts(model))


def _parts(model: Any) -> Iterator[Any]:
    """Yield what a model computes with: its layers, those inside of them, and operations that are no layers."""
    operations: Any = getattr(model, "operations", None) or getattr(model, "layers", ())
    inside = [getattr(model, name) for name in _WRAPPED if hasattr(model, name)]
    for part in [*operations, *inside, *getattr(model, "cells", ())]:
        yield part
        yield from _parts(part)


def _may_mix(part: Any) -> bool:
    kind = type(part)
    if kind.__module__.startswith(_MODELS):
        return False  # its parts are looked at
    if not kind.__module__.startswith(_LAYERS) or kind.__name__ in _CARRIERS or getattr(part, "stateful", False):
        return True
    functions = (getattr(part, name, None) for name in ("activation", "recurrent_activation"))
    if not all(function is None or _module_of(function).startswith("keras.") for function in functions):
        return True
    return any(0 in _axes(getattr(part, name, ())) for name in ("axis", "axes"))


def _module_of(function: Any) -> str:
    return str(getattr(function, "__module__", None) or type(function).__module__)


def _axes(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
