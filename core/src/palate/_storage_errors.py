"""Errors of models that are kept in one file or in a store; ``palate.errors`` offers them."""

from __future__ import annotations

from collections.abc import Sequence

from palate._problems import PalateError

__all__ = [
    "AliasMoved",
    "BreakingChange",
    "CacheFailed",
    "GateDemanded",
    "InvalidArchive",
    "InvalidStore",
    "StoreFailed",
    "VersionInUse",
]


class InvalidArchive(PalateError, ValueError):
    """A file is no archive of a model, or not one that is whole and laid out as it should be; it was not used."""

    def __init__(self, path: str, *, rule: str, hint: str) -> None:
        self.path, self.rule = path, rule
        super().__init__(f"'{path}' was refused: {rule}. Hint: {hint}.")


_ROOM = "see that there is room, and that you may write there"


class CacheFailed(PalateError, OSError):
    """What was fetched or unpacked could not be kept in the user's cache."""

    def __init__(self, folder: str, *, reason: str) -> None:
        self.folder = folder
        super().__init__(
            f"The cache '{folder}' cannot be used: {reason}. Hint: see that there is room and that you may write "
            "there, or name another folder by the variable PALATE_CACHE; 'palate unpack' does without it."
        )


class InvalidStore(PalateError, ValueError):
    """A document of a store is malformed, or a folder is no store."""

    def __init__(self, source: str, *, reason: str, hint: str = "restore it from a backup, or mend it by hand") -> None:
        self.source, self.reason = source, reason
        super().__init__(f"'{source}' cannot be used: {reason}. Hint: {hint}.")


class StoreFailed(PalateError, OSError):
    """A store could not be read or written to; nothing was changed."""

    def __init__(self, place: str, *, reason: str, hint: str = _ROOM) -> None:
        self.place = place
        super().__init__(f"The store '{place}' cannot be used: {reason}. Nothing was changed. Hint: {hint}.")


class AliasMoved(PalateError, RuntimeError):
    """An alias is not where whoever wanted to move it expected it to be; it was not moved."""

    def __init__(self, alias: str, *, expected: int | None, found: int | None) -> None:
        self.alias, self.expected, self.found = alias, expected, found
        told = f"leads to version {found}" if found is not None else "leads nowhere"
        awaited = f"version {expected}" if expected is not None else "no version"
        super().__init__(
            f"'{alias}' {told}, not to {awaited}: somebody else moved it, and it was not moved. Hint: look at "
            "'palate store history', and decide again."
        )


class BreakingChange(PalateError, ValueError):
    """A version would break the callers of an alias, which was not moved to it."""

    def __init__(self, alias: str, *, old: int, new: int, changes: Sequence[str]) -> None:
        self.alias, self.old, self.new, self.changes = alias, old, new, tuple(changes)
        points = "".join(f"\n  - {change}" for change in self.changes)
        super().__init__(
            f"'{alias}' was not moved from version {old} to {new}, which would break its callers:{points}\n"
            "Hint: change the callers first, and then allow it with allow_breaking=True (CLI: --allow-breaking)."
        )


class GateDemanded(PalateError, PermissionError):
    """A store demands that an alias moves only through a gate, which the version has not passed; it was not moved."""

    def __init__(self, alias: str, *, gate: str, given: str | None = None) -> None:
        self.alias, self.gate, self.given = alias, gate, given
        found = "no gate was passed"
        if given is not None:
            found = "another model passed it" if given == gate else f"the gate that was given is sha256:{given}"
        super().__init__(
            f"'{alias}' was not moved: the store demands that it passes the gate sha256:{gate}, and {found}. Hint: "
            "promote the version with the file of that digest, by 'palate store promote --gate' (in Python: passed=); "
            "'palate store demand' demands another one, or none."
        )


class VersionInUse(PalateError, ValueError):
    """A version that aliases lead to was not deleted."""

    def __init__(self, version: str, *, aliases: Sequence[str]) -> None:
        self.version, self.aliases = version, tuple(aliases)
        names = ", ".join(self.aliases)
        super().__init__(
            f"'{version}' was not deleted: {names} {'leads' if len(self.aliases) == 1 else 'lead'} to it. Hint: move "
            "or remove the alias first."
        )
