"""Reads where the records of a .pt2 lie, strictly: any two readers of a file that passes see the same records.

Only what torch itself writes is let through: stored records in one run from the first byte on, each said the same by
its local header and by the directory, which is the last thing in the file. Records are not read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NoReturn

from palate.errors import UnsafeModel

__all__ = ["END", "END64", "ENTRY", "LOCAL", "LOCATOR", "Member", "read_members"]

# The parts of an archive, which are written as they are read.
LOCAL = struct.Struct("<4s5H3I2H")
ENTRY = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
_DESCRIPTOR = struct.Struct("<4s3I")
_DESCRIPTOR64 = struct.Struct("<4sI2Q")

_MAX_DIRECTORY = 16 << 20
_MAX_MEMBERS = 100_000
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64, _PADDING = 1, 0x4246  # the extra fields that torch writes; "FB" aligns a record
_SIZES_FOLLOW, _UTF8 = 0x0008, 0x0800


@dataclass(frozen=True, slots=True)
class Member:
    """A record of a file.

    Attributes:
        name: its name.
        header: where its header starts.
        offset: where its bytes start.
        size: how many they are.
        stop: where whatever belongs to it stops.
        crc: their check sum, as it is told.
        flags: how sizes are told.
    """

    name: str
    header: int
    offset: int
    size: int
    stop: int
    crc: int
    flags: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A record as the directory tells of it."""

    raw_name: bytes
    header: int
    size: int
    crc: int
    flags: int


def read_members(file: IO[bytes], label: str) -> list[Member]:
    """Return the records of an archive, in the order of their places.

    Raises:
        UnsafeModel: naming *label*, when the container is not exactly what torch writes.
    """
    try:
        return _Container(file, label).members()
    except (struct.error, UnicodeDecodeError) as exc:
        raise UnsafeModel(label, rule="it is not a zip archive as torch writes it, or is cut short") from exc


