"""How a model lies in one file: a zip of its files as they are, in the order of their names, and nothing besides.

The layout leaves nothing open, so that the same files are always the same bytes, and a reader can lay out what a file
says it holds and compare: whatever differs was not written so. Each file begins where it can be mapped into memory, at
a multiple of 64 bytes, or of 4096 from that size on. Times are the first that a zip can tell, and names are UTF-8.

The format of a zip is PKWARE's APPNOTE.TXT 6.3.10; sizes of 4 GiB and more, and more than 65,534 files, are its ZIP64.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "END",
    "END64",
    "ENTRY",
    "FIRST_BYTES",
    "LOCAL",
    "LOCATOR",
    "MAX16",
    "MAX32",
    "Content",
    "Layout",
    "Member",
    "lay_out",
]

FIRST_BYTES: Final = b"PK\x03\x04"

LOCAL: Final = struct.Struct("<4s5H3I2H")
ENTRY: Final = struct.Struct("<4s6H3I5H2I")
END: Final = struct.Struct("<4s4H2IH")
END64: Final = struct.Struct("<4sQ2H2I4Q")
LOCATOR: Final = struct.Struct("<4sIQI")

MAX16: Final = 0xFFFF
MAX32: Final = 0xFFFFFFFF
_UTF8: Final = 0x0800
_TIME, _DATE = 0, 0x21  # midnight of 1980-01-01
_ZIP64, _PADDING = 0x0001, 0xD935  # the extra fields; the second is Android's, whose tools align their files with it
_VERSION, _VERSION64 = 20, 45
_MADE_ON_UNIX: Final = 3 << 8
_MODE: Final = 0o100644 << 16

_PAGE: Final = 4096
_LINE: Final = 64


@dataclass(frozen=True, slots=True)
class Content:
    """What the layout needs to know of a file: its name, its size in bytes, and the CRC-32 of its bytes."""

    name: str
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        content: what it holds.
        header: the bytes before its own.
        start: where those begin.
        offset: where its own begin.
    """

    content: Content
    header: bytes
    start: int
    offset: int

    @property
    def stop(self) -> int:
        """Where its bytes end."""
        return self.offset + self.content.size


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole archive: its files, and the directory that follows them.

    Attributes:
        members: the files, in the order of their names.
        directory: what stands behind the last of them.
        size: of the archive in bytes.
    """

    members: tuple[Member, ...]
    directory: bytes
    size: int


def lay_out(contents: Sequence[Content]) -> Layout:
    """Return the one layout of these files, whose names must differ."""
    members, place = [], 0
    for content in sorted(contents, key=lambda content: content.name):
        members.append(_place(content, place))
        place = members[-1].stop
    directory = b"".join(map(_entry, members))
    directory += _end(place, len(directory), len(members))
    return Layout(tuple(members), directory, place + len(directory))


def _place(content: Content, start: int) -> Member:
    name = content.name.encode()
    long = content.size >= MAX32
    extra = struct.pack("<2H2Q", _ZIP64, 16, content.size, content.size) if long else b""
    alignment = _PAGE if content.size >= _PAGE else _LINE
    # The padding is an extra field of its own: four bytes of head, the alignment, zeros.
    padding = -(start + LOCAL.size + len(name) + len(extra) + 6) % alignment
    extra += struct.pack("<3H", _PADDING, 2 + padding, alignment) + bytes(padding)
    narrow = MAX32 if long else content.size
    version = _VERSION64 if long else _VERSION
    fields = (version, _UTF8, 0, _TIME, _DATE, content.crc, narrow, narrow, len(name), len(extra))
    header = LOCAL.pack(FIRST_BYTES, *fields) + name + extra
    return Member(content, header, start, start + len(header))


def _entry(member: Member) -> bytes:
    content, name = member.content, member.content.name.encode()
    wide = [content.size] * 2 if content.size >= MAX32 else []
    wide += [member.start] if member.start >= MAX32 else []
    extra = struct.pack(f"<2H{len(wide)}Q", _ZIP64, 8 * len(wide), *wide) if wide else b""
    version = _VERSION64 if wide else _VERSION
    narrow = min(content.size, MAX32)
    fields = (_MADE_ON_UNIX | version, version, _UTF8, 0, _TIME, _DATE, content.crc, narrow, narrow, len(name))
    return ENTRY.pack(b"PK\x01\x02", *fields, len(extra), 0, 0, 0, _MODE, min(member.start, MAX32)) + name + extra


def _end(start: int, size: int, count: int) -> bytes:
    counted = min(count, MAX16)
    end = END.pack(b"PK\x05\x06", 0, 0, counted, counted, min(size, MAX32), min(start, MAX32), 0)
    if start < MAX32 and size < MAX32 and count < MAX16:
        return end
    made_by = _MADE_ON_UNIX | _VERSION64
    long = END64.pack(b"PK\x06\x06", END64.size - 12, made_by, _VERSION64, 0, 0, count, count, size, start)
    return long + LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1) + end
