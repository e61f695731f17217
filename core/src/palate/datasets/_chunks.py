"""Some rows of a file, as a model takes them and as whoever looks at single columns does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from palate.codecs import plain
from palate.errors import InvalidInput, Problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["ArrayChunk", "Chunk", "Place", "TableChunk", "missing_column"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows come from.

    Attributes:
        file: its name, as an error shows it.
        row: the first of them, counted from 0 in that file.
    """

    file: str
    row: int


class Chunk(ABC):
    """Rows that are predicted in one call.

    Attributes:
        place: where they come from.
    """

    place: Place

    @abstractmethod
    def __len__(self) -> int:
        """Return how many rows there are."""

    @abstractmethod
    def inputs(self, names: Sequence[str] | None) -> Any:
        """Return what ``PyFuncModel.predict`` takes, with those of these columns that are there; for None, with all.

        Raises:
            InvalidInput: a cell cannot be read as what the signature says of its column.
        """

    @abstractmethod
    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column. Raises InvalidInput where there is none, or where its cells have no type in common."""

    @abstractmethod
    def slice(self, start: int, stop: int) -> Chunk:
        """Return some of the rows, from *start* up to and without *stop*."""

    @abstractmethod
    def record(self, row: int) -> Any:
        """Return one row as JSON data, or as close to it as it comes, for people to look at."""


class TableChunk(Chunk):
    """Rows of an Arrow table."""

    __slots__ = ("place", "rows")

    def __init__(self, rows: pa.Table, place: Place) -> None:
        self.rows = rows
        self.place = place

    def __len__(self) -> int:
        return self.rows.num_rows  # type: ignore[no-any-return]

    def inputs(self, names: Sequence[str] | None) -> pa.Table:
        if names is None:
            return self.rows
        there = set(self.rows.column_names)
        return self.rows.select([name for name in names if name in there])

    def column(self, name: str) -> pa.ChunkedArray:
        if name not in self.rows.column_names:
            raise missing_column(name, self.rows.column_names)
        return self.rows.column(name)

    def slice(self, start: int, stop: int) -> TableChunk:
        return TableChunk(self.rows.slice(start, stop - start), Place(self.place.file, self.place.row + start))

    def record(self, row: int) -> Any:
        return plain(self.rows.slice(row, 1).to_pylist()[0])


class ArrayChunk(Chunk):
    """Rows of an array, whose columns have no names."""

    __slots__ = ("place", "rows")

    def __init__(self, rows: np.ndarray[Any, Any], place: Place) -> None:
        self.rows = rows
        self.place = place

    def __len__(self) -> int:
        return len(self.rows)

    def inputs(self, names: Sequence[str] | None) -> Any:
        del names
        return self.rows

    def column(self, name: str) -> pa.ChunkedArray:
        raise missing_column(name, ())

    def slice(self, start: int, stop: int) -> ArrayChunk:
        return ArrayChunk(self.rows[start:stop], Place(self.place.file, self.place.row + start))

    def record(self, row: int) -> Any:
        return plain(self.rows[row])


def missing_column(name: str, known: Sequence[str]) -> InvalidInput:
    """Return the error of a column that was asked for and is not there."""
    if not known:
        message = "is asked for by its name, and an array has no names"
    else:
        message = f"is not there; there is {', '.join(known[:20])}{' …' if len(known) > 20 else ''}"
    return InvalidInput([Problem(("inputs", name), "missing", message)])
