"""Builds of one package that have distributions of their own, and fill the place of each other: ``tensorflow-cpu``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from palate._environment.dependencies import find_distribution
from palate._environment.requirements import normalise_name

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["base_name", "find_build"]

_KINDS = ("cpu", "gpu", "rocm", "directml", "openvino", "intel", "macos", "headless", "binary")
_BUILD = re.compile(rf"-(?:{'|'.join(_KINDS)})$")


def base_name(name: str) -> str:
    """Return the normalised name of the package that *name* is, or is a build of."""
    return _BUILD.sub("", normalise_name(name))


def find_build(name: str) -> Distribution | None:
    """Return what is installed as *name*, or as another build of it."""
    base = base_name(name)
    return next(filter(None, map(find_distribution, (name, base, *(f"{base}-{kind}" for kind in _KINDS)))), None)
