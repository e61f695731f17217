"""Text that names a moment."""

from __future__ import annotations

import re
from datetime import datetime

from palate._containers.unfit import Unfit

__all__ = ["read_moment"]

# Calendar dates only: "20200101" and "2020" are ISO 8601 too, but as likely to be numbers.
_ISO_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)


def read_moment(text: str) -> tuple[datetime, int]:
    """Read ISO 8601 text: a datetime, and the nanoseconds it has no room for. Raises Unfit."""
    match = _ISO_INSTANT.fullmatch(text.strip())
    if match is None or (match[5] and not match[2]):
        raise Unfit("wrong_value", "needs a datetime, got text that is not ISO 8601 (2024-05-06T07:08:09)")
    day, minute, second, fraction, zone = match.groups()
    nanoseconds = int((fraction or "").ljust(9, "0"))
    try:
        moment = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}{zone or ''}")
    except ValueError as exc:
        raise Unfit("wrong_value", "needs a datetime, got text that names no real date and time") from exc
    return moment.replace(microsecond=nanoseconds // 1_000), nanoseconds % 1_000
