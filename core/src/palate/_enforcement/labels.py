"""Where the columns of a schema stand in a frame: by position, or by name."""

from __future__ import annotations

from typing import Any, Protocol

from palate._containers.nameless import list_names
from palate.errors import Problem
from palate.schema import ColSpec

__all__ = ["ByName", "ByPosition", "Labels", "ambiguous", "are_same"]


class Labels(Protocol):
    """How a schema finds its columns."""

    def place(self, columns: Any, problems: list[Problem]) -> dict[int, int]:
        """Return the positions in a frame by the positions in the schema, of what is there; append what is wrong.

        Args:
            columns: the pandas Index of the frame's labels.
            problems: gets one for each column that is missing or ambiguous.
        """

    def rename(self, columns: Any, places: dict[int, int]) -> list[str | int] | None:
        """Return the labels that the placed columns should have, or None when they should keep their own."""

    def key(self, index: int) -> str | int:
        """Return what a problem calls the column at this position of the schema."""


class ByPosition:
    """Columns without names: the first of the frame, whatever they are called."""

    __slots__ = ("_need",)

    def __init__(self, specs: tuple[ColSpec, ...]) -> None:
        self._need = len(specs)

    def place(self, columns: Any, problems: list[Problem]) -> dict[int, int]:
        have, need = len(columns), self._need
        if have < need:
            problems.append(Problem(("inputs",), "missing", f"needs {need} column(s), got {have}"))
        elif not columns[:need].is_unique:
            problems.append(Problem(("inputs",), "wrong_value", "several of the columns have the same name"))
        return {} if problems else {index: index for index in range(need)}

    def rename(self, columns: Any, places: dict[int, int]) -> list[str | int] | None:  # noqa: ARG002 - no names
        return None

    def key(self, index: int) -> str | int:
        return index


class ByName:
    """Columns with names, in any order; those that the schema does not know are left out.

    Arrow, polars and JSON have no labels but text: there "0" stands for the column 0.
    """

    __slots__ = ("_names", "_numbers", "_specs")

    def __init__(self, specs: tuple[ColSpec, ...]) -> None:
        self._specs = specs
        self._names: list[str | int | None] = [spec.name for spec in specs]
        taken = set(self._names)
        self._numbers = {str(name): name for name in self._names if isinstance(name, int) and str(name) not in taken}

    def place(self, columns: Any, problems: list[Problem]) -> dict[int, int]:
        labels = columns.tolist()
        positions: dict[Any, list[int]] = {name: [] for name in self._names}
        numbers = self._numbers if self._are_text(labels) else {}
        for position, label in enumerate(labels):
            name = numbers.get(label, label)
            # Both truth values are equal to numbers, Python's and numpy's, which was called bool_ before numpy 2.
            if name in positions and type(name).__name__ not in ("bool", "bool_"):
                positions[name].append(position)
        places = {}
        for index, spec in enumerate(self._specs):
            match positions[spec.name]:
                case [position]:
                    places[index] = position
                case [] if spec.required:
                    given = "" if problems else _describe(labels, {*self._names, *numbers})
                    problems.append(Problem(("inputs", self.key(index)), "missing", "this column is missing" + given))
                case [_, _, *_] as several:
                    problems.append(ambiguous(self.key(index), len(several)))
        return places

    def rename(self, columns: Any, places: dict[int, int]) -> list[str | int] | None:
        return [self.key(index) for index in places] if self._are_text(columns.tolist()) else None

    def key(self, index: int) -> str | int:
        name = self._names[index]
        return index if name is None else name

    def _are_text(self, labels: list[Any]) -> bool:
        """Tell whether numbers among the names can only be there as text."""
        return bool(self._numbers) and all(isinstance(label, str) for label in labels)


def _describe(labels: list[Any], names: set[Any]) -> str:
    if labels == list(range(len(labels))) and not any(isinstance(name, int) for name in names):
        return f" (got {len(labels)} column(s) without names. Hint: pass a DataFrame or a dict with the column names)"
    extra = [label for label in labels if label not in names]
    return f" (columns not in the signature: {list_names(extra)})" if extra else ""


def ambiguous(name: str | int, count: int) -> Problem:
    """Return the problem of a name that several columns of a frame have."""
    return Problem(("inputs", name), "wrong_value", f"there are {count} columns of this name")


def are_same(labels: Any, known: Any) -> bool:
    """Tell whether two pandas Indexes hold the same labels, quickest for one that was asked about before."""
    if labels.is_(known):
        return True
    # Labels of times are equal to text that can be read as these, and in an object Index True is equal to 1.
    if labels.dtype != known.dtype or (labels.dtype == object and labels.inferred_type != "string"):
        return False
    return bool(labels.equals(known))
