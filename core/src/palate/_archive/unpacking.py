"""Takes an archive apart: into a directory whose files are all checked before it is seen."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from palate._archive.layout import Member
from palate._archive.reading import Archive
from palate._disk.durable import write_new
from palate._disk.manifest import SIGNATURE_FILE
from palate._disk.manifest_document import MANIFEST_FILE, FileDigest, Manifest, parse_manifest
from palate._disk.transfer import Transfer
from palate.errors import InvalidArchive, ModelChanged

__all__ = ["check_archive", "read_listing", "unpack_into"]

_MAX_MANIFEST: Final = 16 << 20  # 10,000 files with names of 1,024 bytes
_FETCH_AGAIN: Final = "fetch it again from where it came"
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_listing(archive: Archive) -> Manifest | None:
    """Return the MANIFEST.json of an archive, which must list what it holds; None without one.

    Raises:
        InvalidArchive, InvalidModelFile, ModelChanged: it is not so.
    """
    content = archive.read(MANIFEST_FILE, _MAX_MANIFEST)
    if content is None:
        return None
    manifest = parse_manifest(content)
    if content != manifest.to_json().encode():
        # The digest does not tell one way to write the same list from another; a signature does.
        rule = f"its {MANIFEST_FILE} is not written as Palate writes it"
        raise InvalidArchive(
            str(archive.path), rule=rule, hint="unpack it with another tool, and save or pack it again"
        )
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
    found = [_check(archive, member) for member in archive.layout.members]
    _compare(archive, found, manifest)
    return tuple(found)


def unpack_into(
    archive: Archive, root: Path, manifest: Manifest | None, *, staying: Collection[str] = ()
) -> tuple[FileDigest, ...]:
    """Write the files of an archive under the empty directory *root*, each forced to disk; return what each is.

    Of those that are *staying* in the archive the bytes are checked, and empty files stand for them.

    Raises:
        InvalidArchive: bytes of a file are damaged.
        ModelChanged: a file is not what *manifest* lists.
        OSError: the disk refuses.
    """
    with Transfer() as transfer:
        found = [
            _stand_in(archive, member, root / member.content.name)
            if member.content.name in staying
            else _unpack(archive, member, root / member.content.name, transfer)
            for member in archive.layout.members
        ]
    _compare(archive, found, manifest)
    return tuple(found)


def _unpack(archive: Archive, member: Member, target: Path, transfer: Transfer) -> FileDigest:
    target.parent.mkdir(parents=True, exist_ok=True)
    sums, size = _Sums(), member.content.size
    descriptor = os.open(target, _NEW_FILE, 0o666)
    try:
        copied = transfer.copy(archive.descriptor, member.offset, descriptor, 0, size, sums.update, sync=True)
    finally:
        os.close(descriptor)
    if copied != size:
        raise InvalidArchive(str(archive.path), rule="it was cut short while it was read", hint=_FETCH_AGAIN)
    return sums.of(archive, member)


def _stand_in(archive: Archive, member: Member, target: Path) -> FileDigest:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_new(target, b"")
    return _check(archive, member)


def _check(archive: Archive, member: Member) -> FileDigest:
    sums = _Sums()
    for chunk in archive.chunks(member.offset, member.content.size):
        sums.update(chunk)
    return sums.of(archive, member)


class _Sums:
    """The check sums of a file of an archive."""

    def __init__(self) -> None:
        self._sha256, self._crc = hashlib.sha256(), 0

    def update(self, data: bytes | memoryview) -> None:
        self._sha256.update(data)
        self._crc = zlib.crc32(data, self._crc)

    def of(self, archive: Archive, member: Member) -> FileDigest:
        """Return what the file is, if its bytes are those that the archive was made of."""
        content = member.content
        if self._crc != content.crc:
            rule = f"the bytes of its {content.name} are damaged: they have another check sum"
            raise InvalidArchive(str(archive.path), rule=rule, hint=_FETCH_AGAIN)
        return FileDigest(content.name, content.size, self._sha256.hexdigest())


def _compare(archive: Archive, found: Sequence[FileDigest], manifest: Manifest | None) -> None:
    if manifest is None:
        return
    present = {file.name: file.sha256 for file in found}
    if changed := [file.name for file in manifest.files if present.get(file.name) != file.sha256]:
        raise ModelChanged(str(archive.path), changed=changed)
