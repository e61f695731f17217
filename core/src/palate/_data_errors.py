"""Errors of files that hold rows."""

from __future__ import annotations

from palate._problems import PalateError

__all__ = ["DataNotFound", "InvalidData"]


class DataNotFound(PalateError, FileNotFoundError):
    """No file of rows is there."""

    def __init__(
        self, place: str, *, reason: str, hint: str = "give a file, a folder or a pattern such as '*.parquet'"
    ) -> None:
        self.place = place
        super().__init__(f"No rows at '{place}': {reason}. Hint: {hint}.")


class InvalidData(PalateError, ValueError):
    """A file of rows cannot be read, or is not like the others."""

    def __init__(self, place: str, *, reason: str, hint: str) -> None:
        self.place = place
        super().__init__(f"'{place}' cannot be read: {reason}. Hint: {hint}.")
