"""The small documents of a store: how they are written, and read strictly; each is JSON that a person can read.

``store.json`` marks a store and holds its policy; ``<name>/<number>/version.json`` says what was added,
``<name>/<number>/deleted.json`` that its files are gone; ``notes.json`` holds what people say of a model or a version;
``<name>/aliases/<alias>.json`` has every move of an alias, the last of which counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_type_hints

from palate.errors import InvalidStore
from palate.storage import parse_json

__all__ = [
    "STORE_FORMAT",
    "AliasMove",
    "Deletion",
    "Notes",
    "Policy",
    "VersionRecord",
    "dump",
    "dump_moves",
    "load",
    "load_moves",
    "now_after",
]

STORE_FORMAT: Final = 1
_MAX_BYTES: Final = 16 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

Value = TypeVar("Value", bound="_Document")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What all of them have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Document):
    """What a store demands.

    Attributes:
        keys: public keys (PEM); if there are any, every version must be signed with one of them.
    """

    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord(_Document):
    """What was added as a version.

    Attributes:
        id: tells this addition from every other.
        digest: the model's identity.
        size: of its files in bytes.
        files: how many they are.
        added: when, in UTC (ISO 8601).
        by: who.
        source: what was added, as it was named.
        model: ``model`` where its files are beside this document, else the archive with them in the model's folder.
        description: what people shall read of it, until ``notes.json`` says otherwise.
        tags: what programs shall read of it, likewise.
    """

    id: str
    digest: str
    size: int
    files: int
    added: str
    by: str
    source: str
    model: str
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion(_Document):
    """When, by whom and why the files of a version were deleted."""

    time: str
    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes(_Document):
    """What people say of a model, or of a version of it."""

    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove(_Document):
    """A move of an alias.

    Attributes:
        version: the version that it leads to from then on; None where it was removed.
        digest: the identity of that version.
        time: when, in UTC (ISO 8601); never before the move before, whatever the clock says.
        by: who moved it.
        reason: why, if that was said.
    """

    version: int | None
    digest: str | None
    time: str
    by: str
    reason: str | None = None


def dump(document: _Document) -> bytes:
    """Return the text of a document."""
    return _text(asdict(document))


def load(kind: type[Value], content: bytes, *, source: str) -> Value:
    """Return the document that a text holds; what a newer Palate may add to it is left alone.

    Raises:
        InvalidStore: it is malformed, or of a newer format.
    """
    return _build(kind, _parse(content, source), source)


def dump_moves(moves: tuple[AliasMove, ...]) -> bytes:
    """Return the text of an alias's history."""
    return _text({"moves": [asdict(move) for move in moves]})


def load_moves(content: bytes, *, source: str) -> tuple[AliasMove, ...]:
    """Return the moves of an alias, the first one first.

    Raises:
        InvalidStore: they are malformed, or of a newer format.
    """
    moves = _parse(content, source).get("moves")
    if not isinstance(moves, list) or not moves:
        raise InvalidStore(source, reason="'moves' must be a list with the moves of the alias")
    return tuple(_build(AliasMove, move, source) for move in moves)


def now_after(earlier: str | None) -> str:
    """Return the time of now, or of *earlier* where the clock has gone back behind it."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return max(now, earlier) if earlier is not None else now


def _text(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps({"format": STORE_FORMAT, **facts}, indent=2, ensure_ascii=False) + "\n").encode()


def _parse(content: bytes, source: str) -> dict[str, Any]:
    try:
        document = parse_json(content, max_bytes=_MAX_BYTES)
    except ValueError as exc:
        raise InvalidStore(source, reason=f"it is not JSON: {exc!s:.200}") from exc
    number = document.get("format") if isinstance(document, dict) else None
    if type(number) is not int or number < 1:
        raise InvalidStore(source, reason="it has no format number")
    if number > STORE_FORMAT:
        raise InvalidStore(source, reason=f"it is of format {number}, from a newer Palate", hint="upgrade palate")
    assert isinstance(document, dict)
    return document


def _build(kind: type[Value], facts: object, source: str) -> Value:
    if not isinstance(facts, dict):
        raise InvalidStore(source, reason="it must be a mapping")
    hints = get_type_hints(kind)
    given = {}
    for one in fields(kind):
        if one.name in facts:
            given[one.name] = _checked(facts[one.name], hints[one.name], one.name, source)
    try:
        return kind(**given)
    except TypeError as exc:
        missing = sorted({one.name for one in fields(kind)} - given.keys())
        raise InvalidStore(source, reason=f"it lacks {', '.join(missing)}") from exc


def _checked(value: object, hint: Any, name: str, source: str) -> object:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if not any(_is_a(value, kind) for kind in kinds):
        raise InvalidStore(source, reason=f"{name!r} is not what Palate writes there")
    if name == "digest" and isinstance(value, str) and not _SHA256.fullmatch(value):
        raise InvalidStore(source, reason="'digest' is not a sha256 in hex")
    if name in ("time", "added") and isinstance(value, str):
        _check_time(value, name, source)
    return value


def _is_a(value: object, kind: Any) -> bool:
    if kind is type(None):
        return value is None
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == dict[str, str]:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return type(value) is kind  # to isinstance, true is a number


def _check_time(value: str, name: str, source: str) -> None:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise InvalidStore(source, reason=f"{name!r} is not a time with its zone")
