"""Warnings that point at the line of the user's that caused them."""

from __future__ import annotations

import sys
import warnings

from palate.errors import PalateWarning

__all__ = ["warn_caller"]


def warn_caller(text: str) -> None:
    """Issue a PalateWarning for the innermost caller that is not this package's."""
    warnings.warn(text, PalateWarning, stacklevel=2 + _frames_of_ours())


def _frames_of_ours() -> int:
    frame, count = sys._getframe(1), 0
    while frame.f_back is not None and frame.f_back.f_globals.get("__name__", "").partition(".")[0] == "palate":
        frame, count = frame.f_back, count + 1
    return count
