"""Errors of jobs that predict on many rows."""

from __future__ import annotations

from palate.errors import PalateError

__all__ = ["RowsDiffer"]


class RowsDiffer(PalateError, RuntimeError):
    """A model does not give one prediction for each row, so none of them can be told whose it is."""

    def __init__(self, method: str, *, given: int, answered: int) -> None:
        self.method, self.given, self.answered = method, given, answered
        super().__init__(
            f"'{method}' gave {answered:,} predictions for {given:,} rows. "
            "Hint: use a method that answers for each row."
        )
