"""The name of a time zone, as a column spec keeps it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from palate._inference.value_types import UntypedValue
from palate.schema import is_timezone

__all__ = ["zone_name"]


def zone_name(zone: Any) -> str | None:
    """Return the name of a zone that pandas (a tzinfo), polars or Arrow (a text) gives; None for None.

    An offset becomes "UTC+02:00", which pandas reads back.

    Raises:
        UntypedValue: the zone has no name that other machines understand.
    """
    if zone is None:
        return None
    name = zone if isinstance(zone, str) else _tzinfo_name(zone)
    if name[:1] in ("+", "-"):  # Arrow
        name = f"UTC{name}"
    if not is_timezone(name):
        raise UntypedValue(
            "its time zone has no name that holds on every machine. Hint: convert it to UTC, or to a zone such as "
            "Europe/Vienna"
        )
    return name


def _tzinfo_name(zone: Any) -> str:
    for attribute in ("key", "zone"):  # of zoneinfo and of pytz
        if isinstance(name := getattr(zone, attribute, None), str):
            return name
    offset = zone.utcoffset(None)  # None for a zone whose offset changes through the year
    return "" if offset is None else _offset_name(offset)


def _offset_name(offset: timedelta) -> str:
    minutes, rest = divmod(offset, timedelta(minutes=1))
    if rest:
        return ""
    hours, minutes = divmod(abs(minutes), 60)
    return f"UTC{'-' if offset < timedelta(0) else '+'}{hours:02}:{minutes:02}" if offset else "UTC"
