"""What people and programs say of models and versions: a description and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from palate.errors import InvalidOption
from palate.store._documents import Notes, VersionRecord, dump, load
from palate.store._place import Place

__all__ = ["NoteBook", "checked_notes", "checked_text"]

_FILE: Final = "notes.json"


class NoteBook:
    """The notes of a store.

    Args:
        place: where the store is.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def read(self, name: str, record: VersionRecord | None = None, number: int | None = None) -> Notes:
        """Return the notes of a version, which begin with what its record says; without one, of the model."""
        return self._read(_key(name, number), record)[0]

    def change(
        self,
        name: str,
        record: VersionRecord | None = None,
        number: int | None = None,
        *,
        description: str | None,
        tags: Mapping[str, str | None],
    ) -> None:
        """Change what is given: a description, tags; those with None are removed.

        Raises:
            InvalidOption: something given is no text.
        """
        _check_mapping(tags)
        key = _key(name, number)
        while True:
            old, tag = self._read(key, record)
            kept = {name: value for name, value in {**old.tags, **tags}.items() if value is not None}
            notes = checked_notes(old.description if description is None else description, kept)
            content = dump(replace(notes, extra=old.extra))
            if self._place.create(key, content) if tag is None else self._place.replace(key, content, tag):
                return

    def _read(self, key: str, record: VersionRecord | None) -> tuple[Notes, str | None]:
        document = self._place.read(key)
        if document is None:
            return Notes(description=record.description, tags=record.tags) if record else Notes(), None
        return load(Notes, document.content, source=f"{self._place.uri}/{key}"), document.tag


def checked_notes(description: object, tags: Mapping[str, object]) -> Notes:
    """Return notes that were given.

    Raises:
        InvalidOption: something is no text.
    """
    if not isinstance(description, str):
        raise InvalidOption("description", reason=f"it is {type(description).__name__}", hint="give text")
    _check_mapping(tags)
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str) or not name:
            raise InvalidOption("tags", reason=f"{name!r:.60} or its value is no text", hint="give text for both")
    return Notes(description=description, tags={name: str(value) for name, value in tags.items()})


def checked_text(what: str, text: str | None) -> str | None:
    """Return what somebody said, if anything: a name, a reason.

    Raises:
        InvalidOption: it is no text.
    """
    if text is not None and not isinstance(text, str):
        raise InvalidOption(what, reason=f"it is {type(text).__name__}", hint="give text")
    return text


def _check_mapping(tags: object) -> None:
    if not isinstance(tags, Mapping):
        raise InvalidOption("tags", reason=f"it is {type(tags).__name__}", hint="give a dict of texts")


def _key(name: str, number: int | None) -> str:
    return f"{name}/{_FILE}" if number is None else f"{name}/{number}/{_FILE}"
