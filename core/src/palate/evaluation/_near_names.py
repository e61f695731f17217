"""Names that were mistyped: what was probably meant, and what there is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

__all__ = ["listed_names", "meant_names"]

_MOST: Final = 20
"""Names that a sentence lists: with more of them nobody reads it."""
_LONGEST: Final = 60


def meant_names(name: str, known: Sequence[str]) -> str:
    """Return the names that come near to one that is not there, as a question; else those that there are."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    close += [other for other in known if other.startswith(f"{name}_") and other not in close]
    if close:
        return f"did you mean {' or '.join(_cut(each) for each in close)}?"
    return f"there is {listed_names(known)}"


def listed_names(known: Sequence[str]) -> str:
    """Return names for a sentence, as many as anybody reads."""
    listed = ", ".join(_cut(each) for each in known[:_MOST])
    return f"{listed or 'none'}{', …' if len(known) > _MOST else ''}"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
