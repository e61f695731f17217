"""Estimators that were asked not to copy their input: they write into it."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["own_copy"]

_COPY_PARAMS = ("copy", "copy_X", "copy_x")
# Where estimators keep others that see their input, alone or in tuples as their second part.
_PARTS = ("steps", "transformer_list", "transformers_", "best_estimator_", "estimator_")


def own_copy(model: Any, data: Any) -> Any:
    """Return a copy of a DataFrame for a *model* that writes into its input; everything else as it is.

    pandas lends its memory for reading only, but scikit-learn allows itself to write into what it was lent, and so into
    the caller's table. In an array such an estimator works in place, as it does without Palate.
    """
    pandas = sys.modules.get("pandas")  # whoever holds a DataFrame has imported it
    if pandas is None or not isinstance(data, pandas.DataFrame) or not _writes_in_place(model):
        return data
    return data.copy(deep=True)


def _writes_in_place(model: Any) -> bool:
    # Plain loops: this is asked in each call, and generators would take twice as long.
    state = getattr(model, "__dict__", {})
    for name in _COPY_PARAMS:
        if not state.get(name, True):
            return True
    for name in _PARTS:
        part = state.get(name)
        if part is None:
            continue
        for entry in part if isinstance(part, list) else ((name, part),):
            if isinstance(entry, tuple) and len(entry) > 1 and _writes_in_place(entry[1]):
                return True
    return False
