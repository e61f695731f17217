"""What marks a place as a store, and what it demands: the document ``store.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from palate.errors import InvalidStore
from palate.store._demands import Demands
from palate.store._documents import Policy, dump, load
from palate.store._place import Document, Place

__all__ = [
    "check_store",
    "demand_gates",
    "demand_keys",
    "demand_nothing",
    "demanded_keys",
    "mark_store",
    "read_demands",
]

_MARK: Final = "store.json"


def check_store(place: Place) -> None:
    """Raise unless the place is a store that can be read, or nothing is there.

    Raises:
        InvalidStore: something else is there, or a store of a newer format.
    """
    document = _find_mark(place)
    if document is not None:
        _load(place, document)


def read_demands(place: Place) -> Demands:
    """Return what the store demands; nothing where there is none yet."""
    document = place.read(_MARK)
    policy = _load(place, document) if document else Policy()
    return Demands(keys=tuple(policy.keys), gates=policy.gates)


def demanded_keys(place: Place) -> tuple[bytes, ...]:
    """Return the public keys (PEM), one of which must have signed what is in the store; none where that is not so."""
    return tuple(key.encode() for key in read_demands(place).keys)


def demand_keys(place: Place, keys: Sequence[str]) -> None:
    """Demand signatures by these keys from now on."""
    _change(place, lambda policy: replace(policy, keys=list(keys)))


def demand_gates(place: Place, gates: Mapping[str, str | None]) -> None:
    """Demand gates, by their digests, of these aliases from now on; None of those with None. Others stay."""

    def change(policy: Policy) -> Policy:
        changed = {**policy.gates, **gates}
        return replace(policy, gates={alias: gate for alias, gate in sorted(changed.items()) if gate is not None})

    _change(place, change)


def demand_nothing(place: Place) -> None:
    """Demand neither signatures nor gates from now on."""
    _change(place, lambda policy: replace(policy, keys=[], gates={}))


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


def _change(place: Place, change: Callable[[Policy], Policy]) -> None:
    while True:
        document = mark_store(place)
        if place.replace(_MARK, dump(change(_load(place, document))), document.tag):
            return  # else somebody else was faster, and what he changed stays as far as this change is not about it


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
