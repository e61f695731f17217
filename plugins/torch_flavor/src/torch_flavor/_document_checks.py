"""Checks of JSON that are put together from checks: each returns a new value that holds only what it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Check", "InvalidDocument", "Maybe", "exactly", "listed", "mapped", "record", "union", "within"]

Check: TypeAlias = Callable[[Any], Any]


class InvalidDocument(ValueError):
    """A document that breaks a rule; its text says where and which."""


def exactly(kind: type) -> Check:
    """Check that a value is of one type, and of no type derived from it."""

    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise InvalidDocument(f"must be {kind.__name__}, not {type(value).__name__}")
        return value

    return check


@dataclass(frozen=True, slots=True)
class Maybe:
    """The check of a field that need not be there, or may be null."""

    check: Check

    def __call__(self, value: Any) -> Any:
        return None if value is None else self.check(value)


def record(**fields: Check) -> Check:
    """Check a mapping; fields that are not listed are left behind."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidDocument("must be a mapping")
        for name, inner in fields.items():
            if name not in value and not isinstance(inner, Maybe):
                raise InvalidDocument(f"{name} is missing")
        return {name: within(name, inner, value[name]) for name, inner in fields.items() if name in value}

    return check


def union(**alternatives: Check) -> Check:
    """Check a mapping of one entry, whose key tells what its value is."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) != 1:
            raise InvalidDocument("must be a mapping of one entry")
        ((name, inner),) = value.items()
        if name not in alternatives:
            raise InvalidDocument(f"holds {name!r:.60}, which a model has no use for")
        return {name: within(name, alternatives[name], inner)}

    return check


def listed(check: Check) -> Check:
    """Check each item of a list."""

    def checked(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidDocument("must be a list")
        return [within(number, check, item) for number, item in enumerate(value)]

    return checked


def mapped(key: Check, check: Check) -> Check:
    """Check each key and each value of a mapping."""

    def checked(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidDocument("must be a mapping")
        return {key(name): within(name, check, item) for name, item in value.items()}

    return checked


def within(place: object, check: Check, value: Any) -> Any:
    """Check a value that stands at *place*, which the error then begins with."""
    try:
        return check(value)
    except InvalidDocument as exc:
        reason = str(exc)
        raise InvalidDocument(f"{place!s:.60}{'' if reason.startswith('.') else '.'}{reason}") from None
