"""Aliases: names for versions that can be moved, such as "champion", with the history of every move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import EllipsisType
from typing import Final

from palate.errors import AliasMoved, InvalidOption, VersionNotFound
from palate.store._deletions import Deletions
from palate.store._documents import AliasHistory, AliasMove, dump, load, now_after
from palate.store._place import Place

__all__ = ["Aliases"]

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class _Stored:
    history: AliasHistory
    tag: str | None

    @property
    def moves(self) -> tuple[AliasMove, ...]:
        return self.history.moves


class Aliases:
    """The aliases of one model.

    An alias leads where its last move led, unless that version was deleted at the same time as it was moved there: then
    the move does not count, and the one before does.

    Args:
        place: where the store is.
        name: of the model.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name
        self._deletions = Deletions(place, name)

    def current(self) -> dict[str, int]:
        """Return the version of each alias that leads to one."""
        found = {alias: self._target(self._read(alias).moves) for alias in self.names()}
        return {alias: move.version for alias, move in found.items() if move is not None and move.version is not None}

    def names(self) -> list[str]:
        """Return every alias that there ever was."""
        documents = self._place.documents(f"{self._name}/aliases")
        return sorted(name.removesuffix(_SUFFIX) for name in documents if name.endswith(_SUFFIX))

    def using(self, number: int) -> list[str]:
        """Return the aliases that lead to a version, or would if the one that they lead to were deleted now."""
        return [alias for alias in self.names() if number in self._possible(self._read(alias).moves)]

    def version_of(self, alias: str) -> int:
        """Return the version that an alias leads to.

        Raises:
            VersionNotFound: it leads nowhere.
        """
        move = self._target(self._read(alias).moves)
        if move is None or move.version is None:
            raise VersionNotFound(
                f"{self._name}@{alias}", reason=f"the store '{self._place.uri}' has no such alias", known=self._known()
            )
        return move.version

    def history(self, alias: str) -> tuple[AliasMove, ...]:
        """Return the moves of an alias, the first one first.

        Raises:
            VersionNotFound: there never was one of that name.
        """
        moves = self._read(alias).moves
        if not moves:
            raise VersionNotFound(
                f"{self._name}@{alias}",
                reason=f"the store '{self._place.uri}' never had such an alias",
                known=self._known(),
            )
        return moves

    def at(self, alias: str, time: datetime) -> AliasMove | None:
        """Return the move that counted at a *time*, which has a zone; None if there was none yet.

        Raises:
            InvalidOption: the time has no zone.
            VersionNotFound: there never was an alias of that name.
        """
        if not isinstance(time, datetime):
            raise InvalidOption("at", reason=f"it is {type(time).__name__}", hint="give a datetime")
        if time.tzinfo is None:
            hint = "give it one, as in 2026-11-28T12:00+00:00"
            raise InvalidOption("at", reason=f"'{time}' has no time zone", hint=hint)
        before = [move for move in self.history(alias) if datetime.fromisoformat(move.time) <= time]
        return before[-1] if before else None

    def move(
        self,
        alias: str,
        version: int | None,
        digest: str | None,
        *,
        by: str,
        reason: str | None,
        gate: str | None = None,
        expected: int | EllipsisType | None = ...,
        may_move: Callable[[int, int], None] | None = None,
    ) -> AliasMove:
        """Let an alias lead to a version, or nowhere; return the move.

        Args:
            alias: which one.
            version: the version, or None.
            digest: its identity.
            by: who moves it.
            reason: why.
            gate: the digest of the gate that the version has passed.
            expected: where it must lead before, a version or None; left out, where that does not matter.
            may_move: is given the versions before and after, and raises if it may not be moved; called again where
                somebody else moved it meanwhile.

        Raises:
            AliasMoved: it is not where it is expected to be.
        """
        while True:
            stored = self._read(alias)
            target = self._target(stored.moves)
            old = target.version if target else None
            if expected is not ... and old != expected:
                raise AliasMoved(f"{self._name}@{alias}", expected=expected, found=old)
            if may_move is not None and old is not None and version is not None and old != version:
                may_move(old, version)
            time = _next_time(stored.moves)
            move = AliasMove(version=version, digest=digest, time=time, by=by, reason=reason, gate=gate)
            if self._append(alias, stored, move):
                return move

    def take_back(self, alias: str, *, by: str) -> bool:
        """Let an alias that leads to a deleted version lead where it led before; return whether it did."""
        while True:
            stored = self._read(alias)
            lost, target = stored.moves[-1] if stored.moves else None, self._target(stored.moves)
            if lost is None or lost is target:
                return False
            version, digest = (target.version, target.digest) if target else (None, None)
            reason = f"version {lost.version} was deleted at the same time"
            back = AliasMove(version=version, digest=digest, time=_next_time(stored.moves), by=by, reason=reason)
            if self._append(alias, stored, back) and (version is None or self._deletions.withdraw(version)):
                return True

    def _target(self, moves: tuple[AliasMove, ...]) -> AliasMove | None:
        """Return the last move that counts."""
        for move in reversed(moves):
            if move.version is None or self._deletions.done(move.version) is None:
                return move
        return None

    def _possible(self, moves: tuple[AliasMove, ...]) -> set[int]:
        """Return where an alias leads to, or will if a deletion is done that was begun."""
        found: set[int] = set()
        for move in reversed(moves):
            if move.version is None:
                break
            found.add(move.version)
            if not self._deletions.is_possible(move.version):
                break
        return found

    def _append(self, alias: str, stored: _Stored, move: AliasMove) -> bool:
        key = self._key(alias)
        content = dump(replace(stored.history, moves=(*stored.moves, move)))
        return self._place.create(key, content) if stored.tag is None else self._place.replace(key, content, stored.tag)

    def _read(self, alias: str) -> _Stored:
        document = self._place.read(self._key(alias))
        if document is None:
            return _Stored(AliasHistory(moves=()), None)
        source = f"{self._place.uri}/{self._key(alias)}"
        return _Stored(load(AliasHistory, document.content, source=source), document.tag)

    def _key(self, alias: str) -> str:
        return f"{self._name}/aliases/{alias}{_SUFFIX}"

    def _missing(self, alias: str, told: str) -> VersionNotFound:
        reason = f"the store '{self._place.uri}' {told}"
        return VersionNotFound(f"{self._name}@{alias}", reason=reason, known=self._known())

    def _known(self) -> list[str]:
        return [f"@{alias}" for alias in self.current()]


def _next_time(moves: tuple[AliasMove, ...]) -> str:
    return now_after(moves[-1].time if moves else None)
