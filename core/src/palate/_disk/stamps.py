"""What of a file changes when somebody writes to it, or puts another one in its place."""

from __future__ import annotations

import os

__all__ = ["Stamp", "stamp_of"]

Stamp = tuple[int, int, int, int, int]


def stamp_of(status: os.stat_result) -> Stamp:
    """Return which file it is, how large, and when it was last written to and last changed."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
