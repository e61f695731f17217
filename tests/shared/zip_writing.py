"""Zip files written by hand: as Palate lays them out, and so that any field says something else.

Palate's layout: files as they are, in the order of their names; the first time that zip can tell; and each file's own
bytes at a multiple of 64, or of 4096 from that size on, by an extra field of zeros, as Android's tools align theirs.

Python's own ``zipfile`` writes only what it would read back. Here every field of every record can be set, so that
readers can be asked what they make of it. The format is PKWARE's APPNOTE.TXT.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = [
    "DATA_DESCRIPTOR",
    "DEFLATED",
    "STORED",
    "UTF_8",
    "Member",
    "deflate",
    "descriptor",
    "extra_field",
    "lay_out",
    "write_directory",
    "write_end",
    "write_end64",
    "write_zip",
    "zip64_extra",
]

STORED: Final = 0
DEFLATED: Final = 8
DATA_DESCRIPTOR: Final = 0x0008  # flags
UTF_8: Final = 0x0800

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_FULL_16: Final = 0xFFFF
_FULL_32: Final = 0xFFFFFFFF
_UNIX: Final = 3 << 8  # who made it: decides what the external attributes mean
_FILE: Final = 0o100644 << 16
_PADDING: Final = 0xD935  # an extra field, in local headers only
_FIRST_OF_1980: Final = 1 << 5 | 1  # the earliest day that the format knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member; what is not said otherwise is the truth.

    Both headers know ``needed flags method time date crc compressed size name extra``; the central one besides
    ``made comment disk internal external offset``.

    Attributes:
        name: its name.
        content: what it holds.
        stored: the bytes in the archive, where these are not the content itself.
        says: what both headers say.
        local: what only the local header says.
        central: what only the central directory says.
        before: bytes in front of the local header.
        after: bytes behind the data.
        aligned: whether the local header is made so long that the data is aligned.
        headed: whether there is a local header at all.
        listed: whether it is in the central directory.
    """

    name: str
    content: bytes = b""
    stored: bytes | None = None
    says: Mapping[str, Any] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)
    before: bytes = b""
    after: bytes = b""
    aligned: bool = True
    headed: bool = True
    listed: bool = True

    @property
    def data(self) -> bytes:
        """The bytes that stand in the archive."""
        return self.content if self.stored is None else self.stored

    def local_header(self, place: int | None = None) -> bytes:
        """Return what stands before the data; where *place* is its own, it is made to fit if the member is aligned."""
        say = {**self._truth(), **self.says, **self.local}
        if self.aligned and place is not None:
            alignment = 4096 if len(self.content) >= 4096 else 64
            length = place + _LOCAL.size + len(say["name"]) + len(say["extra"]) + 6
            padding = struct.pack("<H", alignment) + bytes(-length % alignment)
            say["extra"] += extra_field(_PADDING, padding)
        fields = [say[key] for key in ("needed", "flags", "method", "time", "date", "crc", "compressed", "size")]
        lengths = (say.get("name_length", len(say["name"])), say.get("extra_length", len(say["extra"])))
        return _LOCAL.pack(b"PK\3\4", *fields, *lengths) + bytes(say["name"]) + bytes(say["extra"])

    def central_header(self, offset: int) -> bytes:
        """Return its entry in the central directory; *offset* is where its local header stands."""
        say = {**self._truth(), "offset": offset, **self.says, **self.central}
        keys = ("made", "needed", "flags", "method", "time", "date", "crc", "compressed", "size")
        texts = [bytes(say[key]) for key in ("name", "extra", "comment")]
        lengths = [say.get(f"{key}_length", len(say[key])) for key in ("name", "extra", "comment")]
        tail = [say[key] for key in ("disk", "internal", "external", "offset")]
        return _CENTRAL.pack(b"PK\1\2", *(say[key] for key in keys), *lengths, *tail) + b"".join(texts)

    def _truth(self) -> dict[str, Any]:
        return {
            "made": _UNIX | 20,
            "needed": 20,
            "flags": UTF_8,
            "method": STORED,
            "time": 0,
            "date": _FIRST_OF_1980,
            "crc": zlib.crc32(self.content),
            "compressed": len(self.data),
            "size": len(self.content),
            "name": self.name.encode(),
            "extra": b"",
            "comment": b"",
            "disk": 0,
            "internal": 0,
            "external": _FILE,
        }


