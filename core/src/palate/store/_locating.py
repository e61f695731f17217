"""Where a version's files are, and what whoever opens them has to find there."""

from __future__ import annotations

from palate.errors import VersionNotFound
from palate.locations import Location
from palate.store._place import Place
from palate.store._policy import demanded_keys
from palate.store._versions import Versions

__all__ = ["locate_version"]


def locate_version(place: Place, name: str, number: int, *, uri: str) -> Location:
    """Return where a version's files are, and which identity and signature they must have.

    Raises:
        VersionNotFound: there is none of that number, it was deleted, or its files are gone.
    """
    versions = Versions(place, name)
    record = versions.require(number)
    path = place.find(name, number, record)
    if path is None:
        raise VersionNotFound(f"{name}/{number}", reason="its files are gone", known=())
    return Location(
        uri=uri,
        path=path,
        digest=record.digest,
        name=name,
        version=str(number),
        signature=versions.signature(number),
        keys=demanded_keys(place),
        lasting=None if place.is_local else f"models:/{name}/{number}@sha256:{record.digest}",
    )
