"""Narrowing the JSON of a signature: the first thing that is not as it should be is refused, by a typed error."""

from __future__ import annotations

from typing import Any

from palate._disk.strict_json import parse_json
from palate.errors import SignatureInvalid

__all__ = ["Narrowing"]


class Narrowing:
    """What the readers of a signature's parts have in common; *source* names what the signature is of."""

    def __init__(self, source: str) -> None:
        self._source = source

    def parse(self, content: bytes, what: str, *, max_brackets: int) -> object:
        """Return the JSON document in *content*, which has no more lists and objects than that."""
        try:
            return parse_json(content, max_brackets=max_brackets)
        except ValueError as exc:
            raise SignatureInvalid(self._source, reason=f"{what} is not JSON ({exc!s:.200})") from exc

    def refuse_unless(self, fits: bool, reason: str) -> None:
        """Raise SignatureInvalid if it does not fit."""
        if not fits:
            raise SignatureInvalid(self._source, reason=reason)

    def members(self, value: object, what: str, needed: str, allowed: str = "", *, others: bool = False) -> Any:
        """Return *value*, if it is an object with the members *needed*, and besides those *allowed* or any *others*."""
        if not isinstance(value, dict):
            raise SignatureInvalid(self._source, reason=f"{what} is not an object")
        missing = set(needed.split()) - value.keys()
        self.refuse_unless(not missing, f"{what} has no {', '.join(sorted(missing))}")
        unknown = [] if others else sorted(value.keys() - {*needed.split(), *allowed.split()})
        self.refuse_unless(not unknown, f"{what} has what it should not: {', '.join(unknown)!r:.100}")
        return value
