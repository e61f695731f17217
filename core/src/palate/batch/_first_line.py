"""What other software's errors say, without the pages of advice that some of them add."""

from __future__ import annotations

__all__ = ["first_line"]


def first_line(exc: BaseException) -> str:
    """Return the first line that says something, without the full stop; "" if there is none."""
    return next((line.strip() for line in str(exc).splitlines() if line.strip()), "").rstrip(".")
