"""JSON as a server may take it from strangers and give it to them: nothing said twice, nothing that is no JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from palate.hookspecs import parse_json as parse_slowly
from palate.serving.errors import MalformedBody

__all__ = ["dump_json", "parse_json"]

_MOST_DEEP = 200  # of lists and objects in each other; no signature needs more, and walking them must not overflow


def parse_json(body: bytes) -> Any:
    """Return the document in *body*.

    orjson refuses NaN, numbers beyond all doubles, lone surrogates, a byte order mark and other encodings than UTF-8; what
    it does not see is a key that stands twice in an object, of which it takes the last.

    Raises:
        MalformedBody: it is not JSON, has a key twice, or is nested too deeply.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedBody(_explain(body, exc)) from exc
    if not _is_said_once(body, document):
        try:
            parse_slowly(body)
        except (ValueError, UnicodeError) as exc:
            raise MalformedBody(f"it is not JSON that all readers understand alike, {exc}") from exc
    return document


def _explain(body: bytes, exc: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:4]:
        return "it begins with a byte order mark, or is not UTF-8"
    return f"it is not JSON ({exc.msg.partition(': line')[0]})"


def _is_said_once(body: bytes, document: Any) -> bool:
    """Tell whether no object can have a key twice: all colons of the text are those of its keys and inside its strings.

    A quick look that may be wrong in one direction only, which costs a second reading.
    """
    if b"\\u" in body:  # a colon may be written as an escape
        return False
    return body.count(b":") == sum(_colons(document, _MOST_DEEP))


def _colons(value: Any, deep: int) -> Iterator[int]:
    kind = type(value)
    if kind is dict:
        _check_depth(deep)
        yield len(value)
        for key, item in value.items():
            if ":" in key:
                yield key.count(":")
            if type(item) in _WITH_COLONS:
                yield from _colons(item, deep - 1)
    elif kind is list:
        _check_depth(deep)
        kinds = set(map(type, value))
        if kinds & _WITH_COLONS:
            for item in value:
                if type(item) in _WITH_COLONS:
                    yield from _colons(item, deep - 1)
    elif kind is str:
        yield value.count(":")


_WITH_COLONS = frozenset([dict, list, str])


def _check_depth(deep: int) -> None:
    if deep <= 0:
        raise MalformedBody(f"lists and objects are nested more than {_MOST_DEEP} deep in it")


def dump_json(document: Any) -> bytes:
    """Return *document*, plain data with numpy arrays in it, as JSON. NaN and infinities become null, which JSON has.

    Raises:
        TypeError: it holds something that JSON has no form for.
    """
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
