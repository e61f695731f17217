"""Modules of this package that few models and few calls need: imported when something of them is first used.

Where one stands for a module, the module is also imported under ``if TYPE_CHECKING``. So type checkers know its names,
and the test that holds the order of imports sees it like any other.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["LateModule"]


class LateModule:
    """Stands for a module until one of its names is asked for.

    Args:
        module: its full name.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self._module), name)
        # Kept, so that the next look finds it at once.
        setattr(self, name, found)
        return found
