"""A reader of UBJSON that takes what xgboost writes, byte for byte, and nothing else.

xgboost's own reader believes every length that a file states and never looks where its buffer ends, so a file of which
a single byte is wrong can make it read, or write, anywhere. It may only be given bytes that this reader has walked
through to the last one. What the specification of UBJSON allows besides (short lengths, counted objects, characters,
numbers of arbitrary precision) xgboost neither writes nor reads.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

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


class _Step(NamedTuple):
    """One member of an object whose siblings have the same members.

    Attributes:
        key: its name.
        head: the bytes up to where its siblings may differ from it.
        size: the size of an item, for an array of numbers; 0 for a text; None for any other value.
        kind: the type of an array of numbers.
        inner: the members of an object.
    """

    key: str
    head: bytes
    size: int | None = None
    kind: str = ""
    inner: tuple[_Step, ...] | None = None


def _layout_of(members: dict[str, Any]) -> tuple[_Step, ...]:
    return tuple(_step(key, value) for key, value in members.items())


def _step(key: str, value: object) -> _Step:
    name = key.encode()
    head = b"L" + len(name).to_bytes(8, "big") + name
    if isinstance(value, Packed):
        return _Step(key, head + f"[${value.kind}#L".encode(), SIZES[value.kind], value.kind)
    if isinstance(value, str):
        return _Step(key, head + b"SL", 0)
    if isinstance(value, dict):
        return _Step(key, head + b"{", inner=_layout_of(value))
    return _Step(key, head)


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

    __slots__ = ("_at", "_data", "_depth", "_view")

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._view = memoryview(data)
        self._at = 0
        self._depth = 0

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
            members[key] = self._read_value()
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
        values: list[Any] = []
        layout: tuple[_Step, ...] = ()
        for _ in range(count):
            value = self._read_alike(layout) if layout and self._view[self._at] == _OBJECT else None
            if value is None:
                value = self._read_value()
                if isinstance(value, dict):
                    layout = _layout_of(value)
            values.append(value)
        self._depth -= 1
        return values

    def _read_alike(self, layout: tuple[_Step, ...]) -> dict[str, Any] | None:
        """Read an object of that layout, as each of thousands of trees is; None, with nothing read, if it is not."""
        members: dict[str, Any] = {}
        end = self._follow(layout, self._at + 1, members)
        if end is None:
            return None
        self._at = end
        return members

    def _follow(self, layout: tuple[_Step, ...], at: int, members: dict[str, Any]) -> int | None:
        data, view, end, new = self._data, self._view, len(self._data), tuple.__new__
        for key, head, size, kind, inner in layout:
            if not data.startswith(head, at):
                return None
            at += len(head)
            if size is not None:
                (count,) = _read_length(data, at)
                start = at + 8
                at = start + count * (size or 1)
                if count < 0 or at > end:
                    return None
                members[key] = new(Packed, (kind, start, count)) if size else str(view[start:at], "utf-8")
            elif inner is not None:
                deeper: dict[str, Any] = {}
                members[key] = deeper
                following = self._follow(inner, at, deeper)
                if following is None:
                    return None
                at = following
            else:
                members[key], at = self._read_value_at(at)
        return at + 1 if data[at] == _CLOSE_OBJECT else None

    def _read_value_at(self, at: int) -> tuple[Any, int]:
        before, self._at = self._at, at
        value, at = self._read_value(), self._at
        self._at = before
        return value, at

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
