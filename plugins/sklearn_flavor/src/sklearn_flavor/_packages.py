"""The packages that loading an estimator needs."""

from __future__ import annotations

import sys
from importlib import metadata

from palate.hookspecs import pin_installed
from sklearn_flavor._graph import walk

__all__ = ["pinned_requirements"]

# Installed along with scikit-learn, or with Python.
_IMPLIED = frozenset({"sklearn", "numpy", "scipy", "joblib", "__main__"}) | sys.stdlib_module_names


# What reads a file of each format, besides scikit-learn; pickles need only Python.
_READERS = {"skops": {"skops"}, "pickle": set[str](), "cloudpickle": {"cloudpickle"}}


def pinned_requirements(model: object, file_format: str) -> tuple[str, ...]:
    """Return scikit-learn, the format's reader, and what other classes and functions inside *model* come from."""
    found = {"scikit-learn"} | _READERS[file_format]
    for module in {_top_module(place.value) for place in walk(model)} - _IMPLIED:
        if distribution := _distribution_of(module):
            found.add(distribution)
    return tuple(map(pin_installed, sorted(found)))


def _top_module(value: object) -> str:
    owner = value if hasattr(value, "__qualname__") else type(value)
    return str(getattr(owner, "__module__", None) or "__main__").partition(".")[0]


def _distribution_of(module: str) -> str | None:
    """Return the distribution that installs *module*; None for a module of the user's own."""
    try:
        return str(metadata.distribution(module).metadata["Name"])
    except metadata.PackageNotFoundError:
        # Looking through every installed file takes long, so it comes after the common case of equal names.
        return next(iter(metadata.packages_distributions().get(module, ())), None)
