"""JSON as a server may take it from strangers and give it to them: nothing said twice, nothing that is no JSON."""

from __future__ import annotations

from typing import Any

import orjson

from palate.hookspecs import parse_json as parse_slowly
from palate.serving.errors import MalformedBody

__all__ = ["check_said_once", "dump_json", "parse_json", "parse_unchecked"]

_MOST_DEEP = 200  # of lists and objects in each other; no signature needs more, and walking them must not overflow


def parse_json(body: bytes) -> Any:
    """Return the document in *body*.

    Raises:
        MalformedBody: it is not JSON, has a key twice, or is nested too deeply.
    """
    document = parse_unchecked(body)
    # An escape may be a colon.
    if b"\\u" in body or body.count(b":") != _count_colons(document, _MOST_DEEP):
        check_said_once(body)
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


def check_said_once(body: bytes) -> None:
    """Read *body* a second time, slowly. Raises MalformedBody where a key stands twice in an object."""
    try:
        parse_slowly(body)
    except (ValueError, UnicodeError) as exc:
        raise MalformedBody(f"it is not JSON that all readers understand alike, {exc}") from exc


def _explain(body: bytes, exc: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:4]:
        return "it begins with a byte order mark, or is not UTF-8"
    return f"it is not JSON ({exc.msg.partition(': line')[0]})"


def _count_colons(value: Any, deep: int) -> int:
    """Return how many colons a text of *value* has: one for each key, and those inside of its strings.

    With more in the text, a key may have been there that is not in *value*; with as many, none was.
    """
    kind = type(value)
    if kind is str:
        return int(value.count(":"))
    if kind is not dict and kind is not list:
        return 0
    if deep <= 0:
        raise MalformedBody(f"lists and objects are nested more than {_MOST_DEEP} deep in it")
    if kind is dict:
        inside = sum(_count_colons(item, deep - 1) for item in value.values() if type(item) in _WITH_COLONS)
        return len(value) + "".join(value).count(":") + inside
    kinds = set(map(type, value))
    if kinds == {str}:
        return "".join(value).count(":")
    if kinds.isdisjoint(_WITH_COLONS):
        return 0
    return sum(_count_colons(item, deep - 1) for item in value if type(item) in _WITH_COLONS)


_WITH_COLONS = frozenset([dict, list, str])


def dump_json(document: Any) -> bytes:
    """Return *document*, plain data with numpy arrays in it, as JSON. NaN and infinities become null, which JSON has.

    Raises:
        TypeError: it holds something that JSON has no form for.
    """
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
