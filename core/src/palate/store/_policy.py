"""What marks a place as a store, and what it demands: the document ``store.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from palate.errors import InvalidStore
from palate.store._documents import Policy, dump, load
from palate.store._place import Document, Place

__all__ = ["check_store", "demand_keys", "demanded_keys", "mark_store"]

_MARK: Final = "store.json"


def check_store(place: Place) -> None:
    """Raise unless the place is a store that can be read, or nothing is there.

    Raises:
        InvalidStore: something else is there, or a store of a newer format.
    """
    document = _find_mark(place)
    if document is not None:
        _load(place, document)


def demanded_keys(place: Place) -> tuple[bytes, ...]:
    """Return the public keys (PEM), one of which must have signed what is in the store; none where that is not so."""
    document = place.read(_MARK)
    return tuple(key.encode() for key in _load(place, document).keys) if document else ()


def demand_keys(place: Place, keys: Sequence[str]) -> None:
    """Demand signatures by these keys from now on."""
    while True:
        document = mark_store(place)
        policy = replace(_load(place, document), keys=list(keys))
        if place.replace(_MARK, dump(policy), document.tag):
            return  # else somebody else was faster, and is overruled


def mark_store(place: Place) -> Document:
    """Return what marks the place as a store; mark it, where nothing at all is there.

    Raises:
        InvalidStore: something else is there, or a store of a newer format.
    """
    document = _find_mark(place)
    while document is None:
        place.prepare()
        place.create(_MARK, dump(Policy()))
        document = _find_mark(place)
    _load(place, document)
    return document


def _find_mark(place: Place) -> Document | None:
    """Return what marks the place as a store; None if nothing at all is there."""
    document = place.read(_MARK)
    if document is None and (taken := sorted([*place.folders(""), *place.documents("")])):
        document = place.read(_MARK)  # somebody may have made it a store since
        if document is None:
            reason = f"it holds {', '.join(taken[:3])}, and no {_MARK}, so it is no store"
            raise InvalidStore(place.uri, reason=reason, hint="name an empty folder, or one that is a store")
    return document


def _load(place: Place, document: Document) -> Policy:
    return load(Policy, document.content, source=f"{place.uri}/{_MARK}")
