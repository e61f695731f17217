"""What an ordinary zip file says it holds, read so strictly that no other reader can take it for something else.

Two headers tell of each file, and they must agree. What they tell of, and nothing else, fills the archive from its
first byte to its directory. Of what the tools of every day add, times, owners, folders and comments are passed over.

The format is PKWARE's APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from palate._archive.layout import END, END64, ENTRY, FIRST_BYTES, LOCAL, LOCATOR, MAX16, MAX32
from palate._archive.names import MAX_NAME_BYTES
from palate._archive.reading import MAX_FILES
from palate.errors import InvalidArchive, ModelNotFound

__all__ = ["DEFLATED", "Entry", "read_bytes", "read_entries", "refuse"]

DEFLATED: Final = 8
_STORED: Final = 0
_MAX_DIRECTORY: Final = 16 << 20

_ENCRYPTED: Final = 0x0001
_HOW_HARD: Final = 0x0006  # the packer tried
_DESCRIBED: Final = 0x0008
_UTF8: Final = 0x0800
_NEWEST_VERSION: Final = 63  # of the format, that a reader must know
_SPLIT_OR_FOLDER: Final = 0x18  # the DOS attributes of a volume label and a folder
_FOLDER: Final = 0x10
_MAX_COMMENT: Final = 0xFFFF

_ZIP64: Final = 0x0001  # the extra fields that matter
_PKWARE_UNIX: Final = 0x000D
_UNICODE_PATH: Final = 0x7075
_LINKLESS: Final = 12  # the bytes of PKWARE's field for Unix, without where a link leads

# With and without the signature, and with sizes of 8 bytes.
_DESCRIPTORS: Final = (
    struct.Struct("<4s3I"),
    struct.Struct("<3I"),
    struct.Struct("<4sI2Q"),
    struct.Struct("<I2Q"),
)
_CUT_SHORT: Final = "it is cut short, or is no zip file"
_FETCH_AGAIN: Final = "fetch it again from where it came"
_BY_HAND: Final = "unpack it with the tool that made it, look at what it holds, and give that directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, or a folder, in an ordinary zip.

    Attributes:
        name: its name, without the slash that ends a folder's.
        is_folder: whether it is one.
        method: how its bytes are packed.
        start: where they begin.
        packed: how many they are.
        size: how many they become.
        crc: their check sum then.
    """

    name: str
    is_folder: bool
    method: int
    start: int
    packed: int
    size: int
    crc: int

    @property
    def stop(self) -> int:
        """Where its bytes end."""
        return self.start + self.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """An entry of the directory."""

    raw_name: bytes
    name: str
    is_folder: bool
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int


def read_entries(path: Path, descriptor: int) -> list[Entry]:
    """Return the entries of the zip file *path*, which is open, in the order in which they lie there.

    Their names may be anything; what they hold is still to be checked.

    Raises:
        InvalidArchive: it is no zip file, is not whole, or could be understood in two ways.
        ModelNotFound: it cannot be read.
    """
    size = os.fstat(descriptor).st_size
    if read_bytes(path, descriptor, 0, min(size, 4)) != FIRST_BYTES:
        refuse(path, "it does not begin as a zip file does")
    start, stop, count = _find_directory(path, descriptor, size)
    if not 0 < count <= MAX_FILES:
        refuse(path, f"it says that it holds {count:,} files, and may hold up to {MAX_FILES:,}", _BY_HAND)
    if not 0 < start < stop or stop - start > _MAX_DIRECTORY:
        refuse(path, "its directory is not where it says")
    data = read_bytes(path, descriptor, start, stop - start)
    try:
        listed = sorted(_read_directory(path, data, count), key=lambda entry: entry.header)
        entries, place = [], 0
        for number, entry in enumerate(listed):
            if entry.header != place:
                refuse(path, f"{entry.name!r:.200} does not begin where what is before it ends")
            limit = listed[number + 1].header if number + 1 < len(listed) else start
            entries.append(_read_local(path, descriptor, entry, limit))
            place = limit
    except struct.error as exc:
        raise InvalidArchive(str(path), rule=_CUT_SHORT, hint=_FETCH_AGAIN) from exc
    return entries


def refuse(path: Path, rule: str, hint: str = _BY_HAND) -> NoReturn:
    """Raise InvalidArchive."""
    raise InvalidArchive(str(path), rule=rule, hint=hint)


def read_bytes(path: Path, descriptor: int, at: int, size: int) -> bytes:
    """Return bytes of the open file *path*, all that were asked for.

    Raises:
        InvalidArchive: they are not there.
        ModelNotFound: they cannot be read.
    """
    try:
        data = os.pread(descriptor, size, at) if at >= 0 else b""
    except (OSError, OverflowError) as exc:
        raise ModelNotFound(str(path), reason=f"the file cannot be read ({exc})") from exc
    if len(data) != size:
        refuse(path, _CUT_SHORT, _FETCH_AGAIN)
    return data


# -- the end -----------------------------------------------------------------------------------------------------------


