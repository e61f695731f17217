"""Writes a model directory as one file."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from palate._archive.layout import Content, Layout, Member, lay_out
from palate._archive.names import check_names
from palate._archive.reading import MAX_FILES
from palate._disk.durable import write_all
from palate._disk.manifest import SIGNATURE_FILE
from palate._disk.manifest_document import MANIFEST_FILE, Manifest
from palate._disk.paths import list_files, open_member
from palate._disk.transfer import Transfer
from palate.errors import ModelChanged, UnsafePath

__all__ = ["Packed", "write_archive"]

_WHILE_READ: Final = "It was changed while it was being packed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A model in one file.

    Attributes:
        path: the file.
        digest: the model's identity, as of its MANIFEST.json; None without one.
        sha256: of the file.
        size: of the file in bytes.
        files: how many it holds.
    """

    path: Path
    digest: str | None
    sha256: str
    size: int
    files: int

    def at(self, path: Path) -> Packed:
        """Return the same of the file in another place."""
        return replace(self, path=path)

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON data."""
        names = ("digest", "sha256", "size", "files")
        return {"path": str(self.path), **{name: getattr(self, name) for name in names}}


def write_archive(
    root: Path, target: Path, manifest: Manifest | None, *, added: Mapping[str, bytes] | None = None
) -> tuple[str, int]:
    """Write the files under *root*, and those *added*, to the new file *target*; return its sha256, and how many.

    Args:
        root: the model directory.
        target: the file.
        manifest: what the files must be; None where there is no MANIFEST.json.
        added: further files, by name, which take the place of those of the same name.

    Raises:
        ModelChanged: a file is not what the manifest lists.
        UnsafePath: a file has a name that an archive must not hold, or there are too many.
        OSError: the disk refuses.
    """
    extra = {**(added or {}), **({MANIFEST_FILE: manifest.to_json().encode()} if manifest is not None else {})}
    names = list_files(root)
    if manifest is not None:  # not what others left beside the model, such as byte code
        kept = {MANIFEST_FILE, SIGNATURE_FILE, *(file.name for file in manifest.files)}
        names = [name for name in names if name in kept]
        if missing := sorted({file.name for file in manifest.files} - {*names, *extra}):
            raise ModelChanged(str(root), missing=missing)
    names = sorted({*names, *extra})
    _check(names)
    expected = {file.name: file.sha256 for file in manifest.files} if manifest else {}
    with target.open("x+b", buffering=0) as file, Transfer() as transfer:
        layout = lay_out([_guess(root, name, extra.get(name)) for name in names])
        contents: list[Content] = []
        for member in layout.members:
            name = member.content.name
            if name in extra:
                file.seek(member.offset)
                write_all(file, extra[name])
                contents.append(member.content)
            else:
                contents.append(_copy(root, file, member, expected.get(name), transfer))
        _finish(file, lay_out(contents))
    with target.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), len(contents)


def _check(names: Sequence[str]) -> None:
    if len(names) > MAX_FILES:
        raise UnsafePath(names[0], field="The model", reason=f"one of more than {MAX_FILES:,} files")
    if found := check_names(names):
        raise UnsafePath(found[0], field="A file of the model", reason=found[1])


def _guess(root: Path, name: str, content: bytes | None) -> Content:
    """Return what is known before a file is read: where the others begin depends on its size alone."""
    if content is not None:
        return Content(name, len(content), zlib.crc32(content))
    return Content(name, os.lstat(root / name).st_size, 0)


def _copy(root: Path, file: IO[bytes], member: Member, expected: str | None, transfer: Transfer) -> Content:
    """Copy a file into the archive; return what it is now known to hold."""
    name, size = member.content.name, member.content.size
    crc, sha256 = 0, hashlib.sha256()

    def look(data: memoryview) -> None:
        nonlocal crc
        crc = zlib.crc32(data, crc)
        if expected is not None:
            sha256.update(data)

    source = open_member(root, name)
    try:
        copied = transfer.copy(source, 0, file.fileno(), member.offset, size, look, sync=False)
        grown = os.fstat(source).st_size != size
    finally:
        os.close(source)
    if copied != size or grown or (expected is not None and sha256.hexdigest() != expected):
        raise ModelChanged(str(root), changed=[name], cause=_WHILE_READ)
    return Content(name, size, crc)


def _finish(file: IO[bytes], layout: Layout) -> None:
    """Write what is not a file's own bytes, and force all of it to disk."""
    for member in layout.members:
        file.seek(member.start)
        write_all(file, member.header)
    file.seek(layout.size - len(layout.directory))
    write_all(file, layout.directory)
    os.fsync(file.fileno())
