"""ISO 8601 as enforcement reads it, as patterns that hold each day to its month and each leap day to its year.

There is no ``format`` for it: date-time demands an offset, and these may have none.
"""

from __future__ import annotations

__all__ = ["ANY_MOMENT", "CELL_MOMENT"]

_28, _30, _31 = ("(?:0[1-9]|1[0-9]|2[0-8])", "(?:0[1-9]|[12][0-9]|30)", "(?:0[1-9]|[12][0-9]|3[01])")
_DAYS = f"(?:(?:0[13578]|1[02])-{_31}|(?:0[469]|11)-{_30}|02-{_28})"
_FOURTHS = "(?:0[48]|[2468][048]|[13579][26])"  # that four divides, but for 00
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
_ZONE = r"[ \t\n\r\f\v]?(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"


def _pattern(*days: str) -> str:
    return rf"^\s*(?:{'|'.join(days)})(?:[T ]{_TIME}(?:{_ZONE})?)?\s*$"


ANY_MOMENT = _pattern(
    f"(?:[1-9][0-9]{{3}}|0[1-9][0-9]{{2}}|00[1-9][0-9]|000[1-9])-{_DAYS}",
    f"(?:[0-9]{{2}}{_FOURTHS}|{_FOURTHS}00)-02-29",
)
"""A moment of the years 1 to 9999."""

CELL_MOMENT = _pattern(
    f"(?:16(?:7[89]|[89][0-9])|1[7-9][0-9]{{2}}|2[01][0-9]{{2}}|22(?:[0-5][0-9]|6[01]))-{_DAYS}",
    f"(?:16(?:8[048]|9[26])|1[7-9]{_FOURTHS}|2[01]{_FOURTHS}|2000|22(?:0[48]|[24][048]|[135][26]|60))-02-29",
    f"1677-(?:09-(?:2[2-9]|30)|1[02]-{_31}|11-{_30})",
    f"2262-(?:0[13]-{_31}|02-{_28}|04-(?:0[1-9]|10))",
)
"""A moment of the days that are all within what datetime64[ns] holds."""
