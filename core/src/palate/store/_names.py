"""What models, versions and aliases are called in a store, and how one of them is named in a URI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from palate.errors import InvalidOption

__all__ = [
    "LATEST",
    "Reference",
    "check_alias",
    "check_alias_of",
    "check_name",
    "check_version",
    "is_name",
    "is_version",
    "parse_reference",
]

LATEST: Final = "latest"
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?", re.ASCII)
_ALIAS: Final = re.compile(r"[A-Za-z_](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?", re.ASCII)
# What could be taken for a version.
_LIKE_VERSION: Final = re.compile(r"v?[0-9]+", re.ASCII | re.IGNORECASE)
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.ASCII | re.IGNORECASE)
_TAKEN: Final = frozenset({"store.json"})  # the store's own
_SCHEME: Final = "models:/"
_PIN: Final = re.compile(r"(.+?)@sha256:([0-9a-f]{64})", re.DOTALL)

_NAME_RULE: Final = "use letters, digits, '_', '-' and '.', up to 128 of them, beginning with a letter, a digit or '_'"
_ALIAS_RULE: Final = "use letters, digits, '_', '-' and '.', up to 64 of them, beginning with a letter or '_'"
_VERSION_RULE: Final = "versions are whole numbers from 1 on, written without zeros in front"
_FORMS: Final = "models:/iris/3, models:/iris@champion, models:/iris/latest or models:/iris@sha256:<digest>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A version of a model as it is asked for: by its number, by an alias, by its digest, or the latest one."""

    name: str
    version: int | None = None
    alias: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name}/{self.version}"
        if self.alias is not None:
            return f"{self.name}@{self.alias}"
        return f"{self.name}@sha256:{self.digest}" if self.digest else f"{self.name}/{LATEST}"


def check_name(name: object) -> str:
    """Return the name of a model, if it is one: what every file system and every URL takes as it is.

    Raises:
        InvalidOption: it is none.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or _DEVICES.fullmatch(name) or ".." in name:
        _refuse("name", name, _NAME_RULE)
    if name.lower() in _TAKEN:
        _refuse("name", name, "the store has a file of that name; choose another one")
    return name


def check_alias(alias: object) -> str:
    """Return an alias, if it is one, and not what could be taken for a version.

    Raises:
        InvalidOption: it is none.
    """
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or _DEVICES.fullmatch(alias) or ".." in alias:
        _refuse("alias", alias, _ALIAS_RULE)
    if alias.lower() == LATEST:
        _refuse("alias", alias, "the newest version is written iris/latest; choose another word for an alias")
    if alias.lower() == "sha256" or _LIKE_VERSION.fullmatch(alias):
        _refuse("alias", alias, "that is said of a version by itself; choose another word, such as champion")
    return alias


def check_alias_of(text: object) -> str:
    """Return which aliases are meant: ``champion`` of every model, or ``iris@champion`` of one; if they can be.

    Raises:
        InvalidOption: they cannot.
    """
    name, at, alias = text.partition("@") if isinstance(text, str) else (text, "", "")
    if not at:
        return check_alias(name)
    return f"{check_name(name)}@{check_alias(alias)}"


def check_version(version: object) -> int:
    """Return the number of a version, given as a number or as text.

    Raises:
        InvalidOption: it is none.
    """
    if isinstance(version, bool) or not isinstance(version, int | str) or not _VERSION.fullmatch(str(version)):
        _refuse("version", version, _VERSION_RULE)
    return int(version)


def is_name(text: str) -> bool:
    """Return whether a text is the name of a model."""
    try:
        check_name(text)
    except InvalidOption:
        return False
    return True


def is_version(text: str) -> bool:
    """Return whether a text is the number of a version, as it is written."""
    return _VERSION.fullmatch(text) is not None


def parse_reference(text: str, digest: str | None = None) -> Reference:
    """Return what ``models:/iris/3``, or the same without ``models:/``, asks for; with a *digest*, for that model.

    Raises:
        InvalidOption: it is written in no such way.
    """
    if not isinstance(text, str):
        raise InvalidOption("uri", reason=f"it is {type(text).__name__}", hint=f"say which version: {_FORMS}")
    body = text.removeprefix(_SCHEME)
    if digest is None and (pinned := _PIN.fullmatch(body)) is not None:
        body, digest = pinned[1], pinned[2]
    name, slash, version = body.partition("/")
    name, at, alias = name.partition("@")
    if (slash and at) or not (slash or at or digest):
        _refuse("uri", text, f"say which version: {_FORMS}")
    check_name(name)
    if at:
        return Reference(name=name, alias=check_alias(alias), digest=digest)
    if slash and _ALIAS.fullmatch(version) and version != LATEST and not _LIKE_VERSION.fullmatch(version):
        _refuse("version", version, f"{_VERSION_RULE}; an alias is written {name}@{version}")
    if slash and version != LATEST:
        return Reference(name=name, version=check_version(version), digest=digest)
    return Reference(name=name, digest=digest)


def _refuse(what: str, given: object, hint: str) -> NoReturn:
    raise InvalidOption(what, reason=f"{given!r:.100} cannot be used", hint=hint)
