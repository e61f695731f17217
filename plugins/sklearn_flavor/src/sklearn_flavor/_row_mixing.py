"""Which estimators answer for a row by looking at the other rows that came with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["mixes_rows"]

# They iterate until the rows together change little, run a function of the user's, impute otherwise where no row has
# a value, or answer a row alone in another shape (SparsePCA).
_MIXING = frozenset(
    [
        "FunctionTransformer",
        "IterativeImputer",
        "LatentDirichletAllocation",
        "MiniBatchNMF",
        "MiniBatchSparsePCA",
        "NMF",
        "SparsePCA",
    ]
)
# Estimators of these packages, which may stand in a pipeline, look at each row by itself; so do their functions.
_KNOWN_PACKAGES = frozenset(["lightgbm", "sklearn", "xgboost"])


def mixes_rows(model: Any) -> bool:
    """Return whether a row's answer may depend on the others: of some estimators, and of all that are not known."""
    kind = type(model)
    if kind.__name__ in _MIXING or not _is_known(kind):
        return True
    get_params = getattr(model, "get_params", None)
    parts = _parts(get_params(deep=False).values()) if get_params is not None else []
    return any(mixes_rows(part) if hasattr(part, "get_params") else _is_foreign_function(part) for part in parts)


def _parts(values: Iterable[Any]) -> list[Any]:
    """Return what stands among params: single values, and those in the steps of pipelines and unions."""
    found = []
    for value in values:
        if isinstance(value, list | tuple):
            found += _parts(value)
        elif not isinstance(value, type):
            found.append(value)
    return found


def _is_foreign_function(value: Any) -> bool:
    """Whether it is called with rows, such as a kernel, and nobody knows what it does; a ufunc takes cell by cell."""
    import numpy as np

    return callable(value) and not isinstance(value, np.ufunc) and not _is_known(value)


def _is_known(value: Any) -> bool:
    module = getattr(value, "__module__", None) or type(value).__module__
    return str(module).partition(".")[0] in _KNOWN_PACKAGES
