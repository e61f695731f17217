"""JSON from strangers, in which nothing is said twice.

RFC 8259 leaves open what a key means that stands twice in one object: two readers of such a document may see two
different models. Python's reader takes the last, and NaN and Infinity, which JSON has not, besides.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["parse_json"]


def parse_json(
    data: bytes | bytearray | memoryview,
    *,
    max_bytes: int | None = None,
    max_brackets: int | None = None,
    constants: bool = False,
) -> Any:
    """Return the document in *data*, which is UTF-8.

    Args:
        data: the text.
        max_bytes: how long it may be; by default as long as the caller could read.
        max_brackets: how many lists and objects it may have; a small text can be gigabytes of empty ones.
        constants: whether NaN, Infinity and -Infinity are numbers, as Python's own writer has it.

    Raises:
        ValueError: it is longer, not JSON, nested too deeply, or has a key twice in one object.
    """
    if max_bytes is not None and len(data) > max_bytes:
        raise ValueError(f"it is longer than {max_bytes:,} bytes")
    if max_brackets is not None and bytes(data).count(b"[") + bytes(data).count(b"{") > max_brackets:
        raise ValueError(f"it has more than {max_brackets:,} lists and objects")
    parse_constant = None if constants else _refuse_constant
    try:
        return json.loads(str(data, "utf-8"), object_pairs_hook=_unique, parse_constant=parse_constant)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"an object has the key {twice!r:.60} twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
