"""Lists of JSON as numpy arrays in which every value is what it was, or an error."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from palate.errors import InvalidInput, Problem, ProblemKind

__all__ = [
    "Array",
    "Leaves",
    "Where",
    "object_array",
    "plain_array",
    "read_lists",
    "refuse",
    "refuse_wide_text",
    "round_decimals",
    "writable",
]

Array: TypeAlias = np.ndarray[Any, Any]
Where: TypeAlias = tuple[str | int, ...]
"""The place that a problem names."""

_NOTHING = type(None)
_EXACT = 2.0**53  # below it, every integer is a double
_MOST_DIMENSIONS = 32
_MOST_TEXT = 1 << 28  # bytes


class Leaves(NamedTuple):
    """What nested lists hold.

    Attributes:
        items: in row-major order.
        shape: the lengths of the lists, outermost first; empty for a single value.
        kinds: the types of the items.
    """

    items: list[Any]
    shape: tuple[int, ...]
    kinds: set[type]


def refuse(where: Where, kind: ProblemKind, message: str) -> InvalidInput:
    """Return an InvalidInput with one problem."""
    return InvalidInput([Problem(where, kind, message)])


def read_lists(data: object, where: Where) -> Leaves:
    """Take nested lists apart. Raises InvalidInput where they are of unequal lengths or too deep for an array."""
    level: list[Any] = [data]
    shape: list[int] = []
    while list in (kinds := set(map(type, level))):
        lengths = set(map(len, level)) if len(kinds) == 1 else set()
        if len(lengths) != 1 or len(shape) == _MOST_DIMENSIONS:
            raise refuse(where, "wrong_shape", "lists of unequal lengths, or nested too deeply, make no array")
        shape.append(lengths.pop())
        level = level[0] if len(level) == 1 else list(chain.from_iterable(level))
    return Leaves(level, tuple(shape), kinds)


def plain_array(leaves: Leaves, where: Where) -> Array:
    """Return the array that its items make by themselves, in one dimension.

    Truth values are bool; integers int64, or uint64 where one needs it; numbers with decimals float64, with NaN for
    null. All else, and what these would change, are objects, with None for null.

    Raises:
        InvalidInput: numbers, truth values, text and objects are mixed.
    """
    items, kinds = leaves.items, leaves.kinds - {_NOTHING}
    if kinds == {float} or (kinds == {int, float} and _fit_doubles(items)):
        return np.array(items, dtype=np.float64)
    if kinds == leaves.kinds:
        if kinds == {int}:
            return _integers(items)
        if kinds == {bool}:
            return np.array(items, dtype=np.bool_)
    if len(kinds) > 1 and kinds != {int, float}:
        raise refuse(where, "wrong_type", f"mixes {', '.join(sorted(map(_word, kinds)))}")
    return object_array(items)


def _fit_doubles(items: list[Any]) -> bool:
    """Tell whether integers among decimals are the doubles that numpy makes of them."""
    # Integers beyond 64 bits come from JSON as doubles.
    large = np.flatnonzero(np.abs(np.array(items, dtype=np.float64)) >= _EXACT).tolist()
    return all(float(items[place]) == items[place] for place in large if type(items[place]) is int)


def _integers(items: list[Any]) -> Array:
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(items, dtype=dtype)
        except OverflowError:
            continue
    return object_array(items)


_WORDS = {bool: "truth values", int: "numbers", float: "numbers", str: "text", bytes: "bytes", dict: "objects"}


def _word(kind: type) -> str:
    return _WORDS.get(kind, kind.__name__)


def object_array(items: list[Any]) -> Array:
    """Return *items* as they are, in an array of objects with one dimension."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def round_decimals(array: Array, dtype: np.dtype[Any], where: Where) -> Array:
    """Return decimals, which JSON writes without a type, as the nearest floats of *dtype*.

    Raises:
        InvalidInput: one is too large for it.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        rounded = array.astype(dtype)
    if bool((np.isinf(rounded) & np.isfinite(array)).any()):
        raise refuse(where, "wrong_value", f"holds numbers too large for {dtype}")
    return rounded


def refuse_wide_text(count: int, longest: int, where: Where) -> None:
    """Raise InvalidInput for texts whose array would take much more memory than they do.

    numpy's arrays of text have, in each element, four bytes for every letter of the longest.
    """
    if 4 * count * longest > _MOST_TEXT:
        raise refuse(where, "wrong_value", f"needs more than {_MOST_TEXT:,} bytes as an array: one text is too long")


def writable(array: Array) -> Array:
    """Return an array of numbers as the writer of JSON takes it: the processor's own order of bytes, in one piece."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
