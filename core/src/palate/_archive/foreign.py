"""Takes an ordinary zip file apart, as ``zip -r``, Python, macOS and Windows write it; where in doubt, refuses it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from palate._archive.foreign_entries import DEFLATED, Entry, read_bytes, read_entries, refuse
from palate._archive.names import check_names
from palate._archive.reading import is_archive
from palate._disk.durable import write_all
from palate._disk.paths import MODEL_FILE, open_plain
from palate.errors import ModelNotFound

__all__ = ["find_only_model", "is_foreign_zip", "unpack_zip"]

_SUFFIX: Final = ".zip"
_CHUNK: Final = 1 << 20
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# What macOS keeps of a file besides its bytes; no part of what was packed.
_MACOS: Final = "__MACOSX"
# More than deflate gains on the weights of a model, and less than a bomb needs. Small files may be all zeros.
_MAX_RATIO: Final = 200
_SMALL: Final = 1 << 16
_SMALL_IN_ALL: Final = 64 << 20
_FETCH_AGAIN: Final = "fetch it again from where it came"


def is_foreign_zip(path: Path) -> bool:
    """Return whether a file is called a zip, and is not one that ``palate pack`` wrote."""
    return path.suffix.lower() == _SUFFIX and path.is_file() and not is_archive(path)


def unpack_zip(path: Path, folder: Path) -> tuple[str, ...]:
    """Write the files of the ordinary zip *path* under the empty directory *folder*; return their names.

    *folder* is in a stage, which is removed if not all of it can be unpacked; nothing is forced to disk. Folders
    without files, modes and times do not come along, nor does what macOS adds beside the files.

    Raises:
        InvalidArchive: something about it is not as it should be.
        ModelNotFound: it cannot be read.
        UnsafePath: it is no ordinary file.
        OSError: the disk refuses.
    """
    try:
        descriptor = open_plain(path, follow_links=True)
    except OSError as exc:
        raise ModelNotFound(str(path), reason=f"the file cannot be opened ({exc.strerror})") from exc
    try:
        entries = [entry for entry in read_entries(path, descriptor) if entry.name.partition("/")[0] != _MACOS]
        _check_sizes(path, entries, os.fstat(descriptor).st_size)
        _check_places(path, entries)
        for entry in entries:
            _unpack(path, descriptor, entry, folder)
    finally:
        os.close(descriptor)
    return tuple(entry.name for entry in entries if not entry.is_folder)


def find_only_model(folder: Path, path: Path) -> Path:
    """Return the one model directory in what was unpacked of *path* under *folder*: there, or in a folder at the top.

    Raises:
        InvalidArchive: there is none, or there are several.
    """
    if os.path.lexists(folder / MODEL_FILE):
        return folder
    found = [place for place in sorted(folder.iterdir()) if os.path.lexists(place / MODEL_FILE)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(place.name for place in found[:3])
        refuse(path, f"it holds {len(found)} models ({names})", "add them to a store with 'palate store import'")
    rule = f"it has no {MODEL_FILE}, nor has a folder at its top, so it holds no model there"
    return refuse(path, rule, "pack the directory that holds the MLmodel file, or give it to 'palate store import'")


def _check_sizes(path: Path, entries: Sequence[Entry], size: int) -> None:
    """Refuse a bomb before anything is unpacked."""
    for entry in entries:
        if entry.size > max(_SMALL, _MAX_RATIO * entry.packed):
            refuse(path, f"{entry.name!r:.200} becomes more than {_MAX_RATIO} times as large as it is packed")
    if sum(entry.size for entry in entries) > max(_SMALL_IN_ALL, _MAX_RATIO * size):
        refuse(path, f"its files become more than {_MAX_RATIO} times as large as it is")


def _check_places(path: Path, entries: Sequence[Entry]) -> None:
    """Refuse names that not every file system takes, or that would lead to one place."""
    folders = {entry.name for entry in entries if entry.is_folder}
    above = {
        entry.name[:at] for entry in entries for at, character in enumerate(entry.name) if character == "/"
    }  # these are checked as parts of the names below them
    names = [entry.name for entry in entries if not entry.is_folder] + sorted(folders - above)
    if found := check_names(names):
        refuse(path, f"it holds {found[0]!r:.300}, {found[1]}")


def _unpack(path: Path, descriptor: int, entry: Entry, folder: Path) -> None:
    """Write one file, and hold its bytes against their size and check sum."""
    if entry.is_folder:
        _check(path, entry, sum(map(len, _chunks(path, descriptor, entry))), 0)
        return
    target = folder / entry.name
    target.parent.mkdir(parents=True, exist_ok=True)
    size, crc = 0, 0
    with open(os.open(target, _NEW_FILE, 0o666), "wb", buffering=0) as file:
        for chunk in _chunks(path, descriptor, entry):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            if size > entry.size:
                break
            write_all(file, chunk)
    _check(path, entry, size, crc)


def _check(path: Path, entry: Entry, size: int, crc: int) -> None:
    if (size, crc) != (entry.size, entry.crc):
        refuse(path, f"the bytes of {entry.name!r:.200} are damaged: they have another size or check sum", _FETCH_AGAIN)


def _chunks(path: Path, descriptor: int, entry: Entry) -> Iterator[bytes]:
    """Yield the bytes of a file as they were packed, a piece at a time, however little space they took."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == DEFLATED else None
    for place in range(entry.start, entry.stop, _CHUNK):
        packed = read_bytes(path, descriptor, place, min(_CHUNK, entry.stop - place))
        if stream is None:
            yield packed
            continue
        piece = None
        while packed or piece is None or len(piece) == _CHUNK:  # a full piece may not be all that the input gives
            try:
                piece = stream.decompress(packed, _CHUNK)
            except zlib.error:
                refuse(path, f"the bytes of {entry.name!r:.200} are damaged", _FETCH_AGAIN)
            if stream.unused_data:
                refuse(path, f"there is something behind the bytes of {entry.name!r:.200}")
            yield piece
            packed = stream.unconsumed_tail
    if stream is not None and not stream.eof:
        refuse(path, f"the bytes of {entry.name!r:.200} do not end", _FETCH_AGAIN)
