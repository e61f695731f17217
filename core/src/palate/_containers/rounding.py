"""Integers in Python lists, which pandas rounds to floats where they stand beside gaps or decimals."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from palate.schema import NUMBERS, AnyType, ColSpec

__all__ = ["restore_integers"]

# From here on, not every integer has a float that is equal to it.
_ROUNDED_FROM = 2.0**53


def restore_integers(frame: Any, data: Any, columns: tuple[ColSpec, ...]) -> Any:
    """Return a DataFrame in which the large integers of its number columns are those of *data*, as objects.

    Args:
        frame: what pandas.DataFrame made of *data*; the same object is returned when it rounded nothing.
        data: records, rows, a list, or a dict of columns.
        columns: the columns of the signature.
    """
    import numpy as np
    import pandas as pd

    suspects = _find_numbers(frame.columns.tolist(), columns).intersection(_find_large(frame))
    if not suspects:
        return frame
    if isinstance(data, list) and not (pd.api.types.is_list_like(data[0]) or is_dataclass(data[0])):
        data = [[item] for item in data]  # of a flat list pandas rounds the integers even as objects
    restored = frame.copy(deep=False)
    for position, (_, exact) in enumerate(pd.DataFrame(data, dtype=object).items()):
        if position in suspects and any(isinstance(item, int | np.integer) for item in exact.tolist()):
            restored.isetitem(position, exact)
    return restored


def _find_large(frame: Any) -> list[int]:
    """Return the positions of the columns with values that may be rounded integers; beside complex numbers, too."""
    import numpy as np

    floats = np.flatnonzero([dtype in (np.float64, np.complex128) for dtype in frame.dtypes.tolist()])
    if not len(floats):
        return []
    values = (frame if len(floats) == len(frame.columns) else frame.iloc[:, floats]).to_numpy()
    large: list[int] = floats[(np.abs(values) >= _ROUNDED_FROM).any(axis=0)].tolist()
    return large


def _find_numbers(labels: list[object], columns: tuple[ColSpec, ...]) -> set[int]:
    """Return the positions of the columns that the signature knows as numbers."""
    if all(spec.name is None for spec in columns):
        return {position for position, spec in enumerate(columns) if _holds_numbers(spec)}
    names = {str(spec.name) for spec in columns if _holds_numbers(spec)}
    return {position for position, label in enumerate(labels) if str(label) in names}


def _holds_numbers(spec: ColSpec) -> bool:
    return spec.type in NUMBERS or isinstance(spec.type, AnyType)
