"""What the kit notes of a test, and how the note travels with the test's report, from one process to another."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Note", "attach_note", "is_skipped_by_kit", "mark_skipped_by_kit", "read_note"]

# Names among the properties of a report, which pytest carries along as plain data.
_NOTE = "palate_check"
_SKIPPED_BY_KIT = "palate_skipped_by_kit"


@dataclass(frozen=True, kw_only=True)
class Note:
    """Which check a test is, and of which case.

    Attributes:
        check: the name of the check.
        why: the sentence that says what it proves.
        group: the class of tests, by pytest's id, since two modules may have a class of one name.
        parameters: those of the fixtures, by pytest's id; empty when there are none.
        case: the name of both together, for people.
        flavor: the flavor's name.
        format: the format that the class saves in; empty when there is no such flavor to ask for its default.
        distribution: who provides the flavor; empty when it cannot be used.
        version: the version of that.
        settings: what the class allows itself besides: a tolerance, a longer import; empty when nothing.
    """

    check: str
    why: str
    group: str
    parameters: str
    case: str
    flavor: str
    format: str
    distribution: str
    version: str
    settings: str


def attach_note(properties: MutableSequence[tuple[str, Any]], note: Note) -> None:
    """Add the note to the properties of a test, which its reports take over."""
    properties.append((_NOTE, asdict(note)))


def read_note(properties: Iterable[tuple[str, Any]]) -> Note | None:
    """Return the note among the properties of a test or of a report, or None: it is no check of the kit."""
    fields = dict(properties).get(_NOTE)
    return None if fields is None else Note(**fields)


def mark_skipped_by_kit(properties: MutableSequence[tuple[str, Any]]) -> None:
    """Add to the properties of a report that the kit's own code skipped the test."""
    properties.append((_SKIPPED_BY_KIT, True))


def is_skipped_by_kit(properties: Iterable[tuple[str, Any]]) -> bool:
    """Whether the kit's own code skipped the test, and not a mark of its author's."""
    return _SKIPPED_BY_KIT in dict(properties)
