"""A store in a bucket, with the documents of a folder's, and each version's model in one file.

::

    store.json
    iris/notes.json
    iris/1/version.json                                    names the archive with the model
    iris/1/notes.json  iris/1/model.sig  iris/1/deleted.json
    iris/aliases/champion.json
    iris/archives/<16 digits of the digest>-<id>.palate    what 'palate pack' writes

What makes a version is its ``version.json``, which is created if nothing is there: whoever comes first has the number.
The archive that it names was uploaded before, under a name of its own, and never changes; one that no version names is
seen by nobody, and removed by ``collect`` when it is a day old. Parts of an upload that was killed are no objects yet;
a rule of the bucket's own removes those (on Amazon S3, AbortIncompleteMultipartUpload). Objects whose names begin with
a dot were to show whether the server keeps to conditions, and are passed over.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from palate.errors import InvalidStore, RemoteFailed
from palate.packing import pack_directory
from palate.remote import Bucket
from palate.storage import Manifest, copy_model, keep_fetched, read_manifest, stage_in_cache
from palate.store._documents import VersionRecord, dump, load
from palate.store._names import is_version
from palate.store._place import Describe, Document

__all__ = ["BucketPlace"]

_ARCHIVES: Final = "archives"
_VERSION_FILE: Final = "version.json"
_UNFINISHED: Final = timedelta(days=1)


class BucketPlace:
    """A bucket, or a folder of one, as the place of a store; see ``Place``.

    Args:
        uri: such as ``s3://bucket/folder``.
        unfinished: for how long somebody may still be at an archive that no version names.
    """

    def __init__(self, uri: str, *, unfinished: timedelta = _UNFINISHED) -> None:
        self._bucket = Bucket(uri)
        self._unfinished = unfinished

    @property
    def uri(self) -> str:
        """Return the address of the bucket."""
        return self._bucket.uri

    @property
    def is_local(self) -> bool:
        """Return False: its models are found in the cache, which forgets them."""
        return False

    def read(self, key: str) -> Document | None:
        """Return a document; None if there is none."""
        found = self._bucket.read(key)
        return Document(found.content, found.tag) if found else None

    def create(self, key: str, content: bytes) -> bool:
        """Write a document that must not exist yet; return whether it did not."""
        return self._bucket.create(key, content)

    def replace(self, key: str, content: bytes, tag: str) -> bool:
        """Write a document anew if it still has that tag; return whether it had."""
        return self._bucket.replace(key, content, tag)

    def remove(self, key: str) -> None:
        """Remove a document, if it is there."""
        self._bucket.remove(key)

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""
        return _shown(self._bucket.names(folder)[0])

    def documents(self, folder: str) -> list[str]:
        """Return the names of the documents in a folder."""
        return _shown(self._bucket.names(folder)[1])

    def prepare(self) -> None:
        """Raise RemoteFailed if the server makes no writes on conditions, on which everything here stands."""
        self._bucket.check_conditions()

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Return a hidden folder on this machine for a model that is to be added, which is removed afterwards."""
        del name
        with stage_in_cache("upload") as home:
            yield home

    def add(
        self, name: str, source: Path, describe: Describe, *, signature: bytes | None = None, move: bool = False
    ) -> int:
        """Upload the model directory *source* in one file as the next version of a model; return its number."""
        del move  # it is read in any case
        with self.scratch(name) as home:
            root, manifest = _sealed(source, home)
            pack_directory(root, home / "archive", signature=signature)
            where = f"{_ARCHIVES}/{manifest.digest[:16]}-{uuid.uuid4().hex}.palate"
            record = dump(describe(manifest, where))
            self._upload(f"{name}/{where}", home / "archive")
        # If this fails, the version may be there all the same; an archive that none names is removed by collect.
        return self._take_number(name, record)

    def find(self, name: str, number: int, record: VersionRecord) -> Path | None:
        """Return the directory in the cache with the files of a version; None if they are gone."""
        key = self._archive(name, number, record)
        # Asked even where the cache has it: what is gone is gone for everybody.
        there = self._bucket.stat(key)
        if there is None:
            return None
        _, tag = there

        def fetch(file: Path, known: str | None) -> str | None:
            if known == tag:
                return None
            self._bucket.download(key, file)
            return tag

        try:
            return keep_fetched(f"{self.uri}/{key}", fetch)
        except RemoteFailed:
            if self._bucket.stat(key) is None:  # deleted in the meantime
                return None
            raise

    def remove_files(self, name: str, number: int, record: VersionRecord) -> bool:
        """Remove the archive of a version whose record says that it is deleted; return whether it was there."""
        key = self._archive(name, number, record)
        if self._bucket.stat(key) is None:
            return False
        self._bucket.remove(key)
        return True

    def collect(self, name: str) -> list[str]:
        """Remove the archives of versions that were never finished; return their addresses."""
        begun = datetime.now(UTC) - self._unfinished
        old = [entry.key for entry in self._bucket.entries(f"{name}/{_ARCHIVES}") if entry.modified < begun]
        named = set(self._named(name)) if old else set()
        gone = [key for key in old if key not in named]
        for key in gone:
            self._bucket.remove(key)
        return [f"{self.uri}/{key}" for key in gone]

    # -- how ---------------------------------------------------------------------------------------------------------

    def _upload(self, key: str, archive: Path) -> None:
        try:
            self._bucket.upload(key, archive)
        except BaseException:
            with suppress(RemoteFailed):
                self._bucket.remove(key)  # it may be there, and only the answer was lost
            raise

    def _take_number(self, name: str, record: bytes) -> int:
        number = max((int(folder) for folder in self.folders(name) if is_version(folder)), default=0) + 1
        while not self.create(f"{name}/{number}/{_VERSION_FILE}", record):
            number += 1
        return number

    def _named(self, name: str) -> Iterator[str]:
        """Yield the key of the archive of each version."""
        for folder in filter(is_version, self.folders(name)):
            key = f"{name}/{folder}/{_VERSION_FILE}"
            if (document := self.read(key)) is not None:
                record = load(VersionRecord, document.content, source=f"{self.uri}/{key}")
                yield self._archive(name, int(folder), record)

    def _archive(self, name: str, number: int, record: VersionRecord) -> str:
        folder, _, file = record.model.partition("/")
        if folder != _ARCHIVES or not file or "/" in file or file.startswith("."):
            source = f"{self.uri}/{name}/{number}/{_VERSION_FILE}"
            raise InvalidStore(source, reason=f"'model' is {record.model!r:.80}, and names no archive here")
        return f"{name}/{record.model}"


def _shown(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _sealed(source: Path, home: Path) -> tuple[Path, Manifest]:
    """Return a model directory that has a manifest: the one given, or a copy."""
    manifest = read_manifest(source)
    if manifest is not None:
        return source, manifest
    (home / "model").mkdir()
    return home / "model", copy_model(source, home / "model")
