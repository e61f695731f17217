"""A reader of the JSON that xgboost writes, for which Python and xgboost agree about every document that it takes."""

from __future__ import annotations

import re

from palate.hookspecs import parse_json
from xgboost_flavor._document import Broken, Document

__all__ = ["check_escapes", "read_json"]

# Both readers keep to it: Python counts its own recursion, xgboost's recursion is not counted.
_MAX_DEPTH = 24

# xgboost keeps the six characters of \u0041 as they are, where Python makes an A of them, and does not read \b and \f.
_FOREIGN_ESCAPE = re.compile(rb'(?<!\\)(?:\\\\)*\\[^"\\nrt]')


def read_json(data: bytes | bytearray | memoryview) -> Document:
    """Parse *data*.

    Raises:
        Broken: it is not JSON as xgboost writes it.
    """
    check_escapes(data)
    try:
        # xgboost writes NaN and Infinity as Python does.
        root = parse_json(data, constants=True)
    except ValueError as exc:
        raise Broken(f"it is not JSON: {exc}") from None
    if not isinstance(root, dict):
        raise Broken("it does not begin with an object")
    if _depth_of(root) > _MAX_DEPTH:
        raise Broken(f"it is nested deeper than {_MAX_DEPTH} levels")
    return Document(root, None, len(data))


def check_escapes(data: bytes | bytearray | memoryview) -> None:
    """Raise Broken if a character is escaped in a way that xgboost writes, and does not read."""
    if _FOREIGN_ESCAPE.search(data):
        raise Broken("it has an escaped character that xgboost reads in another way")


def _depth_of(root: object) -> int:
    depth, level = 0, [root]
    while level:
        depth += 1
        inner: list[object] = []
        for value in level:
            children = value.values() if isinstance(value, dict) else value
            inner.extend(child for child in children if isinstance(child, dict | list))  # type: ignore[attr-defined]
        level = inner
    return depth
