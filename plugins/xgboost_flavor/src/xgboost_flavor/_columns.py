"""Reading objects of the same members, such as the thousands of trees of a model, side by side instead of one by one.

The first of them shows which bytes all must share and where numbers and texts stand between these. numpy then compares
and skips each part in all objects at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xgboost_flavor._document import DTYPES, SIZES, Packed, PackedColumn, Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xgboost_flavor._document import Integers

    Bytes = NDArray[np.uint8]

__all__ = ["read_rows"]

_INTEGER, _TEXT = "integer", "text"


class _Hole(NamedTuple):
    """A place where objects of the same members differ.

    Attributes:
        head: the bytes before it, from the end of the previous hole on.
        kind: the type marker of an array of numbers, or what else stands there.
    """

    head: bytes
    kind: str


def read_rows(data: bytes | bytearray, first: object, start: int, count: int) -> tuple[Rows, int] | None:
    """Read *count* objects, of which *first* stands at *start*; return them and where they end.

    Returns None unless each byte of them is as expected of objects like *first*, one right after the other.

    Raises:
        UnicodeDecodeError: a text is not UTF-8.
    """
    import numpy as np

    if not isinstance(first, dict) or (layout := _layout_of(first)) is None:
        return None
    *holes, tail = layout
    # Found by the bytes that they begin with. What looks like a beginning and is none shows when the ends are compared.
    starts = _find_all(data, layout[0].head, start, count)
    if starts is None:
        return None
    buffer = np.frombuffer(data, np.uint8)
    places, columns = starts, []
    for hole in holes:
        if (filled := _fill(buffer, hole, places)) is None:
            return None
        column, places = filled
        columns.append(column)
    ends = _skip(buffer, tail.head, places)
    if ends is None or not np.array_equal(ends[:-1], starts[1:]):
        return None
    # Only now is it certain that texts do not overlap.
    values = (
        _texts(data, column) if hole.kind == _TEXT else column for hole, column in zip(holes, columns, strict=True)
    )
    return _arrange(first, values), int(ends[-1])


def _layout_of(members: Mapping[str, Any]) -> list[_Hole] | None:
    """Return the holes of an object, the last of which stands for its end; None if it holds what trees do not."""
    holes, head = [], b"{"
    for key, value in members.items():
        name = key.encode()
        head += b"L" + len(name).to_bytes(8, "big") + name
        if isinstance(value, Packed):
            holes.append(_Hole(head + f"[${value.kind}#L".encode(), value.kind))
        elif isinstance(value, str):
            holes.append(_Hole(head + b"SL", _TEXT))
        elif type(value) is int:
            holes.append(_Hole(head, _INTEGER))
        elif isinstance(value, dict) and (inner := _layout_of(value)) is not None:
            holes += [_Hole(head + inner[0].head, inner[0].kind), *inner[1:-1]]
            head = inner[-1].head
            continue
        else:
            return None
        head = b""
    return [*holes, _Hole(head + b"}", "")] if holes else None


def _find_all(data: bytes | bytearray, head: bytes, start: int, count: int) -> Integers | None:
    import numpy as np

    starts = [start]
    while len(starts) < count:
        place = data.find(head, starts[-1] + len(head))
        if place < 0:
            return None
        starts.append(place)
    return np.array(starts, np.int64)


def _fill(buffer: Bytes, hole: _Hole, places: Integers) -> tuple[Any, Integers] | None:
    """Read what stands in one hole of each object; return it and where it ends, if all of it is there."""
    begins = _skip(buffer, hole.head, places)
    if begins is None:
        return None
    if hole.kind == _INTEGER:
        return _fill_integers(buffer, begins)
    if (counts := _windows(buffer, begins, 8)) is None:
        return None
    lengths, begins = counts.view(">i8")[:, 0].astype("int64"), begins + 8
    # Held against the size of the whole first, so that the products cannot overflow.
    if ((lengths < 0) | (lengths > len(buffer))).any():
        return None
    ends = begins + lengths * SIZES.get(hole.kind, 1)
    return None if (ends > len(buffer)).any() else (PackedColumn(hole.kind, begins, lengths), ends)


def _fill_integers(buffer: Bytes, places: Integers) -> tuple[list[int], Integers] | None:
    """Read integers, each of which has the size that it needs and the type marker of that before it."""
    import numpy as np

    if (markers := _windows(buffer, places, 1)) is None:
        return None
    integers, ends = np.zeros_like(places), places.copy()
    for kind in "iIlL":
        having = np.flatnonzero(markers[:, 0] == ord(kind))
        if (found := _windows(buffer, places[having] + 1, SIZES[kind])) is None:
            return None
        integers[having] = found.view(DTYPES[kind])[:, 0]
        ends[having] += 1 + SIZES[kind]
    return None if (ends == places).any() else (integers.tolist(), ends)


def _skip(buffer: Bytes, expected: bytes, places: Integers) -> Integers | None:
    """Return the places behind *expected*, if it stands at each of *places*."""
    import numpy as np

    found = _windows(buffer, places, len(expected))
    if found is None or (found != np.frombuffer(expected, np.uint8)).any():
        return None
    return places + len(expected)


def _windows(buffer: Bytes, places: Integers, size: int) -> Bytes | None:
    """Return the *size* bytes at each of *places* as a row; None if some are beyond the end."""
    import numpy as np

    if int(places.max(initial=0)) + size > len(buffer):
        return None
    return np.lib.stride_tricks.sliding_window_view(buffer, size)[places]


def _texts(data: bytes | bytearray, column: PackedColumn) -> list[str]:
    ends = column.starts + column.lengths
    return [str(data[start:end], "utf-8") for start, end in zip(column.starts.tolist(), ends.tolist(), strict=True)]


def _arrange(members: Mapping[str, Any], columns: Iterator[Any]) -> Rows:
    return Rows(
        {key: _arrange(value, columns) if isinstance(value, dict) else next(columns) for key, value in members.items()}
    )
