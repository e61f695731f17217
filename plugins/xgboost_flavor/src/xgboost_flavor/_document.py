"""The parts that both readers share: a document's arrays of numbers, and the rule that a document breaks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers: TypeAlias = NDArray[np.int64]

__all__ = ["Broken", "Document", "Packed"]

# Type markers of UBJSON, with numpy's names for them.
DTYPES = {"i": "i1", "U": "u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
SIZES = {"i": 1, "U": 1, "I": 2, "l": 4, "L": 8, "d": 4, "D": 8}


class Broken(ValueError):
    """A document breaks a rule, which is the exception's text."""


class Packed(NamedTuple):
    """An array of numbers that was left where it stands in a UBJSON file.

    Attributes:
        kind: its UBJSON type marker.
        start: where its first byte is.
        length: how many numbers it has.
    """

    kind: str
    start: int
    length: int


class Document(NamedTuple):
    """A parsed model file.

    Attributes:
        root: its outermost object.
        view: the bytes that packed arrays stand in; None for a JSON document, whose arrays are lists.
        size: the file's size in bytes, which bounds what its numbers may ask for.
    """

    root: dict[str, Any]
    view: memoryview | None
    size: int

    def lengths(self, arrays: Sequence[object], kind: str, name: str) -> list[int]:
        """Return how many numbers each of *arrays* has; all must be arrays of the type that xgboost writes there."""
        if self.view is None:
            if {type(array) for array in arrays} - {list}:
                raise Broken(f"{name} is not an array")
            return [len(array) for array in arrays]  # type: ignore[arg-type]
        if {type(array) for array in arrays} - {Packed} or {array.kind for array in arrays} - {kind}:  # type: ignore[attr-defined]
            raise Broken(f"{name} is not an array of type {DTYPES[kind].lstrip('>')}")
        return [array.length for array in arrays]  # type: ignore[attr-defined]

    def integers(self, arrays: Sequence[Any], kind: str, name: str) -> Integers:
        """Return the integers of all *arrays*, one after the other."""
        import numpy as np

        if not any(self.lengths(arrays, kind, name)):
            return np.empty(0, np.int64)
        if self.view is None:
            return _listed_integers(list(chain.from_iterable(arrays)), name)
        size, view = SIZES[kind], self.view
        joined = b"".join([view[start : start + length * size] for _, start, length in arrays if length])
        return np.frombuffer(joined, DTYPES[kind]).astype(np.int64)


def _listed_integers(values: list[object], name: str) -> Integers:
    import numpy as np

    kinds = set(map(type, values))
    # Old releases wrote true and false for default_left, which xgboost still reads.
    if kinds != {int} and kinds != {bool}:
        raise Broken(f"{name} holds something else than integers")
    try:
        return np.array(values, np.int64)
    except OverflowError:
        raise Broken(f"{name} holds an integer of more than 64 bits") from None
