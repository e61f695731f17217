"""Memory that a frame shares with the caller's data or with another frame; pandas copies it before a write."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["guard", "keep_alive", "shares_safely"]


def shares_safely() -> bool:
    """Tell whether frames can share memory: from pandas 3 on, what is shared is copied before it is written to."""
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3


def guard(frame: Any) -> Any:
    """Return a frame of the same memory, which pandas copies before it writes into it.

    pandas does so for memory that another frame uses too, so there is another one, which lives as long as the first.
    """
    used = frame.copy(deep=False)
    keep_alive(frame, used)
    return used


def keep_alive(source: Any, derived: Any) -> None:
    """Keep a frame alive as long as one derived from it.

    pandas copies before it writes only while another frame uses the memory too; what came from Arrow or polars cannot
    be written to at all.
    """
    weakref.finalize(derived, _let_go, source).atexit = False


def _let_go(source: Any) -> None:
    """Do nothing: to be called with it kept the frame alive."""
