"""Importing Keras and TensorFlow without their greetings on stderr."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from palate.hookspecs import ForkLock

__all__ = ["import_keras", "import_tensorflow"]

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

# The modules of TensorFlow import each other in circles. Threads that enter one at different places wait for each
# other, until Python gives up with a _DeadlockError. And a forked child could not finish an import.
_importing = ForkLock()


def import_keras() -> ModuleType:
    """Return the keras module; TensorFlow comes with it only where it is Keras' backend."""
    return _import("keras")


def import_tensorflow() -> ModuleType:
    """Return the tensorflow module."""
    return _import("tensorflow")


def _import(name: str) -> ModuleType:
    module = sys.modules.get(name)
    if module is not None and getattr(module.__spec__, "_initializing", False) is False:
        return module
    with _importing.held:
        return _import_quietly(name)


def _import_quietly(name: str) -> ModuleType:
    # TensorFlow's C++ half reads this while it is loaded, and then reports on oneDNN, CUDA and CPU features.
    # A user who has set it knows what he wants to see; child processes shall not inherit our choice.
    own = _LEVEL not in os.environ
    if own:
        os.environ[_LEVEL] = "3"
    try:
        __import__(name)
    finally:
        if own:
            os.environ.pop(_LEVEL, None)
    return sys.modules[name]
