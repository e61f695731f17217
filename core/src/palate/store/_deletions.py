"""Deletions of versions, and how a deletion and a move of an alias that come at the same time see each other.

A deletion is first begun and then done, both in ``<name>/<number>/deleted.json``. Whoever deletes looks at the aliases
in between; whoever moves an alias looks, after the move, for a deletion that was begun, and withdraws it. So at least
one of them sees the other, and ``done`` is only ever written over ``begun``.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from palate.store._documents import BEGUN, DONE, WITHDRAWN, Deletion, dump, load
from palate.store._place import Place

__all__ = ["Deletions"]


class Deletions:
    """The deletions of versions of one model.

    Args:
        place: where the store is.
        name: of the model.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name

    def done(self, number: int) -> Deletion | None:
        """Return when, by whom and why a version was deleted; None of one that was not."""
        found, _ = self._read(number)
        return found if found is not None and found.state == DONE else None

    def is_possible(self, number: int) -> bool:
        """Return whether a version was deleted, or may be at any moment."""
        found, _ = self._read(number)
        return found is not None and found.state != WITHDRAWN

    def begin(self, number: int, deletion: Deletion) -> str | None:
        """Say that a version is about to be deleted; return the id of that, or None if it was deleted already."""
        begun = replace(deletion, state=BEGUN, id=uuid.uuid4().hex)
        while True:
            found, tag = self._read(number)
            if found is not None and found.state != WITHDRAWN:
                # One that another has begun, who may have been killed, serves as well.
                return found.id if found.state == BEGUN else None
            if self._write(number, begun, tag):
                return begun.id

    def finish(self, number: int, begun: str, deletion: Deletion) -> bool:
        """Let the deletion with the id *begun* be done; return False if it was withdrawn, or done by another."""
        found, tag = self._read(number)
        if found is None or (found.state, found.id) != (BEGUN, begun):
            return False
        return self._write(number, replace(deletion, state=DONE, id=begun), tag)

    def withdraw(self, number: int) -> bool:
        """Withdraw a deletion that was begun, if there is one; return False if it is done."""
        while True:
            found, tag = self._read(number)
            if found is None or found.state != BEGUN:
                return found is None or found.state == WITHDRAWN
            if self._write(number, replace(found, state=WITHDRAWN), tag):
                return True

    def undo(self, number: int) -> None:
        """Take back a deletion that is done, of a version whose files could not be removed."""
        found, tag = self._read(number)
        if found is not None and found.state == DONE:
            self._write(number, replace(found, state=WITHDRAWN), tag)

    def _write(self, number: int, deletion: Deletion, tag: str | None) -> bool:
        key, content = self._key(number), dump(deletion)
        return self._place.create(key, content) if tag is None else self._place.replace(key, content, tag)

    def _read(self, number: int) -> tuple[Deletion | None, str | None]:
        key = self._key(number)
        document = self._place.read(key)
        if document is None:
            return None, None
        return load(Deletion, document.content, source=f"{self._place.uri}/{key}"), document.tag

    def _key(self, number: int) -> str:
        return f"{self._name}/{number}/deleted.json"
