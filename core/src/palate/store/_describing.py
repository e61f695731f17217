"""What is recorded of a model that is added, once it is what whoever demands something of it demands."""

from __future__ import annotations

import uuid

from palate.locations import Location, require_digest
from palate.signing import parse_keys, require_signature
from palate.storage import Manifest
from palate.store._documents import Notes, VersionRecord, now_after
from palate.store._place import Describe, Place
from palate.store._policy import demanded_keys

__all__ = ["describing"]


def describing(place: Place, location: Location, notes: Notes, *, by: str) -> Describe:
    """Return what describes a model that is added; it refuses one without the digest or signature that is demanded."""
    keys = demanded_keys(place)

    def describe(manifest: Manifest, where: str) -> VersionRecord:
        require_digest(location.uri, manifest.digest, location.digest)
        for demanded in filter(None, (location.keys, keys)):  # by the store that it comes from, and by this one
            require_signature(location, manifest, parse_keys(demanded))
        return VersionRecord(
            id=uuid.uuid4().hex,
            digest=manifest.digest,
            size=sum(file.size for file in manifest.files),
            files=len(manifest.files),
            added=now_after(None),
            by=by,
            source=location.uri,
            model=where,
            description=notes.description,
            tags=notes.tags,
        )

    return describe
