"""Reading a model that somebody may be replacing.

A save with ``overwrite=True`` exchanges two directories and removes the old one, files included that a reader has not
come to yet. Such a reader finds files missing, or changed, that neither model is missing; it has to start again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar

from palate._disk.paths import resolve_uri
from palate.errors import PalateError

__all__ = ["read_one_model"]

_ATTEMPTS: Final = 10

Result = TypeVar("Result")
Identity = tuple[int, int, int, int]


def read_one_model(
    uri: str | os.PathLike[str], read: Callable[[], Result], *, is_whole: Callable[[Result], bool]
) -> Result:
    """Return what *read* makes of the model at *uri*; let it start again while the model is being replaced.

    Args:
        uri: the model.
        read: reads it, by name, and may be called several times.
        is_whole: whether a result must be of one model, even if another took its place meanwhile.

    Raises:
        PalateError: what *read* raised of a model that stood still, or the last time.
    """
    for _ in range(_ATTEMPTS - 1):
        before = _identity(uri)
        try:
            result = read()
        except PalateError:
            if _identity(uri) == before:
                raise
        else:
            if is_whole(result) or _identity(uri) == before:
                return result
    return read()


def _identity(uri: str | os.PathLike[str]) -> Identity | None:
    """Return what changes when another directory takes the place; a number of its own is not enough, it is reused."""
    try:
        status = os.lstat(resolve_uri(uri))
    except (PalateError, OSError):
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
