"""A reader of UBJSON that takes what xgboost writes, byte for byte, and nothing else.

xgboost's own reader believes every length that a file states and never looks where its buffer ends, so a file of which
a single byte is wrong can make it read, or write, anywhere. It may only be given bytes that this reader has walked
through to the last one. What the specification of UBJSON allows besides (short lengths, counted objects, characters,
numbers of arbitrary precision) xgboost neither writes nor reads.
"""

from __future__ import annotations

import struct
from typing import Any

from xgboost_flavor._columns import read_rows
from xgboost_flavor._document import SIZES, Broken, Document, Packed

__all__ = ["read_ubjson"]

# Deeper than any model (a tree's parameters are eight levels down); each level is a call of ours, and of xgboost's.
_MAX_DEPTH = 24

_OBJECT, _CLOSE_OBJECT, _ARRAY, _TEXT, _LENGTH, _COUNT, _TYPE = b"{}[SL#$"
_CONSTANTS = {ord("Z"): None, ord("T"): True, ord("F"): False}
_SCALARS = {
    ord(kind): struct.Struct(form) for kind, form in (("i", ">b"), ("I", ">h"), ("l", ">i"), ("L", ">q"), ("d", ">f"))
}
_KINDS = {ord(kind): (kind, size) for kind, size in SIZES.items()}
_read_length = struct.Struct(">q").unpack_from


def read_ubjson(data: bytes | bytearray) -> Document:
    """Parse *data*, leaving its arrays of numbers where they stand.

    Raises:
        Broken: a byte of it is not as xgboost writes it.
    """
    reader = _Reader(data)
    try:
        root = reader.read_root()
    except (IndexError, struct.error):
        raise Broken("it ends in the middle") from None
    except UnicodeDecodeError:
        raise Broken("a text in it is not UTF-8") from None
    return Document(root, memoryview(data), len(data))


class _Reader:
    """Walks through the bytes once; every length is held against what is left before it is believed."""

    __slots__ = ("_at", "_data", "_depth", "_trees_read", "_view")

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._view = memoryview(data)
        self._at = 0
        self._depth = 0
        self._trees_read = False

    def read_root(self) -> dict[str, Any]:
        if self._view[0] != _OBJECT:
            raise Broken("it does not begin with an object")
        self._at = 1
        root = self._read_object()
        if self._at != len(self._view):
            raise Broken(f"{len(self._view) - self._at} bytes follow its end")
        return root

    def _read_object(self) -> dict[str, Any]:
        self._enter()
        view = self._view
        members: dict[str, Any] = {}
        while view[self._at] != _CLOSE_OBJECT:
            key = self._read_text()
            if key in members:
                raise Broken(f"an object has two members {key!r:.60}")
            members[key] = self._read_trees() if key == "trees" and not self._trees_read else self._read_value()
        self._at += 1
        self._depth -= 1
        return members

    def _read_value(self) -> Any:
        marker = self._view[self._at]
        self._at += 1
        if marker == _ARRAY:
            return self._read_array()
        if marker == _TEXT:
            return self._read_text()
        if marker == _OBJECT:
            return self._read_object()
        if marker in _SCALARS:
            scalar = _SCALARS[marker]
            (value,) = scalar.unpack_from(self._view, self._at)
            self._at += scalar.size
            return value
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        raise Broken(f"byte {self._at - 1} is {bytes([marker])!r}, which begins no value")

    def _read_array(self) -> Packed | list[Any]:
        view = self._view
        kind: tuple[str, int] | None = None
        if view[self._at] == _TYPE:
            code = view[self._at + 1]
            if code not in _KINDS:
                raise Broken(f"an array has the element type {bytes([code])!r}")
            kind = _KINDS[code]
            self._at += 2
        if view[self._at] != _COUNT:
            raise Broken(f"the array at byte {self._at} states no count")
        self._at += 1
        if kind is None:
            return self._read_values(self._read_size(1))
        name, size = kind
        count = self._read_size(size)
        start = self._at
        self._at += count * size
        return Packed(name, start, count)

    def _read_values(self, count: int) -> list[Any]:
        self._enter()
        values = [self._read_value() for _ in range(count)]
        self._depth -= 1
        return values

    def _read_trees(self) -> Any:
        """Read a value which, in a model, is the array of its trees; once, as it may mean a look at all of the file."""
        self._trees_read = True
        start = self._at
        if self._data.startswith(b"[#L", start):
            self._at += 2
            if count := self._read_size(1):
                at = self._at
                self._enter()
                rows = read_rows(self._data, self._read_value(), at, count)
                self._depth -= 1
                if rows is not None:
                    trees, self._at = rows
                    return trees
        self._at = start
        return self._read_value()

    def _read_text(self) -> str:
        length = self._read_size(1)
        start = self._at
        self._at += length
        return str(self._view[start : self._at], "utf-8")

    def _read_size(self, item_size: int) -> int:
        """Read a count of items of which each takes *item_size* bytes at least, all of which must be there."""
        at = self._at
        if self._view[at] != _LENGTH:
            raise Broken(f"byte {at} is {bytes(self._view[at : at + 1])!r} where a length begins with 'L'")
        (count,) = _read_length(self._view, at + 1)
        self._at = at + 9
        if not 0 <= count * item_size <= len(self._view) - self._at:
            raise Broken(f"the length at byte {at} is {count}, and {len(self._view) - self._at} bytes follow")
        return int(count)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Broken(f"it is nested deeper than {_MAX_DEPTH} levels")
