"""Files of a model that stay in its archive: they are mapped into memory from there, and never unpacked."""

from __future__ import annotations

import hashlib
import mmap
import os
import weakref
from collections.abc import Collection
from pathlib import Path

from palate._archive.layout import Member
from palate._archive.reading import Archive
from palate._disk.manifest_document import FileDigest
from palate._disk.stamps import Stamp, stamp_of

__all__ = ["StayingFiles"]


class StayingFiles:
    """Some files of an archive, which is held open.

    Attributes:
        path: the archive.
        names: which of its files.

    Args:
        archive: the archive, whose layout was compared; its descriptor is duplicated.
        names: the files.
    """

    def __init__(self, archive: Archive, names: Collection[str]) -> None:
        self.path: Path = archive.path
        self.names = frozenset(names)
        self._members = {m.content.name: m for m in archive.layout.members if m.content.name in self.names}
        self._descriptor = os.dup(archive.descriptor)
        weakref.finalize(self, os.close, self._descriptor)

    def map(self, name: str) -> memoryview:
        """Return the bytes of a file: private pages of memory, which whoever has them may write to."""
        member = self._members[name]
        if not member.content.size:
            return memoryview(bytearray())
        # A mapping begins at a page, as files of a page and more do; smaller ones have something before them.
        start = member.offset - member.offset % mmap.ALLOCATIONGRANULARITY
        ahead = member.offset - start
        length = ahead + member.content.size
        mapped = mmap.mmap(self._descriptor, length, access=mmap.ACCESS_COPY, offset=start)
        return memoryview(mapped)[ahead:]

    def measure(self, name: str) -> FileDigest:
        """Hash a file."""
        member: Member = self._members[name]
        sha256 = hashlib.sha256()
        with memoryview(self.map(name)) as mapped:
            sha256.update(mapped)
        return FileDigest(name, member.content.size, sha256.hexdigest())

    def stamp(self) -> Stamp:
        """Return what changes when somebody writes to the archive."""
        return stamp_of(os.fstat(self._descriptor))
