"""Integers in Python lists, which pandas rounds to floats where they stand beside gaps or decimals."""

from __future__ import annotations

from typing import Any

from palate.schema import ColSpec

__all__ = ["restore_integers"]

_NUMBERS = ("integer", "long", "float", "double")
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

    suspects = [
        position
        for position, (label, column) in enumerate(frame.items())
        if column.dtype == np.float64
        and (np.abs(column.to_numpy()) >= _ROUNDED_FROM).any()
        and _is_number(position, label, columns)
    ]
    if not suspects:
        return frame
    if isinstance(data, list) and not isinstance(data[0], list | dict):
        data = [[item] for item in data]  # of a flat list pandas rounds the integers even as objects
    exact, restored = pd.DataFrame(data, dtype=object), frame.copy(deep=False)
    for position in suspects:
        if any(isinstance(item, int) for item in exact.iloc[:, position].tolist()):
            restored.isetitem(position, exact.iloc[:, position])
    return restored


def _is_number(position: int, label: object, columns: tuple[ColSpec, ...]) -> bool:
    if columns[0].name is None:
        return position < len(columns) and columns[position].type in _NUMBERS
    return any(str(spec.name) == str(label) and spec.type in _NUMBERS for spec in columns)