def _find_directory(path: Path, descriptor: int, size: int) -> tuple[int, int, int]:
    """Return where the directory starts and stops, and how many entries it has."""
    tail_at = max(0, size - END.size - _MAX_COMMENT)
    tail = read_bytes(path, descriptor, tail_at, size - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        refuse(path, _CUT_SHORT, _FETCH_AGAIN)
    _, disk, disk_of_directory, here, count, length, start, comment = END.unpack_from(tail, at)
    if at + END.size + comment != len(tail):
        refuse(path, "there is something behind its end")
    end = tail_at + at
    locator = read_bytes(path, descriptor, end - LOCATOR.size, LOCATOR.size) if end > LOCATOR.size else b""
    if locator.startswith(b"PK\x06\x07"):
        numbers = (disk, disk_of_directory, here, count, length, start)
        return _find_directory64(path, descriptor, end, locator, numbers)
    if disk or disk_of_directory or here != count:
        refuse(path, "it is a part of a split archive")
    if start + length != end:
        refuse(path, "its directory is not where it says")
    return start, end, count


def _find_directory64(
    path: Path, descriptor: int, end: int, locator: bytes, numbers: tuple[int, ...]
) -> tuple[int, int, int]:
    _, disk, place, disks = LOCATOR.unpack(locator)
    if place != end - LOCATOR.size - END64.size or disk or disks != 1:
        refuse(path, "its long end is not where it says")
    magic, length, *_, of, directory_on, here, count, size, start = END64.unpack(
        read_bytes(path, descriptor, place, END64.size)
    )
    wide = (of, directory_on, here, count, size, start)
    full = (MAX16, MAX16, MAX16, MAX16, MAX32, MAX32)
    agree = all(short in (long, most) for short, long, most in zip(numbers, wide, full, strict=True))
    if magic != b"PK\x06\x06" or length != END64.size - 12 or not agree:
        refuse(path, "its two ends tell different things")
    if of or directory_on or here != count:
        refuse(path, "it is a part of a split archive")
    if start + size != place:
        refuse(path, "its directory is not where it says")
    return start, place, count


# -- the directory -----------------------------------------------------------------------------------------------------


def _read_directory(path: Path, data: bytes, count: int) -> Iterator[_Listed]:
    at = 0
    for _ in range(count):
        fields = ENTRY.unpack_from(data, at)
        name_at = at + ENTRY.size
        extra_at = name_at + fields[10]
        comment_at = extra_at + fields[11]
        at = comment_at + fields[12]
        if fields[0] != b"PK\x01\x02" or at > len(data):
            refuse(path, "its directory is damaged")
        yield _list(path, fields, data[name_at:extra_at], data[extra_at:comment_at])
    if at != len(data):
        refuse(path, "its directory holds more than it says")


def _list(path: Path, fields: tuple[int, ...], raw_name: bytes, extra: bytes) -> _Listed:
    _, _, needed, flags, method, _, _, crc, packed, size, _, _, _, disk, _, external, header = fields
    extras = _read_extras(path, extra)
    if len(raw_name) > MAX_NAME_BYTES:
        refuse(path, f"the name {raw_name!r:.200} is longer than {MAX_NAME_BYTES:,} bytes")
    name = _decode(path, raw_name, flags, extras)
    packed, size, header = _widen(path, name, (size, packed, header), extras)
    is_folder = name.endswith("/")
    if flags & _ENCRYPTED:
        refuse(path, f"{name!r:.200} is encrypted")
    if flags & ~(_HOW_HARD | _DESCRIBED | _UTF8) or needed & 0xFF > _NEWEST_VERSION or disk:
        refuse(path, f"{name!r:.200} needs what few readers know")
    if method not in (_STORED, DEFLATED):
        refuse(path, f"{name!r:.200} is packed by method {method}; files may be stored or deflated")
    if (method == _STORED and packed != size) or (is_folder and size):
        refuse(path, f"{name!r:.200} has a size that cannot be")
    if len(extras.get(_PKWARE_UNIX, b"")) > _LINKLESS:
        refuse(path, f"{name!r:.200} is a link")
    _check_kind(path, name, external, is_folder=is_folder)
    return _Listed(
        raw_name=raw_name,
        name=name.removesuffix("/"),
        is_folder=is_folder,
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        size=size,
        header=header,
    )


def _check_kind(path: Path, name: str, external: int, *, is_folder: bool) -> None:
    """Refuse what is neither a file nor a folder, or is both; whoever made it, no reader shall see a link there."""
    kind = stat.S_IFMT(external >> 16)
    allowed = stat.S_IFDIR if is_folder else stat.S_IFREG
    if kind not in (0, allowed) or external & _SPLIT_OR_FOLDER & ~(_FOLDER if is_folder else 0):
        refuse(path, f"{name!r:.200} is a link, a special file, or a folder by one mark and a file by another")


def _widen(path: Path, name: str, narrow: tuple[int, int, int], extras: dict[int, bytes]) -> tuple[int, int, int]:
    """Return the packed size, the size and the place of the header; the long ones where the short ones do not do."""
    size, packed, header = narrow
    full = [number == MAX32 for number in narrow]
    wide = extras.get(_ZIP64, b"")
    if len(wide) != 8 * sum(full):
        refuse(path, f"{name!r:.200} has sizes that do not fit together")
    numbers = list(struct.unpack(f"<{sum(full)}Q", wide))
    size, packed, header = (
        numbers.pop(0) if long else number for number, long in zip((size, packed, header), full, strict=True)
    )
    return packed, size, header


def _read_extras(path: Path, extra: bytes) -> dict[int, bytes]:
    """Return the extra fields that matter, each of which may be there once."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(extra):
        if len(extra) - at < 4:
            refuse(path, "there are bytes behind the last extra field of a file")
        number, length = struct.unpack_from("<2H", extra, at)
        content = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if len(content) != length:
            refuse(path, "an extra field of a file is longer than all of them")
        if number in (_ZIP64, _PKWARE_UNIX, _UNICODE_PATH):
            if number in found:
                refuse(path, "an extra field of a file that must be there once is there twice")
            found[number] = content
    return found


def _decode(path: Path, raw: bytes, flags: int, extras: dict[int, bytes]) -> str:
    """Return a name, of which every reader must think the same: UTF-8 that says so, or ASCII."""
    said = extras.get(_UNICODE_PATH, b"")
    # As the format has it, the field counts only while the name is the one that it was made for.
    counts = len(said) > 5 and said[0] == 1 and struct.unpack_from("<I", said, 1)[0] == zlib.crc32(raw)
    if counts and said[5:] != raw:
        refuse(path, f"a file has two names, {raw!r:.200} and {said[5:]!r:.200}")
    if not (flags & _UTF8 or counts or raw.isascii()):
        refuse(path, f"the name {raw!r:.200} does not say in which encoding it is")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        refuse(path, f"the name {raw!r:.200} is not UTF-8")


# -- what stands before each file --------------------------------------------------------------------------------------


def _read_local(path: Path, descriptor: int, listed: _Listed, limit: int) -> Entry:
    """Hold the header in front of a file against the directory; return the file, which must end at *limit*."""
    if limit - listed.header < LOCAL.size:
        refuse(path, f"{listed.name!r:.200} lies within another file")
    header = LOCAL.unpack(read_bytes(path, descriptor, listed.header, LOCAL.size))
    magic, needed, flags, method, _, _, crc, packed, size, name_length, extra_length = header
    start = listed.header + LOCAL.size + name_length + extra_length
    stop = start + listed.packed
    if magic != FIRST_BYTES or stop > limit:
        refuse(path, f"{listed.name!r:.200} is not where the directory says")
    rest = read_bytes(path, descriptor, listed.header + LOCAL.size, name_length + extra_length)
    extras = _read_extras(path, rest[name_length:])
    if rest[:name_length] != listed.raw_name or (flags, method) != (listed.flags, listed.method):
        refuse(path, f"what stands before {listed.name!r:.200} tells something else than the directory")
    if needed & 0xFF > _NEWEST_VERSION or len(extras.get(_PKWARE_UNIX, b"")) > _LINKLESS:
        refuse(path, f"{listed.name!r:.200} needs what few readers know, or is a link")
    _decode(path, listed.raw_name, flags, extras)
    _compare_sizes(path, listed, (crc, packed, size), extras)
    if not _is_described(read_bytes(path, descriptor, stop, min(limit - stop, 25)), listed):
        refuse(path, f"there is something behind {listed.name!r:.200}")
    return Entry(
        name=listed.name,
        is_folder=listed.is_folder,
        method=listed.method,
        start=start,
        packed=listed.packed,
        size=listed.size,
        crc=listed.crc,
    )


def _compare_sizes(path: Path, listed: _Listed, told: tuple[int, int, int], extras: dict[int, bytes]) -> None:
    crc, packed, size = told
    wide = extras.get(_ZIP64)
    if wide is not None:
        if len(wide) != 16 or packed not in (MAX32, listed.packed) or size not in (MAX32, listed.size):
            refuse(path, f"{listed.name!r:.200} has sizes that do not fit together")
        size, packed = struct.unpack("<2Q", wide)
    right = ((crc, listed.crc), (packed, listed.packed), (size, listed.size))
    # Whoever did not know them yet has written zeros, and a descriptor behind the data.
    unknown = (0,) if listed.flags & _DESCRIBED else ()
    if any(one != other and one not in unknown for one, other in right):
        refuse(path, f"what stands before {listed.name!r:.200} tells another size or check sum than the directory")


def _is_described(behind: bytes, listed: _Listed) -> bool:
    """Return whether what stands behind the data is what the flags promise: a descriptor, or nothing."""
    if not listed.flags & _DESCRIBED:
        return not behind
    truth = (listed.crc, listed.packed, listed.size)
    for form in _DESCRIPTORS:
        if form.size == len(behind):
            found = form.unpack(behind)
            return found[-3:] == truth and found[:-3] in ((), (b"PK\x07\x08",))
    return False
