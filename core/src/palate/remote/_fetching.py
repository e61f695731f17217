"""Single files by their address: whole, under the name that they shall have, or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

from palate.errors import InvalidOption
from palate.remote._failures import Addressee, reported
from palate.remote._library import PATIENCE, is_loopback, open_bucket, open_site
from palate.remote._objects import split_uri
from palate.remote._streams import Progress, pour

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import HTTPStore, S3Store

__all__ = ["Fetched", "fetch"]

_DOING: Final = "fetch"
_STAGE: Final = ".palate-fetch-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that has come.

    Attributes:
        tag: the server's tag of this content, "" if it gave none.
        size: its bytes.
    """

    tag: str
    size: int


def fetch(
    uri: str,
    target: Path,
    *,
    known_tag: str | None = None,
    max_size: int | None = None,
    progress: Progress | None = None,
    patience: float = PATIENCE,
) -> Fetched | None:
    """Fetch a file to *target*, in place of what is there; return None if it is still what *known_tag* names.

    It is written beside *target* under a hidden name first. However it ends, nothing else is left behind.

    Args:
        uri: ``https://host/path``, ``s3://bucket/key``, or ``http:`` on this machine. A user and a password in it are
            sent to that host; a query, such as a signature, is part of the address.
        target: the file to become; its directory is there.
        known_tag: the tag of what the caller has already.
        max_size: refuse what is larger, before a byte of it has come.
        progress: told how many bytes have come, and how many there are.
        patience: for how many seconds a silent server is waited for.

    Raises:
        RemoteFailed: the server cannot be reached, refuses, breaks off, or has more than *max_size*.
        InvalidOption: *uri* is of another kind.
        DependencyMissing: obstore is not installed.
        OSError: the disk refuses.
    """
    whom = Addressee(uri=uri, patience=patience)
    store, key = _open(whom)
    answer = _ask(store, key, known_tag, whom)
    if answer is None:
        return None
    size = answer.meta["size"]
    if max_size is not None and size > max_size:
        raise whom.failed(
            _DOING,
            reason=f"it has {size:,} bytes, and at most {max_size:,} are allowed",
            hint="check the address, or allow more",
        )
    descriptor, name = tempfile.mkstemp(prefix=_STAGE, dir=target.parent)
    try:
        with open(descriptor, "wb") as file:
            pour(answer, file, whom=whom, doing=_DOING, progress=progress)
            _settle(file)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return Fetched(tag=answer.meta["e_tag"] or "", size=size)


def _open(whom: Addressee) -> tuple[S3Store | HTTPStore, str]:
    """Return where to ask, and for what."""
    try:
        parts = urlsplit(whom.uri)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise InvalidOption("uri", reason="it is not an address", hint="give one such as https://host/path") from exc
    if parts.scheme == "s3":
        bucket, path = split_uri(whom.uri)
        folder, _, key = path.rpartition("/")
        if not key:
            raise InvalidOption("uri", reason="it names a bucket, and no file in it", hint="give s3://bucket/path")
        return open_bucket(bucket, folder, whom), key
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidOption(
            "uri", reason="files are fetched by https: and s3: addresses only", hint="give one, or a path"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidOption(
            "uri",
            reason="what comes by http: may have been changed on its way by anybody",
            hint="use https:; http: is for servers on this machine",
        )
    return open_site(parts, whom), ""


def _ask(store: S3Store | HTTPStore, key: str, known_tag: str | None, whom: Addressee) -> GetResult | None:
    """Return the answer whose body has not come yet; None if the file is still that of the tag."""
    from obstore.exceptions import NotModifiedError

    with reported(whom, _DOING):
        try:
            answer = store.get(key, options={"if_none_match": known_tag} if known_tag else None)
        except NotModifiedError:
            return None
    # Some servers know tags and no conditions.
    return None if known_tag and answer.meta["e_tag"] == known_tag else answer


def _settle(file: IO[bytes]) -> None:
    """Force the bytes to the disk: a name must not survive a power cut that its content did not."""
    file.flush()
    os.fsync(file.fileno())
