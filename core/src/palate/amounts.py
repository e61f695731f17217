"""Amounts as people write them in files and on the command line: "2GiB", "500ms", "20_000"."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["read_amount", "read_size", "show_size"]

_SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_AMOUNT = re.compile(r"([0-9][0-9_]{0,20}(?:\.[0-9]{1,20})?)\s*([a-z]*)", re.IGNORECASE)


def read_amount(given: object, units: Mapping[str, float], way: str) -> float:
    """Return the number that *given* is: a number, or text of one and a unit.

    Args:
        given: what stands in a file, or what somebody typed.
        units: how much each unit is, in small letters; "" is for a number alone.
        way: how to write it, for who did otherwise.

    Raises:
        ValueError: it is neither; the text says it as the end of a sentence.
    """
    if isinstance(given, str):
        found = _AMOUNT.fullmatch(given.strip())
        unit = units.get(found[2].lower()) if found else None
        if found is None or unit is None:
            raise ValueError(f"{given!r:.40} cannot be read: {way}")
        number = found[1].replace("_", "")
        return (float(number) if "." in number else int(number)) * unit
    # To Python a bool is a number; to who wrote `port = true` it was something else.
    if not isinstance(given, int | float) or isinstance(given, bool) or not -1e18 < given < 1e18:
        raise ValueError(f"{given!r:.40} cannot be read: {way}")
    return given


def read_size(given: object) -> int:
    """Return a number of bytes: 16777216 or "16MiB"; kB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024.

    Raises:
        ValueError: it is none.
    """
    return int(read_amount(given, {"": 1, **_SIZES}, "write bytes, as a number or as 16MiB"))


def show_size(value: int) -> str:
    """Return a number of bytes as ``read_size`` takes it, in the largest unit that it is whole in."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _SIZES[unit.lower()] == 0:
            return f"{value // _SIZES[unit.lower()]}{unit}"
    return str(value)
