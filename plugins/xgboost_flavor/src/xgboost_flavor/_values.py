"""Reading single values out of a parsed document, refusing what is not there or not of its kind."""

from __future__ import annotations

import re
from typing import Any

from xgboost_flavor._document import Broken

__all__ = ["FEATURE_TYPES", "read_count", "read_floats", "read_integer", "read_object", "read_param"]

# xgboost's words for the types of features.
FEATURE_TYPES = frozenset({"int", "float", "i", "q", "c"})

# xgboost writes its parameters as text; a sign, a blank or a letter would be read in surprising ways.
_COUNT = re.compile(r"[0-9]{1,10}")
_FLOAT = r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?"
_FLOATS = re.compile(rf"\[(?:{_FLOAT}(?:,{_FLOAT})*)?\]|{_FLOAT}")


def read_object(holder: Any, name: str, place: str) -> dict[str, Any]:
    """Return the member *name* of *holder*, which must be an object."""
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, dict):
        raise Broken(f"{place} has no object {name}")
    return value


def read_param(holder: Any, name: str, place: str, default: str | None = None) -> str:
    """Return the text *name* of *holder*."""
    value = holder.get(name, default) if isinstance(holder, dict) else None
    if not isinstance(value, str):
        raise Broken(f"{place} has no text {name}")
    return value


def read_count(holder: Any, name: str, place: str, *, most: int, default: str | None = None) -> int:
    """Return the number, from 0 to *most*, that the text *name* of *holder* says."""
    text = read_param(holder, name, place, default)
    if not _COUNT.fullmatch(text) or int(text) > most:
        raise Broken(f"{place} has {name} {text!r:.30}, which must be a number up to {most}")
    return int(text)


def read_integer(value: object, place: str, *, least: int = 0, most: int) -> int:
    """Return *value* if it is an integer from *least* to *most*."""
    if type(value) is not int or not least <= value <= most:
        raise Broken(f"{place} is {value!r:.30}, which must be an integer from {least} to {most}")
    return value


def read_floats(holder: Any, name: str, place: str) -> list[float]:
    """Return the numbers of a text such as "[5E-1,1E0]", or "0.5"; xgboost parses it again, by recursion."""
    text = read_param(holder, name, place)
    if not _FLOATS.fullmatch(text):
        raise Broken(f"{place} has {name} {text!r:.60}, which is no list of numbers")
    return [float(part) for part in text.strip("[]").split(",") if part]
