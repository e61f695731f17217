"""Which names a file may have in an archive: those that every file system and every reader take for the same file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from palate._disk.paths import name_problem

__all__ = ["MAX_NAME_BYTES", "check_names"]

MAX_NAME_BYTES: Final = 1024
_MAX_DEPTH: Final = 16
# What Windows has another meaning for.
_RESERVED_CHARACTERS: Final = frozenset('<>:"|?*')
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
# Format characters (zero width, direction), private use, and what no text has.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first name that cannot stand with the others, and why; None if all can."""
    taken: set[str] = set()
    folders: set[str] = set()
    for name in names:
        if reason := _problem(name):
            return name, reason
        # Where upper and lower case are one, or compatible characters are, two such files would be one.
        key = unicodedata.normalize("NFKC", name).casefold()
        steps = key.split("/")
        above = {"/".join(steps[:count]) for count in range(1, len(steps))}
        if key in taken:
            return name, "which is there twice, or is another one's name but for case or form"
        if key in folders or not taken.isdisjoint(above):
            return name, "which is a folder in another one's name"
        taken.add(key)
        folders |= above
    return None


def _problem(name: str) -> str | None:
    if reason := name_problem(name):
        return reason
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"which is longer than {MAX_NAME_BYTES} bytes"
    if unicodedata.normalize("NFC", name) != name:
        return "which is not in Unicode's form NFC"
    parts = name.split("/")
    if len(parts) > _MAX_DEPTH:
        return f"which is more than {_MAX_DEPTH} folders deep"
    return next(filter(None, map(_part_problem, parts)), None)


def _part_problem(part: str) -> str | None:
    if part in ("", "."):
        return "which has an empty part, or '.'"
    if part[-1] in " .":
        return "which has a part that ends with a dot or a space"
    if _RESERVED_CHARACTERS & set(part):
        return f"which has one of the characters {' '.join(sorted(_RESERVED_CHARACTERS))}"
    if part.split(".")[0].lower() in _DEVICES:
        return "which is the name of a device on Windows"
    if any(unicodedata.category(character) in _HIDDEN for character in part):
        return "which has a character that is not shown"
    return None
