"""Decimals that were written as text, which have no type before the signature gives them one."""

from __future__ import annotations

from typing import Any

from palate.errors import InvalidInput, Problem

__all__ = ["FLOATS", "read_decimals", "refuse_body"]

FLOATS = {"float": "float32", "double": "float64"}
"""The dtypes of the columns of decimals."""


def refuse_body(message: str, cause: Exception | None = None) -> InvalidInput:
    """Return the error of a body or file that cannot be read."""
    error = InvalidInput([Problem((), "wrong_value", message)])
    error.__cause__ = cause
    return error


def read_decimals(values: Any, dtype: str, name: object) -> Any:
    """Return decimals of the column *name* as *dtype*. Raises InvalidInput for those beyond it."""
    import numpy as np

    wide = np.asarray(values, dtype="float64")
    with np.errstate(over="ignore"):
        typed = wide.astype(dtype)
    if bool((np.isfinite(wide) & ~np.isfinite(typed)).any()):
        raise InvalidInput([Problem(("inputs", str(name)), "wrong_value", f"holds values too large for {dtype}")])
    return typed[()]  # of one decimal a scalar