class _Container:
    def __init__(self, file: IO[bytes], label: str) -> None:
        self._file, self._label = file, label
        self._size = file.seek(0, 2)

    def members(self) -> list[Member]:
        start, stop, count = self._directory()
        entries = sorted(self._entries(start, stop, count), key=lambda entry: entry.header)
        if len({entry.raw_name for entry in entries}) != len(entries):
            self._refuse("it holds two records of one name")
        found, place = [], 0
        for entry in entries:
            if entry.header != place:
                self._refuse("its records overlap, or something is hidden between them")
            found.append(self._member(entry))
            place = found[-1].stop
        if place != start:
            self._refuse("something is hidden between its records and its directory")
        return found

    # -- the directory ------------------------------------------------------------------------------------------

    def _directory(self) -> tuple[int, int, int]:
        """Return where the directory starts and stops, and how many entries it has."""
        at = self._size - END.size
        magic, disk, start_disk, here, count, size, start, comment = END.unpack(self._read(at, END.size))
        if magic != b"PK\x05\x06" or comment:
            self._refuse("it is not a zip archive, or something follows it")
        if disk or start_disk or here != count:
            self._refuse("its directory counts wrongly")
        end = at
        locator_at = at - LOCATOR.size
        if locator_at >= 0 and self._read(locator_at, 4) == b"PK\x06\x07":
            end, wide = self._directory64(locator_at)
            narrow = (count, size, start)
            if any(n not in (w, full) for n, w, full in zip(narrow, wide, (_FULL16, _FULL32, _FULL32), strict=True)):
                self._refuse("its two ends contradict each other")
            count, size, start = wide
        if start + size != end or size > _MAX_DIRECTORY or not 0 < count <= _MAX_MEMBERS:
            self._refuse("its directory is not where its end says, or is too large")
        return start, end, count

    def _directory64(self, locator_at: int) -> tuple[int, tuple[int, int, int]]:
        _, disk, end_at, disks = LOCATOR.unpack(self._read(locator_at, LOCATOR.size))
        record = END64.unpack(self._read(end_at, END64.size))
        magic, length, _, _, this, first, here, count, size, start = record
        if magic != b"PK\x06\x06" or disk or disks != 1 or this or first or here != count:
            self._refuse("its long end is not one")
        if length != END64.size - 12 or end_at + END64.size != locator_at:
            self._refuse("something is hidden between its two ends")
        return end_at, (count, size, start)

    def _entries(self, start: int, stop: int, count: int) -> Iterator[_Entry]:
        data = self._read(start, stop - start)
        at = 0
        for _ in range(count):
            fields = ENTRY.unpack_from(data, at)
            magic, flags, method, crc, packed, size = (*fields[:1], *fields[3:5], *fields[7:10])
            name_size, extra_size, comment, disk, attributes, external, header = fields[10:]
            del attributes, external  # they say who may read an unpacked file
            name_at = at + ENTRY.size
            extra = data[name_at + name_size : name_at + name_size + extra_size]
            if magic != b"PK\x01\x02" or comment or disk or len(extra) != extra_size:
                self._refuse("its directory is damaged")
            wide = self._wide(extra, [value for value in (size, packed, header) if value == _FULL32])
            size, packed, header = (wide.pop(0) if value == _FULL32 else value for value in (size, packed, header))
            if method or packed != size:
                self._refuse("it holds a compressed record")
            if flags & ~(_SIZES_FOLLOW | _UTF8):
                self._refuse("it holds an encrypted or unusual record")
            yield _Entry(data[name_at : name_at + name_size], header, size, crc, flags)
            at = name_at + name_size + extra_size
        if at != len(data):
            self._refuse("its directory has more entries than its end counts")

    def _wide(self, extra: bytes, needed: list[int]) -> list[int]:
        """Return the 64-bit numbers for those that did not fit; nothing else may stand among the extra fields."""
        at, wide = 0, list[int]()
        while at < len(extra):
            kind, size = struct.unpack_from("<HH", extra, at)
            body = extra[at + 4 : at + 4 + size]
            if len(body) != size or kind not in (_ZIP64, _PADDING) or (kind == _ZIP64 and (wide or size % 8)):
                self._refuse("it has an extra field that torch does not write")
            if kind == _ZIP64:
                wide = list(struct.unpack(f"<{size // 8}Q", body))
            at += 4 + size
        if len(wide) < len(needed):
            self._refuse("a record's long size is missing")
        return wide

    # -- the records --------------------------------------------------------------------------------------------

    def _member(self, entry: _Entry) -> Member:
        """Return the record, whose own header must say what the directory says."""
        fields = LOCAL.unpack(self._read(entry.header, LOCAL.size))
        magic, flags, method, crc, packed, size, name_size, extra_size = (fields[0], *fields[2:4], *fields[6:])
        head = self._read(entry.header + LOCAL.size, name_size + extra_size)
        name = head[:name_size]
        if magic != b"PK\x03\x04" or method or name != entry.raw_name or flags != entry.flags:
            self._refuse("a record's header is not that of its directory entry")
        wide = self._wide(head[name_size:], [value for value in (size, packed) if value == _FULL32])
        size, packed = (wide.pop(0) if value == _FULL32 else value for value in (size, packed))
        start = entry.header + LOCAL.size + len(head)
        stop = start + entry.size
        if flags & _SIZES_FOLLOW:
            # What was not known yet when the header was written is left out there.
            stop += self._descriptor(stop, entry)
            left_out = (crc, packed, size) in ((0, 0, 0), (0, entry.size, entry.size))
        else:
            left_out = False
        if not left_out and (crc, packed, size) != (entry.crc, entry.size, entry.size):
            self._refuse("a record's header and its directory entry give two sizes")
        return Member(name.decode("ascii"), entry.header, start, entry.size, stop, entry.crc, flags)

    def _descriptor(self, at: int, entry: _Entry) -> int:
        """Return the size of what follows a record to tell its sizes."""
        for kind in (_DESCRIPTOR64, _DESCRIPTOR):
            if at + kind.size <= self._size:
                found = kind.unpack(self._read(at, kind.size))
                if found == (b"PK\x07\x08", entry.crc, entry.size, entry.size):
                    return kind.size
        raise UnsafeModel(self._label, rule="what follows a record gives another size")

    def _read(self, at: int, size: int) -> bytes:
        if at < 0 or size < 0 or at + size > self._size:
            self._refuse("it is not a zip archive as torch writes it, or is cut short")
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) != size:
            self._refuse("it is cut short")
        return data

    def _refuse(self, rule: str) -> NoReturn:
        raise UnsafeModel(self._label, rule=rule)
