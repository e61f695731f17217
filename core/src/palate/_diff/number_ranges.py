"""The values that a column may hold, as enforcement judges them: by its type, its bounds and its categories."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from palate.schema import INTEGERS, ColSpec, whole_bounds

__all__ = ["Range", "admitted_values", "declared_range", "narrowest_range"]


class Range(NamedTuple):
    """The least and the greatest number; both belong to it."""

    low: int | float
    high: int | float


def admitted_values(column: ColSpec) -> frozenset[object] | None:
    """Return the only values that a column takes; None where it is not held to its categories."""
    if column.categories is None or not (column.closed or column.categorical):
        return None
    # A pandas categorical of times has them as they are.
    return frozenset(column.categories if column.categorical else map(_in_utc, column.categories))


def _in_utc(value: object) -> object:
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def declared_range(column: ColSpec) -> Range:
    """Return the range that a column of numbers has by its type and its bounds."""
    if column.type in INTEGERS:
        return Range(*whole_bounds(column))
    low = -math.inf if column.minimum is None else _compared(str(column.type), column.minimum)
    high = math.inf if column.maximum is None else _compared(str(column.type), column.maximum)
    return Range(low, high)


def narrowest_range(column: ColSpec) -> Range:
    """Return the least range that has all numbers which a column takes, its categories considered."""
    low, high = declared_range(column)
    numbers = [value for value in admitted_values(column) or () if isinstance(value, int | float)]
    if not numbers or len(numbers) < len(column.categories or ()):
        return Range(low, high)
    return Range(max(low, min(numbers)), min(high, max(numbers)))


def _compared(kind: str, bound: int | float) -> int | float:
    """Return a bound as cells are compared with it: of a column of 32 bits, 0.1 is the float that is nearest to it."""
    if kind == "float" and isinstance(bound, float):
        with suppress(OverflowError):
            nearest: float = struct.unpack("<f", struct.pack("<f", bound))[0]
            return nearest
    return bound
