"""Takes an archive apart: into a directory whose files are all checked before it is seen."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Final

from palate._archive.layout import Member
from palate._archive.reading import Archive
from palate._disk.manifest import SIGNATURE_FILE
from palate._disk.manifest_document import MANIFEST_FILE, FileDigest, Manifest, parse_manifest
from palate.errors import InvalidArchive, ModelChanged

__all__ = ["check_archive", "read_listing", "unpack_into"]

_MAX_MANIFEST: Final = 16 << 20  # 10,000 files with names of 1,024 bytes
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_listing(archive: Archive) -> Manifest | None:
    """Return the MANIFEST.json of an archive, which must list what it holds; None without one.

    Raises:
        InvalidArchive, InvalidModelFile, ModelChanged: it is not so.
    """
    content = archive.read(MANIFEST_FILE, _MAX_MANIFEST)
    if content is None:
        return None
    manifest = parse_manifest(content)
    sizes = {member.content.name: member.content.size for member in archive.layout.members}
    listed = {file.name: file for file in manifest.files}
    extra = [name for name in sizes if name not in listed and name not in (MANIFEST_FILE, SIGNATURE_FILE)]
    missing = [name for name in listed if name not in sizes]
    changed = [name for name, file in listed.items() if sizes.get(name, file.size) != file.size]
    if extra or missing or changed:
        raise ModelChanged(str(archive.path), changed=changed, missing=missing, extra=extra)
    return manifest


def check_archive(archive: Archive, manifest: Manifest | None) -> tuple[FileDigest, ...]:
    """Read every file of an archive; return what each is.

    Raises:
        InvalidArchive: bytes of a file are damaged.
        ModelChanged: a file is not what *manifest* lists.
    """
    found = tuple(_copy(archive, member, None) for member in archive.layout.members)
    _compare(archive, found, manifest)
    return found


def unpack_into(archive: Archive, root: Path, manifest: Manifest | None) -> tuple[FileDigest, ...]:
    """Write the files of an archive under the empty directory *root*, each forced to disk; return what each is.

    Raises:
        InvalidArchive: bytes of a file are damaged.
        ModelChanged: a file is not what *manifest* lists.
        OSError: the disk refuses.
    """
    found = []
    for member in archive.layout.members:
        target = root / member.content.name
        target.parent.mkdir(mode=0o777, parents=True, exist_ok=True)
        descriptor = os.open(target, _NEW_FILE, 0o666)
        try:
            found.append(_copy(archive, member, descriptor))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _compare(archive, tuple(found), manifest)
    return tuple(found)


def _copy(archive: Archive, member: Member, descriptor: int | None) -> FileDigest:
    """Read a file of an archive, and write it to *descriptor*, if there is one."""
    content = member.content
    sha256, crc = hashlib.sha256(), 0
    for chunk in archive.chunks(member.offset, content.size):
        sha256.update(chunk)
        crc = zlib.crc32(chunk, crc)
        if descriptor is not None:
            _write(descriptor, chunk)
    if crc != content.crc:
        rule = f"the bytes of its {content.name} are damaged: they have another check sum"
        raise InvalidArchive(str(archive.path), rule=rule, hint="fetch it again from where it came")
    return FileDigest(content.name, content.size, sha256.hexdigest())


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _compare(archive: Archive, found: tuple[FileDigest, ...], manifest: Manifest | None) -> None:
    if manifest is None:
        return
    present = {file.name: file.sha256 for file in found}
    if changed := [file.name for file in manifest.files if present.get(file.name) != file.sha256]:
        raise ModelChanged(str(archive.path), changed=changed)
