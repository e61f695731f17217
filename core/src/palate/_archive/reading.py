"""Opens an archive: reads what it says it holds, and refuses it unless that is laid out, byte for byte, as it is."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from palate._archive.layout import END, END64, ENTRY, FIRST_BYTES, LOCATOR, MAX16, MAX32, Content, Layout, lay_out
from palate._archive.names import check_names
from palate._disk.paths import MODEL_FILE, open_plain
from palate.errors import InvalidArchive, ModelNotFound

__all__ = ["MAX_FILES", "Archive", "is_archive", "open_archive"]

MAX_FILES: Final = 10_000
_MAX_DIRECTORY: Final = 16 << 20
_CHUNK: Final = 1 << 20
_OTHERS: Final = {
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"(\xb5/\xfd": "a zstandard file",
    b"7z\xbc\xaf": "a 7-Zip file",
}
_FETCH_AGAIN: Final = "fetch it again from where it came, or pack the model again"
_READ_IT: Final = "see that you may read it"
_GIVE_DIRECTORY: Final = "give the directory that holds the MLmodel file, or a file that 'palate pack' wrote"
_UNPACK: Final = "take it apart with 'palate unpack', and give the directory, or pack that with 'palate pack'"
_CUT_SHORT: Final = "it is cut short, or is no archive that 'palate pack' wrote"
_OTHERWISE: Final = "it is a zip file, but not laid out as 'palate pack' lays out its files"


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive whose layout is as it should be; the bytes of its files are still to be checked.

    Attributes:
        path: the file.
        descriptor: the same, open.
        layout: where everything is.
    """

    path: Path
    descriptor: int
    layout: Layout

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the bytes of one of its files of at most *limit* bytes; None if there is none of that name.

        Raises:
            InvalidArchive: it is larger, or cut short.
        """
        member = next((member for member in self.layout.members if member.content.name == name), None)
        if member is None:
            return None
        if member.content.size > limit:
            _refuse(self.path, f"its {name} is larger than {limit:,} bytes")
        return _read(self.path, self.descriptor, member.offset, member.content.size)

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield the bytes of a file of it, a piece at a time."""
        for place in range(offset, offset + size, _CHUNK):
            yield _read(self.path, self.descriptor, place, min(_CHUNK, offset + size - place))


def is_archive(path: Path) -> bool:
    """Return whether the file at *path* is an archive with a model in it; its bytes are not checked."""
    try:
        with open_archive(path):
            return True
    except (InvalidArchive, ModelNotFound, OSError, ValueError):
        return False


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open the archive at *path*.

    Raises:
        InvalidArchive: it is none, or something about it is unusual.
        ModelNotFound: it cannot be read.
        UnsafePath: it is no ordinary file.
    """
    try:
        descriptor = open_plain(path, follow_links=True)
    except OSError as exc:
        raise ModelNotFound(str(path), reason=f"the file cannot be opened ({exc.strerror})", hint=_READ_IT) from exc
    try:
        yield Archive(path, descriptor, _read_layout(path, descriptor))
    finally:
        os.close(descriptor)


def _read_layout(path: Path, descriptor: int) -> Layout:
    size = os.fstat(descriptor).st_size
    first = _read(path, descriptor, 0, min(size, 262))
    if not first.startswith(FIRST_BYTES):
        _refuse(path, f"it is {_name_kind(first)}, not a model in one file", _GIVE_DIRECTORY)
    try:
        contents = list(_read_contents(path, descriptor, size))
    except struct.error as exc:
        raise InvalidArchive(str(path), rule=_CUT_SHORT, hint=_FETCH_AGAIN) from exc
    if any(content.name.endswith("/") for content in contents):  # entries for folders, as most tools write them
        _refuse_layout(path)
    if found := check_names(content.name for content in contents):
        _refuse(path, f"it holds {found[0]!r:.300}, {found[1]}")
    layout = lay_out(contents)
    if layout.size != size:
        _refuse_layout(path)
    _compare(path, descriptor, layout)
    if not any(content.name == MODEL_FILE for content in contents):
        _refuse(path, f"it has no {MODEL_FILE}, so it holds no model", "pack the directory that holds the MLmodel file")
    return layout


def _name_kind(first: bytes) -> str:
    if first[257:262] == b"ustar":
        return "a tar file"
    return next((kind for start, kind in _OTHERS.items() if first.startswith(start)), "a file of another kind")


def _read_contents(path: Path, descriptor: int, size: int) -> Iterator[Content]:
    """Yield what the directory says of each file; nothing of it is relied on before the layout is compared."""
    start, stop, count = _find_directory(path, descriptor, size)
    if not 0 < count <= MAX_FILES:
        _refuse(path, f"it says that it holds {count:,} files, and may hold up to {MAX_FILES:,}")
    if not 0 <= start < stop <= size or stop - start > _MAX_DIRECTORY:
        _refuse(path, _CUT_SHORT)
    data, at = _read(path, descriptor, start, stop - start), 0
    for _ in range(count):
        fields = ENTRY.unpack_from(data, at)
        crc, narrow, length, extra_length = fields[7], fields[9], fields[10], fields[11]
        name_at = at + ENTRY.size
        extra_at = name_at + length
        # Where the size does not fit, it is the first of the long numbers.
        long = struct.unpack_from("<Q", data, extra_at + 4)[0] if narrow == MAX32 and extra_length >= 12 else narrow
        try:
            name = data[name_at:extra_at].decode("utf-8")
        except UnicodeDecodeError:
            _refuse(path, "a name in it is not UTF-8")
        yield Content(name, min(long, size), crc)
        at = extra_at + extra_length
    if at != len(data):
        _refuse_layout(path)


def _find_directory(path: Path, descriptor: int, size: int) -> tuple[int, int, int]:
    """Return where the directory starts and stops, and how many entries it has."""
    magic, *_, count, length, start, _ = END.unpack(_read(path, descriptor, size - END.size, END.size))
    if magic != b"PK\x05\x06":
        _refuse(path, _CUT_SHORT)
    if count != MAX16 and MAX32 not in (length, start):
        return start, start + length, count
    wide_at = size - END.size - LOCATOR.size - END64.size
    *_, count, length, start = END64.unpack(_read(path, descriptor, wide_at, END64.size))
    return start, start + length, count


def _compare(path: Path, descriptor: int, layout: Layout) -> None:
    """Refuse the file unless whatever is not a file's own bytes stands there as it is laid out."""
    for member in layout.members:
        if _read(path, descriptor, member.start, len(member.header)) != member.header:
            _refuse_layout(path)
    at = layout.size - len(layout.directory)
    if _read(path, descriptor, at, len(layout.directory)) != layout.directory:
        _refuse_layout(path)


def _read(path: Path, descriptor: int, at: int, size: int) -> bytes:
    if at < 0 or size < 0:
        _refuse(path, _CUT_SHORT)
    try:
        data = os.pread(descriptor, size, at)
    except OSError as exc:
        raise ModelNotFound(str(path), reason=f"the file cannot be read ({exc.strerror})", hint=_READ_IT) from exc
    if len(data) != size:
        _refuse(path, _CUT_SHORT)
    return data


def _refuse_layout(path: Path) -> NoReturn:
    """Refuse what may be an ordinary zip file, which its name tells."""
    _refuse(path, _OTHERWISE, _UNPACK if path.suffix.lower() == ".zip" else _FETCH_AGAIN)


def _refuse(path: Path, rule: str, hint: str = _FETCH_AGAIN) -> NoReturn:
    raise InvalidArchive(str(path), rule=rule, hint=hint)
