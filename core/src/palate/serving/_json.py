"""JSON as a server may take it from strangers and give it to them: nothing said twice, nothing that is no JSON."""

from __future__ import annotations

from typing import Any

import orjson

from palate.hookspecs import parse_json as parse_slowly
from palate.serving.errors import MalformedBody

__all__ = ["dump_json", "parse_json", "parse_unchecked", "read_again"]

_MOST_DEEP = 200  # of lists and objects in each other; no signature needs more, and walking them must not overflow


def parse_json(body: bytes) -> Any:
    """Return the document in *body*; integers are integers, however long.

    Raises:
        MalformedBody: it is not JSON, has a key twice, or is nested too deeply.
    """
    document = parse_unchecked(body)
    seen = _Seen()
    seen.look(document, _MOST_DEEP)
    # An escape may be a colon.
    if seen.is_beyond or body.count(b":") != seen.colons or (b"\\" in body and b"\\u" in body):
        return read_again(body)
    return document


def parse_unchecked(body: bytes) -> Any:
    """Return the document in *body*, in which a key that stands twice in an object counts as its last.

    orjson refuses NaN, numbers beyond all doubles, lone surrogates, a byte order mark and other encodings than UTF-8.

    Raises:
        MalformedBody: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedBody(_explain(body, exc)) from exc


def read_again(body: bytes) -> Any:
    """Return the document in *body*, slowly, with integers that are integers however long they are.

    Raises:
        MalformedBody: a key stands twice in an object.
    """
    try:
        return parse_slowly(body)
    except (ValueError, UnicodeError) as exc:
        raise MalformedBody(f"it is not JSON that all readers understand alike, {exc}") from exc


def _explain(body: bytes, exc: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:4]:
        return "it begins with a byte order mark, or is not UTF-8"
    return f"it is not JSON ({exc.msg.partition(': line')[0]})"


class _Seen:
    """What was found in a document that orjson has read.

    Attributes:
        colons: how many a text of it has: one for each key, and those inside of its strings. With more in the text, a
            key may have been there that is not in the document; with as many, none was.
        is_beyond: whether there is a number that no int64 holds. orjson makes a double of such an integer.
    """

    __slots__ = ("colons", "is_beyond")

    def __init__(self) -> None:
        self.colons = 0
        self.is_beyond = False

    def look(self, value: Any, deep: int) -> None:
        """Look through a value, in which lists and objects stand at most so deep in each other."""
        if deep <= 0:
            raise MalformedBody(f"lists and objects are nested more than {_MOST_DEEP} deep in it")
        kind = type(value)
        if kind is dict:
            self.colons += len(value) + "".join(value).count(":")
            self._look_at(list(value.values()), deep)
        elif kind is list:
            if not (value and type(value[0]) in _NUMBERS and self._are_numbers(value)):
                self._look_at(value, deep)
        else:
            self._look_at([value], deep)

    def _are_numbers(self, values: list[Any]) -> bool:
        """Look at a list of numbers in the quickest way there is, and tell whether it was one."""
        try:
            high, low = max(values), min(values)
        except TypeError:
            return False
        self.is_beyond = self.is_beyond or high >= _END or low <= -_END
        return True

    def _look_at(self, values: list[Any], deep: int) -> None:
        for value in values:
            kind = type(value)
            if kind is str:
                self.colons += value.count(":")
            elif kind is float:
                if not -_END < value < _END:
                    self.is_beyond = True
            elif kind is dict or kind is list:
                self.look(value, deep - 1)


_NUMBERS = frozenset([float, int])
_END = 2.0**63


def dump_json(document: Any) -> bytes:
    """Return *document*, plain data with numpy arrays in it, as JSON. NaN and infinities become null, which JSON has.

    Raises:
        TypeError: it holds something that JSON has no form for.
    """
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
