"""Lays out an archive of our own making: on disk when saving, and before torch's eyes when loading.

What torch's reader parses when a model is loaded is this layout and not the file: of the file it is handed nothing but
the bytes of the weights, read from it when they are asked for.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, Any

from torch_flavor._zip_reading import END, END64, ENTRY, LOCAL, LOCATOR, Member

__all__ = ["Region", "StitchedFile", "append_records", "lay_out"]

_ALIGNMENT = 64  # torch aligns records so that they can be mapped into memory
_LIMIT32 = 0xFFFFFFFF
_TIME, _DATE = 0, 0x21  # midnight of 1980-01-01, the first moment that a zip can tell: same model, same bytes


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes that stay where they are, in a file."""

    offset: int
    size: int
    crc: int


def lay_out(records: Iterable[tuple[str, bytes | Region]]) -> list[bytes | Region]:
    """Return the pieces of a zip archive of stored, aligned records."""
    return _lay_out(0, [], records)


def append_records(file: IO[bytes], kept: Sequence[Member], records: Iterable[tuple[str, bytes]]) -> None:
    """Make an archive of the first records of *file*, which stay where they are, and of others behind them."""
    place = kept[-1].stop if kept else 0
    directory = [
        _entry(member.name.encode("ascii"), member.header, member.size, member.crc, member.flags) for member in kept
    ]
    file.seek(place)
    file.truncate()
    for piece in _lay_out(place, directory, records):
        assert isinstance(piece, bytes)
        file.write(piece)


def _lay_out(place: int, directory: list[bytes], records: Iterable[tuple[str, bytes | Region]]) -> list[bytes | Region]:
    pieces: list[bytes | Region] = []
    for name, content in records:
        size = content.size if isinstance(content, Region) else len(content)
        crc = content.crc if isinstance(content, Region) else zlib.crc32(content)
        header = _local_header(name.encode("ascii"), place, size, crc)
        directory.append(_entry(name.encode("ascii"), place, size, crc, 0))
        pieces += [header, content]
        place += len(header) + size
    return [*pieces, b"".join(directory) + _end(place, sum(map(len, directory)), len(directory))]


def _local_header(name: bytes, place: int, size: int, crc: int) -> bytes:
    long = size >= _LIMIT32
    extra = struct.pack("<2H2Q", 1, 16, size, size) if long else b""
    padding = -(place + 30 + len(name) + len(extra) + 4) % _ALIGNMENT
    extra += struct.pack("<2H", 0x4246, padding) + b"Z" * padding
    narrow = _LIMIT32 if long else size
    fixed = LOCAL.pack(b"PK\x03\x04", 45, 0, 0, _TIME, _DATE, crc, narrow, narrow, len(name), len(extra))
    return fixed + name + extra


def _entry(name: bytes, place: int, size: int, crc: int, flags: int) -> bytes:
    wide = ([size, size] if size >= _LIMIT32 else []) + ([place] if place >= _LIMIT32 else [])
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    narrow, header = min(size, _LIMIT32), min(place, _LIMIT32)
    sizes = (narrow, narrow, len(name), len(extra))
    fixed = ENTRY.pack(b"PK\x01\x02", 45, 45, flags, 0, _TIME, _DATE, crc, *sizes, 0, 0, 0, 0, header)
    return fixed + name + extra


def _end(start: int, size: int, count: int) -> bytes:
    counted = min(count, 0xFFFF)
    narrow = END.pack(b"PK\x05\x06", 0, 0, counted, counted, min(size, _LIMIT32), min(start, _LIMIT32), 0)
    if start < _LIMIT32 and size < _LIMIT32 and count < 0xFFFF:
        return narrow
    long = END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    return long + LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1) + narrow


class StitchedFile(io.RawIOBase):
    """An archive that is nowhere on disk: pieces in memory, and regions read from an open file when asked for."""

    def __init__(self, pieces: Sequence[bytes | Region], source: IO[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if not isinstance(piece, bytes) or piece]
        sizes = [piece.size if isinstance(piece, Region) else len(piece) for piece in self._pieces]
        *self._starts, self._size = accumulate(sizes, initial=0)
        self._descriptor = source.fileno()
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as any file does."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* as far as there are bytes."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._place < self._size:
            count = self._read_piece(view[done:])
            if not count:
                break  # the file became shorter since its records were listed
            done += count
            self._place += count
        return done

    def _read_piece(self, view: memoryview) -> int:
        number = bisect_right(self._starts, self._place) - 1
        piece, skip = self._pieces[number], self._place - self._starts[number]
        if isinstance(piece, bytes):
            part = piece[skip : skip + len(view)]
            view[: len(part)] = part
            return len(part)
        return os.preadv(self._descriptor, [view[: piece.size - skip]], piece.offset + skip)
