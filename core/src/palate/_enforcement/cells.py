"""What a compiled column can do, and how it tells of several cells that do not fit."""

from __future__ import annotations

from typing import Any, Protocol

from palate.errors import Problem

__all__ = ["Column", "InvalidCells"]


class Column(Protocol):
    """What a compiled column can do."""

    def passes(self, dtype: Any) -> bool:
        """Tell whether a column of this pandas dtype is fine as it is."""

    def convert(self, series: Any) -> Any:
        """Return the same Series, or a new one, or an array. Raises Unfit, or InvalidCells for several problems."""


class InvalidCells(ValueError):
    """Cells that do not fit; ``problems`` has one for each reason, and for each place in nested cells."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(f"{len(problems)} problem(s) in the cells")
