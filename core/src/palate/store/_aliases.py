"""Aliases: names for versions that can be moved, such as "champion", with the history of every move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from palate.errors import AliasMoved, InvalidOption, VersionNotFound
from palate.store._documents import AliasMove, dump_moves, load_moves, now_after
from palate.store._place import Place

__all__ = ["Aliases"]

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class _History:
    moves: tuple[AliasMove, ...]
    tag: str | None

    @property
    def version(self) -> int | None:
        return self.moves[-1].version if self.moves else None


class Aliases:
    """The aliases of one model.

    Args:
        place: where the store is.
        name: of the model.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name

    def current(self) -> dict[str, int]:
        """Return the version of each alias that leads to one."""
        found = {alias: self._read(alias).version for alias in self.names()}
        return {alias: version for alias, version in found.items() if version is not None}

    def names(self) -> list[str]:
        """Return every alias that there ever was."""
        documents = self._place.documents(f"{self._name}/aliases")
        return sorted(name.removesuffix(_SUFFIX) for name in documents if name.endswith(_SUFFIX))

    def leading_to(self, number: int) -> list[str]:
        """Return the aliases that lead to a version."""
        return [alias for alias, version in self.current().items() if version == number]

    def version_of(self, alias: str) -> int:
        """Return the version that an alias leads to.

        Raises:
            VersionNotFound: it leads nowhere.
        """
        version = self._read(alias).version
        if version is None:
            raise VersionNotFound(f"{self._name}@{alias}", reason="there is no such alias", known=self._known())
        return version

    def history(self, alias: str) -> tuple[AliasMove, ...]:
        """Return the moves of an alias, the first one first.

        Raises:
            VersionNotFound: there never was one of that name.
        """
        moves = self._read(alias).moves
        if not moves:
            raise VersionNotFound(f"{self._name}@{alias}", reason="there never was such an alias", known=self._known())
        return moves

    def at(self, alias: str, time: datetime) -> AliasMove | None:
        """Return the move that counted at a *time*, which has a zone; None if there was none yet.

        Raises:
            InvalidOption: the time has no zone.
            VersionNotFound: there never was an alias of that name.
        """
        if time.tzinfo is None:
            hint = "give it one, as in 2026-11-28T12:00+00:00; a day alone is not enough either"
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
        expected: int | object | None,
        may_move: Callable[[int, int], None],
    ) -> tuple[AliasMove, int | None]:
        """Let an alias lead to a version, or nowhere; return the move, and the version that it led to before.

        Args:
            alias: which one.
            version: the version, or None.
            digest: its identity.
            by: who moves it.
            reason: why.
            expected: where it must lead before, a version or None; anything else where that does not matter.
            may_move: is given the versions before and after, and raises if it may not be moved; called again where
                somebody else moved it meanwhile.

        Raises:
            AliasMoved: it is not where it is expected to be.
        """
        while True:
            history = self._read(alias)
            old = history.version
            if (expected is None or isinstance(expected, int)) and old != expected:
                raise AliasMoved(f"{self._name}@{alias}", expected=expected, found=old)
            if old is not None and version is not None and old != version:
                may_move(old, version)
            time = now_after(history.moves[-1].time if history.moves else None)
            move = AliasMove(version=version, digest=digest, time=time, by=by, reason=reason)
            if self._write(alias, (*history.moves, move), history.tag):
                return move, old

    def _write(self, alias: str, moves: tuple[AliasMove, ...], tag: str | None) -> bool:
        key, content = self._key(alias), dump_moves(moves)
        return self._place.create(key, content) if tag is None else self._place.replace(key, content, tag)

    def _read(self, alias: str) -> _History:
        document = self._place.read(self._key(alias))
        if document is None:
            return _History((), None)
        return _History(load_moves(document.content, source=f"{self._place.uri}/{self._key(alias)}"), document.tag)

    def _key(self, alias: str) -> str:
        return f"{self._name}/aliases/{alias}{_SUFFIX}"

    def _known(self) -> list[str]:
        return [f"@{alias}" for alias in self.current()]