# -- the parts of an archive -------------------------------------------------------------------------------------------


def lay_out(members: Iterable[Member], start: int = 0) -> tuple[bytes, list[int]]:
    """Return the members' headers and data, and where each header stands if all of it begins at *start*."""
    parts: list[bytes] = []
    offsets: list[int] = []
    place = start
    for member in members:
        offsets.append(place + len(member.before))
        header = member.local_header(offsets[-1]) if member.headed else b""
        parts += [member.before, header, member.data, member.after]
        place += sum(map(len, parts[-4:]))
    return b"".join(parts), offsets


def write_directory(members: Iterable[Member], offsets: Iterable[int]) -> bytes:
    """Return the central directory of the members that are listed."""
    pairs = zip(members, offsets, strict=True)
    return b"".join(member.central_header(offset) for member, offset in pairs if member.listed)


def write_end(*, entries: int, size: int, offset: int, comment: bytes = b"", **says: int) -> bytes:
    """Return the end of central directory; *says* may set ``disk directory_disk entries_here comment_length``."""
    return (
        _END.pack(
            b"PK\5\6",
            says.get("disk", 0),
            says.get("directory_disk", 0),
            says.get("entries_here", entries),
            entries,
            size,
            offset,
            says.get("comment_length", len(comment)),
        )
        + comment
    )


def write_end64(*, entries: int, size: int, offset: int, place: int, **says: int) -> bytes:
    """Return the zip64 end record, to stand at *place*, and its locator.

    *says* may set ``record_size made needed disk directory_disk entries_here locator_disk locator_offset disks``.
    """
    record = _END64.pack(
        b"PK\6\6",
        says.get("record_size", _END64.size - 12),
        says.get("made", _UNIX | 45),
        says.get("needed", 45),
        says.get("disk", 0),
        says.get("directory_disk", 0),
        says.get("entries_here", entries),
        entries,
        size,
        offset,
    )
    where = says.get("locator_offset", place)
    return record + _LOCATOR.pack(b"PK\6\7", says.get("locator_disk", 0), where, says.get("disks", 1))


def write_zip(
    members: Sequence[Member],
    *,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    comment: bytes = b"",
    suffix: bytes = b"",
    zip64: bool = False,
    end: Mapping[str, int] | None = None,
    end64: Mapping[str, int] | None = None,
) -> bytes:
    """Write an archive of the members, in their order.

    Args:
        members: honest or not.
        prefix: bytes in front of everything, which all offsets count in.
        before_directory: bytes between the last member and the central directory.
        after_directory: bytes between the central directory and what ends the archive.
        comment: the archive's comment.
        suffix: bytes behind everything.
        zip64: whether there is a zip64 end record; the plain one then refers to it.
        end: what the end record says, where that is not the truth (``write_end``).
        end64: what the zip64 end record says, where that is not the truth (``write_end64``).
    """
    body, offsets = lay_out(members, len(prefix))
    directory = write_directory(members, offsets)
    offset = len(prefix) + len(body) + len(before_directory)
    facts = {"entries": sum(member.listed for member in members), "size": len(directory), "offset": offset}
    parts = [prefix, body, before_directory, directory, after_directory]
    if zip64:
        place = offset + len(directory) + len(after_directory)
        parts.append(write_end64(**{**facts, "place": place, **(end64 or {})}))
        facts = {"entries": _FULL_16, "size": _FULL_32, "offset": _FULL_32}
    return b"".join([*parts, write_end(**{**facts, **(end or {})}, comment=comment), suffix])


# -- the parts of a member ---------------------------------------------------------------------------------------------


def deflate(content: bytes) -> bytes:
    """Return a raw deflate stream, as zip holds it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


def descriptor(content: bytes, *, crc: int | None = None, size: int | None = None) -> bytes:
    """Return a data descriptor for a stored member."""
    length = len(content) if size is None else size
    return struct.pack("<4s3I", b"PK\7\x08", zlib.crc32(content) if crc is None else crc, length, length)


def extra_field(number: int, content: bytes) -> bytes:
    """Return one extra field."""
    return struct.pack("<HH", number, len(content)) + content


def zip64_extra(*numbers: int) -> bytes:
    """Return the extra field for sizes and offsets that 32 bits cannot hold."""
    return extra_field(1, struct.pack(f"<{len(numbers)}Q", *numbers))
