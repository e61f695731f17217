"""The values that a column may hold, as enforcement judges them: by its type, its bounds and its categories."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import NamedTuple

from palate.schema import INTEGERS, ColSpec, whole_bounds

__all__ = ["Range", "admitted_values", "certain_range", "widest_range"]


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


def widest_range(column: ColSpec) -> Range:
    """Return a range outside of which a column of numbers holds nothing."""
    low, high = _find_range(column, inward=False)
    numbers = [value for value in admitted_values(column) or () if isinstance(value, int | float)]
    if not numbers or len(numbers) < len(column.categories or ()):
        return Range(low, high)
    return Range(max(low, min(numbers)), min(high, max(numbers)))


def certain_range(column: ColSpec) -> Range:
    """Return a range in which a column of numbers takes everything of its type, its categories apart."""
    return _find_range(column, inward=True)


def _find_range(column: ColSpec, *, inward: bool) -> Range:
    if column.type in INTEGERS:
        return Range(*whole_bounds(column))
    kind, least, greatest = str(column.type), column.minimum, column.maximum
    low = -math.inf if least is None else (max if inward else min)(least, _nearest(kind, least))
    high = math.inf if greatest is None else (min if inward else max)(greatest, _nearest(kind, greatest))
    return Range(low, high)


def _nearest(kind: str, bound: int | float) -> float:
    """Return the float that a bound is compared as: to a column of 32 bits, 0.1 is the one that is nearest to it."""
    if kind != "float":
        return float(bound)
    try:
        nearest: float = struct.unpack("<f", struct.pack("<f", bound))[0]
    except OverflowError:
        return math.copysign(math.inf, bound)
    return nearest
