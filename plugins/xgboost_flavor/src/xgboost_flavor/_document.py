"""The parts that both readers share: a document's arrays of numbers, and the rule that a document breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers: TypeAlias = NDArray[np.int64]

__all__ = ["Broken", "Document", "Packed", "PackedColumn", "Rows"]

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


@dataclass(frozen=True, slots=True)
class PackedColumn:
    """The arrays that one member has in many objects.

    Attributes:
        kind: their UBJSON type marker.
        starts: where the first byte of each is.
        lengths: how many numbers each has.
    """

    kind: str
    starts: Integers
    lengths: Integers

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Packed]:
        pairs = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        return (Packed(self.kind, start, length) for start, length in pairs)

    def __getitem__(self, part: slice) -> PackedColumn:
        return PackedColumn(self.kind, self.starts[part], self.lengths[part])


@dataclass(frozen=True, slots=True)
class Rows:
    """Many objects of the same members, of which there is at least one, member by member.

    Attributes:
        columns: by member, its values: a list, Rows, or a PackedColumn.
    """

    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, values, strict=True)) for values in zip(*self.columns.values(), strict=True))

    def __getitem__(self, part: slice) -> Rows:
        return Rows({name: column[part] for name, column in self.columns.items()})


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

    def lengths(self, arrays: Sequence[object] | PackedColumn, kind: str, name: str) -> Integers:
        """Return how many numbers each of *arrays* has; all must be arrays of the type that xgboost writes there."""
        import numpy as np

        if self.view is not None:
            return _packed(arrays, kind, name).lengths
        if {type(array) for array in arrays} - {list}:
            raise Broken(f"{name} is not an array")
        return np.array([len(array) for array in arrays], np.int64)  # type: ignore[arg-type]

    def integers(self, arrays: Sequence[Any] | PackedColumn, kind: str, name: str) -> Integers:
        """Return the integers of all *arrays*, one after the other."""
        import numpy as np

        if not self.lengths(arrays, kind, name).any():
            return np.empty(0, np.int64)
        if self.view is None:
            return _listed_integers(list(chain.from_iterable(arrays)), name)
        column, view = _packed(arrays, kind, name), self.view
        ends = column.starts + column.lengths * SIZES[kind]
        spans = zip(column.starts.tolist(), ends.tolist(), strict=True)
        return np.frombuffer(b"".join([view[start:end] for start, end in spans]), DTYPES[kind]).astype(np.int64)


def _packed(arrays: Sequence[object] | PackedColumn, kind: str, name: str) -> PackedColumn:
    import numpy as np

    if isinstance(arrays, PackedColumn):
        kinds = {arrays.kind}
    else:
        kinds = {array.kind if isinstance(array, Packed) else "" for array in arrays}
    if kinds - {kind}:
        raise Broken(f"{name} is not an array of type {DTYPES[kind].lstrip('>')}")
    if isinstance(arrays, PackedColumn):
        return arrays
    places = np.array([array[1:] for array in arrays], np.int64).reshape(-1, 2)  # type: ignore[index]
    return PackedColumn(kind, places[:, 0], places[:, 1])


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
