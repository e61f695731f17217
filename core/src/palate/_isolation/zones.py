"""Time zones as they cross between processes: by a name that both sides find, or by what they are ahead of UTC."""

from __future__ import annotations

from datetime import timedelta, timezone, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palate._process_errors import NotTransferable

if TYPE_CHECKING:
    from palate._isolation.tree import Node

__all__ = ["decode_zone", "encode_zone", "find_zone"]


def encode_zone(zone: tzinfo | None) -> Node:
    """Return a zone as a part of the tree. Raises NotTransferable for one of neither kind, such as dateutil's."""
    if zone is None:
        return None
    if isinstance(zone, timezone):
        ahead = zone.utcoffset(None)
        return [ahead.days, ahead.seconds, ahead.microseconds]
    return find_zone(zone).key


def find_zone(zone: tzinfo) -> ZoneInfo:
    """Return the zone that another package's, such as pytz's, is. Raises NotTransferable if none has its name."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise NotTransferable(f"{type(zone).__module__}.{type(zone).__qualname__}", where="a time") from exc


def decode_zone(node: Node) -> tzinfo | None:
    """Return the zone that was written."""
    if node is None:
        return None
    return ZoneInfo(node) if isinstance(node, str) else timezone(timedelta(*node))
