"""Which estimators answer for a row by looking at the other rows that came with it."""

from __future__ import annotations

from typing import Any

__all__ = ["mixes_rows"]

# They iterate until the rows together change little, or run a function of the user's.
_MIXING = frozenset(["FunctionTransformer", "LatentDirichletAllocation", "MiniBatchNMF", "NMF"])
# Estimators of these packages, which may stand in a pipeline, look at each row by itself.
_KNOWN_PACKAGES = frozenset(["lightgbm", "sklearn", "xgboost"])


def mixes_rows(model: Any) -> bool:
    """Return whether a row's answer may depend on the others: of some estimators, and of all that are not known."""
    kind = type(model)
    if kind.__name__ in _MIXING or kind.__module__.partition(".")[0] not in _KNOWN_PACKAGES:
        return True
    get_params = getattr(model, "get_params", None)
    parts = get_params(deep=False).values() if get_params is not None else ()
    return any(mixes_rows(part) for part in _estimators(parts))


def _estimators(values: Any) -> list[Any]:
    """Return the estimators among params: single ones, and those in the steps of pipelines and unions."""
    found = []
    for value in values:
        if isinstance(value, list | tuple):
            found += _estimators(value)
        elif hasattr(value, "get_params") and not isinstance(value, type):
            found.append(value)
    return found
