"""Deleting versions to which no alias leads, and removing what killed processes left."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from palate.errors import PalateError, StoreFailed, VersionInUse
from palate.store._aliases import Aliases
from palate.store._deletions import Deletions
from palate.store._documents import Deletion, VersionRecord, now_after
from palate.store._place import Place
from palate.store._versions import Versions

__all__ = ["collect_unfinished", "delete_version"]


def delete_version(place: Place, name: str, number: int, *, by: str, reason: str | None) -> None:
    """Delete the files of a version.

    Raises:
        VersionNotFound: there is none of that number, or it was deleted.
        VersionInUse: an alias leads to it.
        StoreFailed: its files cannot be removed; they are all still there, and the version too.
    """
    record = _let_go(place, name, number, by=by, reason=reason)
    try:
        place.remove_files(name, number, record)
    except StoreFailed:
        with suppress(PalateError):
            Deletions(place, name).undo(number)
        raise


def collect_unfinished(place: Place, names: Iterable[str], *, by: str) -> list[str]:
    """Finish deletions and moves of aliases, and remove what was to be added, at which somebody was killed."""
    gone: list[str] = []
    for name in names:
        versions, aliases = Versions(place, name), Aliases(place, name)
        gone += [f"the last move of {name}@{alias}" for alias in aliases.names() if aliases.take_back(alias, by=by)]
        for number in versions.numbers():
            if versions.deletion(number) is None:
                continue
            # Not find: a bucket would fetch them first.
            if place.remove_files(name, number, versions.record(number)):
                gone.append(f"the files of {name}/{number}")
        gone += place.collect(name)
    return gone


def _let_go(place: Place, name: str, number: int, *, by: str, reason: str | None) -> VersionRecord:
    """Let a version be deleted from now on, unless an alias leads to it; return its record."""
    versions, deletions = Versions(place, name), Deletions(place, name)
    while True:
        record = versions.require(number)
        _refuse_in_use(place, name, number)
        deletion = Deletion(time=now_after(record.added), by=by, reason=reason)
        begun = deletions.begin(number, deletion)
        if begun is None:
            continue  # somebody else was faster, and require says who
        try:
            # Whoever moves an alias looks for deletions after the move, and may have looked before this one was begun.
            _refuse_in_use(place, name, number)
            if deletions.finish(number, begun, deletion):
                return record
        except PalateError:
            with suppress(PalateError):
                deletions.withdraw(number)
            raise


def _refuse_in_use(place: Place, name: str, number: int) -> None:
    if leading := Aliases(place, name).using(number):
        raise VersionInUse(f"{name}/{number}", aliases=leading)
