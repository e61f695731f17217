"""Imports skops without the frameworks that it would bring along for nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from palate.hookspecs import ForkLock

__all__ = ["import_skops"]

# For its list of estimators skops walks over all of scikit-learn, which imports every package on the way. These hold
# no estimators, only bridges to frameworks of those names: with torch that costs seconds and 200 MB.
_BRIDGES = tuple(f"sklearn.externals.array_api_compat.{framework}" for framework in ("cupy", "dask", "torch"))

# A child could not finish the import.
_importing = ForkLock()


def import_skops() -> Any:
    """Return the module ``skops.io``."""
    with _importing.held, _passed_over(() if "skops.io" in sys.modules else _BRIDGES):
        return importlib.import_module("skops.io")


@contextmanager
def _passed_over(names: tuple[str, ...]) -> Iterator[None]:
    """Let importing these modules fail, as if their frameworks were not installed, while the block runs."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None is how CPython marks a failed import
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
