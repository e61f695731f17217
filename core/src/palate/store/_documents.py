"""The small documents of a store: how they are written, and read strictly; each is JSON that a person can read.

``store.json`` marks a store and holds its policy; ``<name>/<number>/version.json`` says what was added,
``<name>/<number>/deleted.json`` that its files are gone; ``notes.json`` holds what people say of a model or a version;
``<name>/aliases/<alias>.json`` has every move of an alias, the last of which counts. What a newer Palate has added to
one of them stays in it when it is written anew.

Format 2 is that of a ``store.json`` that demands gates, and of nothing else: a Palate that knows of no gates would move
aliases past them, so it has to refuse such a store. A store that demands none stays readable for it.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from types import UnionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from palate.errors import InvalidOption, InvalidStore
from palate.storage import parse_json
from palate.store._names import check_alias_of

__all__ = [
    "BEGUN",
    "DONE",
    "GATES_FORMAT",
    "STORE_FORMAT",
    "WITHDRAWN",
    "AliasHistory",
    "AliasMove",
    "Deletion",
    "Notes",
    "Policy",
    "VersionRecord",
    "dump",
    "is_digest",
    "load",
    "now_after",
]

STORE_FORMAT: Final = 1
GATES_FORMAT: Final = 2
BEGUN: Final = "begun"
DONE: Final = "done"
WITHDRAWN: Final = "withdrawn"
_MAX_BYTES: Final = 16 << 20
_MAX_BRACKETS: Final = 100_000  # an alias has one for each move
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RANGES: Final = {"version": range(1, 1_000_000_000)}

Value = TypeVar("Value", bound="_Document")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What all of them have in common: what a newer Palate may have written into them besides."""

    extra: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Document):
    """What a store demands.

    Attributes:
        keys: public keys (PEM); if there are any, every version must be signed with one of them.
        gates: the digest of the gate that must be passed before an alias moves, by the alias; of one model alone by
            ``iris@champion``.
    """

    keys: list[str] = field(default_factory=list)
    gates: dict[str, str] = field(default_factory=dict)


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
    """When, by whom and why the files of a version were deleted.

    Attributes:
        time: when, in UTC (ISO 8601).
        by: who.
        reason: why, if that was said.
        state: ``done``; or ``begun`` or ``withdrawn`` of one that is none yet, or has become none.
        id: tells this deletion from every other.
    """

    time: str
    by: str
    reason: str | None = None
    state: Literal["begun", "withdrawn", "done"] = DONE
    id: str = ""


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
        gate: the digest of the gate that the version had passed, if it was held against one.
    """

    version: int | None
    digest: str | None
    time: str
    by: str
    reason: str | None = None
    gate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasHistory(_Document):
    """Every move of an alias, the first one first."""

    moves: tuple[AliasMove, ...]


_HINTS: Final[dict[type[_Document], dict[str, Any]]] = {
    kind: {name: hint for name, hint in get_type_hints(kind).items() if name != "extra"}
    for kind in (Policy, VersionRecord, Deletion, Notes, AliasMove, AliasHistory)
}


def dump(document: _Document) -> bytes:
    """Return the text of a document."""
    text = json.dumps({"format": _format(document), **_facts(document)}, indent=2, ensure_ascii=False)
    # A lone surrogate, as in the name of a file that is no UTF-8, has none; the backslash form is the same in JSON.
    return f"{text}\n".encode("utf-8", "backslashreplace")


def load(kind: type[Value], content: bytes, *, source: str) -> Value:
    """Return the document that a text holds.

    Raises:
        InvalidStore: it is malformed, or of a newer format.
    """
    newest = GATES_FORMAT if kind is Policy else STORE_FORMAT
    return _build(kind, _parse(content, source, newest), source)


def is_digest(text: object) -> bool:
    """Return whether something is a SHA-256 in hex, as it is written here."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def now_after(earlier: str | None) -> str:
    """Return the time of now, or of *earlier* where the clock has gone back behind it."""
    now = datetime.now(UTC)
    if earlier is not None and datetime.fromisoformat(earlier) > now:
        return earlier
    return now.isoformat(timespec="microseconds")


def _facts(document: _Document) -> dict[str, Any]:
    facts = {one.name: getattr(document, one.name) for one in fields(document) if one.name != "extra"}
    if isinstance(document, AliasHistory):
        facts["moves"] = [_facts(move) for move in document.moves]
    return {**facts, **document.extra}


def _format(document: _Document) -> int:
    return GATES_FORMAT if isinstance(document, Policy) and document.gates else STORE_FORMAT


def _parse(content: bytes, source: str, newest: int) -> dict[str, Any]:
    try:
        document = parse_json(content, max_bytes=_MAX_BYTES, max_brackets=_MAX_BRACKETS)
    except ValueError as exc:
        raise InvalidStore(source, reason=f"it is not JSON: {exc!s:.200}") from exc
    if not isinstance(document, dict):
        raise InvalidStore(source, reason="it must be a mapping")
    number = document.pop("format", None)
    if type(number) is not int or number < 1:
        raise InvalidStore(source, reason="it has no format number")
    if number > newest:
        raise InvalidStore(source, reason=f"it is of format {number}, from a newer Palate", hint="upgrade palate")
    return document


def _build(kind: type[Value], facts: object, source: str) -> Value:
    if not isinstance(facts, dict):
        raise InvalidStore(source, reason="each of its 'moves' must be a mapping")
    hints = _HINTS[kind]
    given = {name: _checked(facts[name], hint, name, source) for name, hint in hints.items() if name in facts}
    extra = {name: value for name, value in facts.items() if name not in hints}
    try:
        return kind(**given, extra=extra)
    except TypeError as exc:
        needed = {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}
        missing = ", ".join(sorted(needed - given.keys()))
        raise InvalidStore(source, reason=f"it lacks {missing}") from exc


def _checked(value: object, hint: Any, name: str, source: str) -> object:
    if hint == tuple[AliasMove, ...]:
        if not isinstance(value, list) or not value:
            raise InvalidStore(source, reason=f"{name!r} must be a list with the moves of the alias")
        return tuple(_build(AliasMove, move, source) for move in value)
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if not any(_is_a(value, kind) for kind in kinds):
        raise InvalidStore(source, reason=f"{name!r} is not what Palate writes there")
    if name in ("digest", "gate") and isinstance(value, str):
        _check_digest(value, name, source)
    if name == "gates" and isinstance(value, dict):
        _check_gates(value, source)
    if isinstance(value, int) and value not in _RANGES.get(name, range(1 << 62)):
        raise InvalidStore(source, reason=f"{name!r} is {value!s:.20}")
    if name in ("time", "added") and isinstance(value, str):
        _check_time(value, name, source)
    return value


def _is_a(value: object, kind: Any) -> bool:
    if kind is type(None):
        return value is None
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == dict[str, str]:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return type(value) is kind  # to isinstance, true is a number


def _check_digest(value: str, name: str, source: str) -> None:
    if not is_digest(value):
        raise InvalidStore(source, reason=f"{name!r} is not a sha256 in hex")


def _check_gates(gates: dict[str, str], source: str) -> None:
    for alias, digest in gates.items():
        try:
            check_alias_of(alias)
        except InvalidOption as exc:
            raise InvalidStore(source, reason=f"'gates' has {alias!r:.100}, which is no alias") from exc
        _check_digest(digest, "gates", source)


def _check_time(value: str, name: str, source: str) -> None:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise InvalidStore(source, reason=f"{name!r} is not a time with its zone")
