"""What is promised for each format, opened without trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.hookspecs import Guarantees
from tf_flavor._sections import is_keras_section, keras_reasons, saved_model_folder

__all__ = ["guarantees_of"]

_NOTHING = Guarantees(
    no_code=False, memory_safe=False, bounded=False, exceptions=("It opens with trust only, and nothing is checked.",)
)
_KERAS = Guarantees(
    no_code=True,
    memory_safe=False,
    bounded=False,
    exceptions=(
        "Classes and functions that the reader passes as custom_objects, or has registered, run as they are written.",
        "Time and memory are bounded while loading, not while predicting: layers may ask for more than their file has "
        "bytes.",
        "Memory is safe while loading; while predicting, that rests on the checks of the backend's own operations.",
    ),
)
_GRAPH = Guarantees(
    no_code=True,
    memory_safe=False,
    bounded=False,
    exceptions=(
        "Time and memory are bounded while loading, not while predicting: the file chooses sizes, and a loop in its "
        "graph may never end.",
        "Memory is safe while loading; while predicting, that rests on TensorFlow's own checks of its arguments.",
    ),
)


def guarantees_of(path: Path, config: Mapping[str, Any], flavor: str) -> Guarantees:
    """Return what holds for a directory of *flavor*."""
    if saved_model_folder(path, config, flavor) is not None or not is_keras_section(config):
        return _GRAPH
    return _NOTHING if keras_reasons(path, config) else _KERAS
