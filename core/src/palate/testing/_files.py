"""Files of a model directory, as the checks look at them."""

from __future__ import annotations

import hashlib
import os
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from palate._disk.paths import list_files
from palate.inspection import FOLDER_PURPOSES, PURPOSES

__all__ = ["code_within", "contents_within", "fingerprint", "native_files"]

_CODE_SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".sh")
_LARGE = 64 << 20


def native_files(directory: Path) -> list[str]:
    """Return the files that the flavor wrote; the rest is Palate's own."""
    return [
        name for name in list_files(directory) if name not in PURPOSES and name.partition("/")[0] not in FOLDER_PURPOSES
    ]


def fingerprint(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, time and SHA-256 of everything under *directory*."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(directory.rglob("*"))
    }


def contents_within(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the file itself, and what is in it when it is a zip archive."""
    yield path.name, path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.file_size < _LARGE:
                    yield f"{path.name}!{info.filename}", archive.read(info)


def code_within(directory: Path) -> list[str]:
    """Return where under *directory* there is code: sources, binaries, pickles that call something."""
    found = []
    for name in list_files(directory):
        for place, data in contents_within(directory / name):
            if place.endswith(_CODE_SUFFIXES) or data.startswith((b"\x7fELF", b"#!")) or _is_calling_pickle(data):
                found.append(os.path.join(os.path.dirname(name), place))
    return found


def _is_calling_pickle(data: bytes) -> bool:
    """Whether *data* is a pickle that refers to a class or a function; others can only make plain data."""
    calls = False
    try:
        for opcode, _, _ in pickletools.genops(data):
            calls = calls or opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "NEWOBJ", "NEWOBJ_EX")
    except Exception:  # whatever stops the reader: this is no pickle
        return False
    return calls
