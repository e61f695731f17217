"""The conformance kit: what every flavor promises, as tests that a flavor's author subclasses.

Needs pytest, which ``palate[testing]`` brings; pytest loads ``palate.testing.pytest_plugin`` by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palate.testing._contract import FlavorContract

__all__ = ["FlavorContract"]


def __getattr__(name: str) -> object:
    # Late, so that pytest, which imports this package wherever Palate is installed, does not load the checks for it.
    if name not in __all__:
        raise AttributeError(f"module 'palate.testing' has no attribute {name!r}")
    value: object = getattr(import_module("palate.testing._contract"), name)
    return value
