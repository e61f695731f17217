"""What a store stands on: a folder or a bucket, in which documents are created and replaced all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from palate.storage import Manifest
from palate.store._documents import VersionRecord

__all__ = ["Describe", "Document", "Place"]

# Makes the record of a version: from what was copied, and where its files are.
Describe = Callable[[Manifest, str], VersionRecord]


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read, and a tag that it keeps until it is replaced."""

    content: bytes
    tag: str


class Place(Protocol):
    """Where the documents and the models of a store are.

    Keys are relative POSIX paths of names that were checked. Every method raises ``StoreFailed`` or ``RemoteFailed``
    where the place cannot be used.

    Attributes:
        uri: what the place is called.
        is_local: whether its models stay where ``find`` finds them.
    """

    @property
    def uri(self) -> str: ...

    @property
    def is_local(self) -> bool: ...

    def read(self, key: str) -> Document | None:
        """Return a document; None if there is none."""

    def create(self, key: str, content: bytes) -> bool:
        """Write a document that must not exist yet; return whether it did not."""

    def replace(self, key: str, content: bytes, tag: str) -> bool:
        """Write a document anew if it still has that tag; return whether it had."""

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""

    def documents(self, folder: str) -> list[str]:
        """Return the names of the documents in a folder."""

    def add(
        self, name: str, source: Path, describe: Describe, *, signature: bytes | None = None, move: bool = False
    ) -> int:
        """Copy the model directory *source* as the next version of a model; return its number.

        The version is seen whole or not at all, and two that are added at once have two numbers. A *signature*
        takes the place of the one in the directory. With *move* that is one in ``scratch``, sealed and on disk, and may
        itself become the version.
        """

    def scratch(self, name: str) -> AbstractContextManager[Path]:
        """Return a hidden folder for a model that is to be added, which is removed afterwards."""

    def prepare(self) -> None:
        """Make ready for the first document, or raise where what a store needs is missing."""

    def find(self, name: str, number: int, record: VersionRecord) -> Path | None:
        """Return the directory on this machine with the files of a version; None if they are gone."""

    def remove_files(self, name: str, number: int, record: VersionRecord) -> bool:
        """Remove the files of a version that is deleted; return whether they were there.

        Where StoreFailed is raised, they are all still there.
        """

    def collect(self, name: str) -> list[str]:
        """Remove what was begun and never finished under a model's name; return what that was."""
