"""JSON in which nothing is said twice."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_json"]


def parse_json(data: bytes, *, limit: int) -> Any:
    """Return the document in *data*.

    Raises:
        ValueError: it is longer than *limit*, not JSON in UTF-8, nested too deeply, or has a key twice in one mapping.
    """
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit >> 20} MiB")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        # Two readers of such a document may see two different models.
        raise ValueError("it has a key twice in one mapping")
    return mapping
