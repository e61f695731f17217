"""Documents and files in a bucket, with what a store of versions needs: whoever comes first has a name, for good.

A bucket has no locks and no renames. It has writes that are made on a condition: only if nothing is there, or only if
there is still what was read. The server decides, so any number of processes on any number of machines may try.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from palate.errors import InvalidOption
from palate.remote._failures import Addressee, is_absent, reported
from palate.remote._library import PATIENCE, claim_library, open_bucket
from palate.remote._reading import open_object
from palate.remote._streams import Progress, pour

if TYPE_CHECKING:
    from obstore import PutMode

__all__ = ["Bucket", "Document", "Entry", "split_uri"]

_URI: Final = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,62})(?P<path>/[^?#]*)?")
_PART: Final = 8 << 20
_PARTS: Final = 9_000  # S3 takes 10,000 of one file
_PARTS_AT_ONCE: Final = 3
_CONFLICTS: Final = 5
_CONFLICT_SECONDS: Final = 0.2
_LISTED_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What stands under a key, and the server's tag of just that content."""

    content: bytes
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object in a listing. A mark that a console has made for an empty folder looks like an empty object.

    Its tag is what ``Bucket.stat`` tells, too; None from a server whose listings have none.
    """

    key: str
    size: int
    modified: datetime
    tag: str | None


class Bucket:
    """A bucket, or what is below a prefix of one: ``s3://bucket/prefix``.

    Credentials, region and endpoint are those of the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, a role's token file, a container's or an instance's own; with
    AWS_PROFILE, by boto3, what that profile in ``~/.aws`` says. An endpoint without TLS is only taken on this machine,
    or with AWS_ALLOW_HTTP=true.

    Keys are relative, with slashes. Every method raises RemoteFailed when the server cannot be reached, refuses or
    breaks off: after *patience* seconds of silence, or twice that where something else had failed before.
    """

    def __init__(self, uri: str, *, patience: float = PATIENCE) -> None:
        """Open the bucket without asking anybody.

        Raises:
            InvalidOption: *uri* is no such address.
            DependencyMissing: obstore is not installed, or AWS_PROFILE is set and boto3 is not.
            RemoteFailed: the environment names a profile, an endpoint or a key that cannot be one.
        """
        bucket, prefix = split_uri(uri)
        self.uri = uri.rstrip("/")
        self._patience = patience
        self._store = open_bucket(bucket, prefix, self._whom(""))

    def read(self, key: str) -> Document | None:
        """Return what stands under *key*, or None."""
        whom = self._whom(key)
        with reported(whom, "read"):
            try:
                answer = self._store.get(key)
            except FileNotFoundError as exc:
                if is_absent(exc):
                    return None
                raise
            return Document(content=bytes(answer.bytes()), tag=_tag(whom, answer.meta["e_tag"]))

    def stat(self, key: str) -> tuple[int, str] | None:
        """Return the size and the tag of what stands under *key*; None if nothing does, or if there is no bucket."""
        whom = self._whom(key)
        with reported(whom, "look at"):
            try:
                found = self._store.head(key)
            except FileNotFoundError:  # the answer has no body that would tell one from the other
                return None
        return found["size"], _tag(whom, found["e_tag"])

    def open(self, key: str) -> BufferedReader:
        """Open what stands under *key* to be read from any place; just what is read is fetched, as it is read."""
        whom = self._whom(key)
        found = self.stat(key)
        if found is None:
            raise whom.failed("read", reason="nothing is there", hint="check the address")
        return open_object(self._store, key, found[0], whom)

    def create(self, key: str, content: bytes) -> bool:
        """Put *content* under *key* if nothing is there; return whether it is there now.

        It has to be unlike what anybody else would put there, as with an id in it. An answer may be lost on the way and
        the request be sent again, which then finds its own object; so what is there is read, and compared. Where this
        raises RemoteFailed, nobody knows whether it is there.
        """
        for _ in range(_CONFLICTS):
            if self._put(key, content, mode="create"):
                return True
            found = self.read(key)
            if found is not None:
                return found.content == content
            # It was just being removed, or S3 had several requests at once and refused them all.
            time.sleep(_CONFLICT_SECONDS)
        raise self._whom(key).failed(
            "create",
            reason="the server says again and again that it exists, though it does not",
            hint="try again later",
        )

    def replace(self, key: str, content: bytes, tag: str) -> bool:
        """Put *content* under *key* if what is there still has *tag*; return whether it is there now.

        As with ``create``, the content has to be unlike any other, and RemoteFailed leaves it open.
        """
        if self._put(key, content, mode={"e_tag": tag}):
            return True
        found = self.read(key)
        return found is not None and found.content == content

    def remove(self, key: str) -> None:
        """Remove what stands under *key*, if anything does."""
        whom = self._whom(key)
        with reported(whom, "remove"):
            try:
                self._store.delete(key)
            except FileNotFoundError as exc:
                if not is_absent(exc):
                    raise

    def names(self, folder: str = "") -> tuple[list[str], list[str]]:
        """Return the names of the folders, and of the documents, that stand directly in *folder*; both are sorted."""
        whom = self._whom(folder)
        with reported(whom, "list"):
            found = self._store.list_with_delimiter(folder or None)
        folders = (_last(path) for path in found["common_prefixes"])
        documents = (_last(entry["path"]) for entry in found["objects"] if entry["path"] not in ("", folder))
        return sorted(folders), sorted(documents)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Yield all objects in *folder* and in the folders in it, in no order, as the pages of the listing come."""
        whom = self._whom(folder)
        with reported(whom, "list"):
            pages = iter(self._store.list(folder or None, chunk_size=_LISTED_AT_ONCE))
        while True:
            with reported(whom, "list"):
                page = next(pages, None)
            if page is None:
                return
            for found in page:
                if found["path"] not in ("", folder):
                    modified, tag = found["last_modified"], found["e_tag"]
                    yield Entry(key=found["path"], size=found["size"], modified=modified, tag=tag)

    def upload(self, key: str, file: Path) -> None:
        """Put a file under *key*, in parts if it is large; it is there whole, or not at all.

        Whatever was there is replaced.

        Raises:
            OSError: the file cannot be read.
        """
        whom = self._whom(key)
        with file.open("rb") as source:
            size = source.seek(0, 2)
            source.seek(0)
            with reported(whom, "upload to"):
                self._store.put(key, source, chunk_size=max(_PART, -(-size // _PARTS)), max_concurrency=_PARTS_AT_ONCE)
        found = self.stat(key)
        if found is None or found[0] != size:
            there = "nothing is there" if found is None else f"{found[0]:,} bytes are there"
            raise whom.failed("upload to", reason=f"{size:,} bytes were sent, and {there}", hint="try again later")

    def download(self, key: str, into: IO[bytes] | Path, *, progress: Progress | None = None) -> None:
        """Write what stands under *key* to an open file, or to a new one.

        Raises:
            FileExistsError: there is a file of that path already.
            OSError: the disk refuses.
        """
        if isinstance(into, Path):
            with into.open("xb") as file:
                try:
                    self.download(key, file, progress=progress)
                except BaseException:
                    into.unlink(missing_ok=True)
                    raise
            return
        whom = self._whom(key)
        with reported(whom, "download"):
            answer = self._store.get(key)
        pour(answer, into, whom=whom, doing="download", progress=progress)

    def check_conditions(self) -> None:
        """Find out, under a name of its own, whether the server keeps to the conditions of ``create`` and ``replace``.

        One that passes over them without a word would let two writers each believe to be the only one.

        Raises:
            RemoteFailed: it does not.
        """
        key = f".palate-probe-{uuid.uuid4().hex}"
        try:
            kept = self._put(key, b"1", mode="create") and not self._put(key, b"2", mode="create")
            found = self.read(key)
            if kept and found is not None:
                kept = self._put(key, b"3", mode={"e_tag": found.tag})
                kept = kept and not self._put(key, b"4", mode={"e_tag": found.tag})
        finally:
            self.remove(key)
        if not kept or found is None:
            raise self._whom("").failed(
                "keep a store at",
                reason="the server replaces what is there when it is asked not to (If-None-Match, If-Match), so that "
                "of two writers at once one would lose what it wrote",
                hint="use a server that makes writes on conditions, such as Amazon S3 or SeaweedFS 4, or a directory",
            )

    def _put(self, key: str, content: bytes, *, mode: PutMode) -> bool:
        """Write on a condition; return False if the server says that it is not met."""
        whom = self._whom(key)
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with reported(whom, "write"):
            try:
                self._store.put(key, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def _whom(self, key: str) -> Addressee:
        """Return whom to name in an error; every way to the server comes by here."""
        claim_library(self.uri)
        return Addressee(uri=f"{self.uri}/{key}" if key else self.uri, patience=self._patience)


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the path that an ``s3:`` address names.

    Raises:
        InvalidOption: it is none.
    """
    found = _URI.fullmatch(uri)
    path = (found["path"] or "").strip("/") if found else ""
    if found is None or not uri.isprintable() or (path and {"", ".", ".."} & set(path.split("/"))):
        raise InvalidOption(
            "uri",
            reason="it is not the address of a bucket",
            hint="give one such as s3://bucket/folder; credentials and the endpoint come from the environment",
        )
    return found["bucket"], path


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _tag(whom: Addressee, tag: str | None) -> str:
    if not tag:
        raise whom.failed(
            "read",
            reason="the server sent no ETag, by which one content is told from another",
            hint="use another server, or a directory",
        )
    return tag
