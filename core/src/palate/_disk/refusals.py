"""Telling a disk that takes no more from a model that cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from palate._plugin_failures import quote_failure

__all__ = ["disk_refusal"]

_TOLD = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_PROBE = 64 << 10


def disk_refusal(folder: Path, failure: Exception) -> OSError | None:
    """Return the disk's refusal behind the *failure* of a library that was writing to *folder*, or None.

    The library's text may say it; else a file is written there, as what did not fit is still in the way.
    """
    text = quote_failure(failure)
    for code in _TOLD:
        if os.strerror(code) in text:
            return OSError(code, os.strerror(code), str(folder))
    try:
        _write_probe(folder / f".probe-{os.urandom(8).hex()}")
    except OSError as refusal:
        return refusal
    return None


def _write_probe(path: Path) -> None:
    try:
        with path.open("xb") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)
