"""The passwords of keys: read from files, as nothing secret belongs on a command line."""

from __future__ import annotations

from pathlib import Path

from palate.errors import InvalidOption

__all__ = ["read_password"]

_PASSWORD_LIMIT = 4096


def read_password(file: Path) -> bytes:
    """Return the first line of a file.

    Raises:
        InvalidOption: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            line = stream.readline(_PASSWORD_LIMIT)
    except OSError as exc:
        reason = f"'{file}': {exc.strerror}"
        raise InvalidOption("--password-file", reason=reason, hint="give a file that you may read") from exc
    return line.rstrip(b"\r\n")
