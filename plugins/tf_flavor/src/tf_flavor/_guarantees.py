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
    memory_safe=True,
    bounded=True,
    exceptions=(
        "Classes and functions that the reader passes as custom_objects, or has registered, run as they are written.",
        "While predicting, layers may ask for more time and memory than their file has bytes.",
    ),
)
_GRAPH = Guarantees(
    no_code=True,
    memory_safe=False,
    bounded=False,
    exceptions=(
        "Loading is checked: bounded in time and memory, and no loop runs.",
        "Predicting runs a graph of TensorFlow's own operations on sizes that the file chooses: a loop in it may never "
        "end, and it rests on TensorFlow's own checks of its arguments.",
    ),
)


def guarantees_of(path: Path, config: Mapping[str, Any], flavor: str) -> Guarantees:
    """Return what holds for a directory of *flavor*."""
    if saved_model_folder(path, config, flavor) is not None or not is_keras_section(config):
        return _GRAPH
    return _NOTHING if keras_reasons(path, config) else _KERAS
