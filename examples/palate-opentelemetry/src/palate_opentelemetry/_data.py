"""What may be told of models and data: kinds and sizes, never values."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["class_name", "count_rows"]


def class_name(value: object) -> str:
    """Return the full name of a value's class; of one of Python's own, without ``builtins``."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def count_rows(data: object) -> int | None:
    """Return how many rows *data* has, or None where that is not known without looking at them."""
    if isinstance(data, Mapping):  # of columns
        data = next(iter(data.values()), None)
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else None
    return len(data) if isinstance(data, list | tuple) else None
