"""What marks a place as a store, and what it demands: the document ``store.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palate.errors import InvalidStore
from palate.store._documents import Policy, dump, load
from palate.store._place import Document, Place

__all__ = ["demand_keys", "demanded_keys", "mark_store"]

_MARK: Final = "store.json"


def demanded_keys(place: Place) -> tuple[bytes, ...]:
    """Return the public keys (PEM), one of which must have signed what is in the store; none where that is not so."""
    document = place.read(_MARK)
    policy = load(Policy, document.content, source=f"{place.uri}/{_MARK}") if document else Policy()
    return tuple(key.encode() for key in policy.keys)


def demand_keys(place: Place, keys: Sequence[str]) -> None:
    """Demand signatures by these keys from now on."""
    while not place.replace(_MARK, dump(Policy(keys=list(keys))), mark_store(place).tag):
        continue  # somebody else was faster, and is overruled


def mark_store(place: Place) -> Document:
    """Return what marks the place as a store; mark it, where nothing at all is there.

    Raises:
        InvalidStore: something else is there.
    """
    document = place.read(_MARK)
    if document is None:
        if taken := sorted([*place.folders(""), *place.documents("")]):
            reason = f"it holds {', '.join(taken[:3])}, and no {_MARK}, so it is no store"
            raise InvalidStore(place.uri, reason=reason, hint="name an empty folder, or one that is a store")
        place.prepare()
        place.create(_MARK, dump(Policy()))
        document = place.read(_MARK)
    assert document is not None, "it was there a moment ago"
    return document
