"""What ``https:`` and ``s3:`` URIs lead to: models in one file, fetched once and kept in the cache."""

from __future__ import annotations

from pathlib import Path

from palate.locations import Location, shown_uri
from palate.remote._fetching import fetch
from palate.storage import cache_limit, keep_fetched, read_manifest

__all__ = ["resolve"]


def resolve(uri: str, digest: str | None) -> Location:
    """Return where the model in the one file at *uri* is unpacked: a Resolver.

    If what was fetched from there has that *digest*, it is taken without asking anybody; what the cache has of the same
    model from elsewhere is not, because it may have another signature, or none. Otherwise the server is asked whether
    the file has changed since it was fetched.
    """

    def fetch_file(file: Path, known_tag: str | None) -> str | None:
        fetched = fetch(uri, file, known_tag=known_tag or None, max_size=cache_limit())
        return None if fetched is None else fetched.tag

    path = keep_fetched(uri, fetch_file, digest=digest)
    manifest = read_manifest(path)
    return _location(uri, path, manifest.digest if manifest else None)


def _location(uri: str, path: Path, digest: str | None) -> Location:
    shown = shown_uri(uri)
    # Secrets in an address are for this process alone, and not for whoever gets a pickle of the model.
    lasting = f"{uri}@sha256:{digest}" if digest and shown == uri else None
    return Location(uri=shown, path=path, lasting=lasting)
