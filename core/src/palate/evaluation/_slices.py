"""Columns by whose values rows are divided: each value of a few, ranges of many numbers, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from palate.evaluation._column_source import to_floats
from palate.evaluation._labels import Vocabulary, label_order
from palate.evaluation._outcomes import Array
from palate.evaluation.errors import InvalidSlice
from palate.evaluation.results import Label

__all__ = ["Division", "SliceColumn"]

_MAX_SLICES: Final = 50
"""The most frequent values, each a slice: each is measured and resampled by itself."""
_MAX_SINGLE_NUMBERS: Final = 10
"""So many different numbers are slices of their own; more are divided into ranges."""
_RANGES: Final = 5
_MAX_VALUES: Final = 10_000
"""A column with more values is an identifier, or free text."""
_MISSING: Final = "(missing)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How the rows of a column are divided.

    Attributes:
        column: its name.
        parts: value and label of each part.
        places: for codes, the part of each code, the last one for missing cells; -1 for none.
        edges: for numbers, the edges of ranges; None where each number is a part of its own.
        numbers: those numbers; None for codes.
        note: what is left out.
    """

    column: str
    parts: tuple[tuple[Label, str], ...]
    places: Array | None = None
    edges: Array | None = None
    numbers: Array | None = None
    note: str = ""

    def assign(self, values: Array) -> Array:
        """Return the part of each row, -1 where it is in none."""
        if self.places is not None:
            known = np.where(values < len(self.places) - 1, values, len(self.places))
            return np.append(self.places, -1)[np.where(values < 0, len(self.places) - 1, known)]
        missing = np.isnan(values)
        if self.edges is not None:
            found = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, len(self.edges) - 2)
            last = len(self.edges) - 1
        else:
            assert self.numbers is not None
            last = len(self.numbers)
            found = np.minimum(np.searchsorted(self.numbers, values), max(last - 1, 0))
            found = np.where(self.numbers[found] == values, found, -1) if last else np.full(len(values), -1)
        return np.where(missing, last if len(self.parts) > last else -1, found)


class SliceColumn:
    """A column as it is read: numbers as they are, all else as codes.

    Attributes:
        name: its name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._numeric: bool | None = None
        self._whole = True
        self._values = Vocabulary(_MAX_VALUES, self._too_many)

    def read(self, cells: Any) -> Array:
        """Return what is kept of Arrow cells: float64 with NaN, or int32 codes with -1, where they are missing.

        Raises:
            InvalidSlice: cells of a type that has no few values, or too many different ones.
        """
        import pyarrow as pa

        kind = cells.type
        if self._numeric is None:
            self._numeric = bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
            self._whole = bool(pa.types.is_integer(kind))
        if self._numeric:
            return to_floats(cells)
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise InvalidSlice(self.name, reason=f"its cells are of the type {kind}")
        return self._values.encode(cells, _plain)

    def divide(self, values: Array) -> Division:
        """Return how these rows, and those that follow, are divided."""
        return self._divide_numbers(values) if self._numeric else self._divide_codes(values)

    def _divide_codes(self, codes: Array) -> Division:
        labels = self._values.labels
        counts = np.bincount(codes[codes >= 0], minlength=len(labels))
        frequent = np.argsort(-counts, kind="stable")[:_MAX_SLICES].tolist()
        chosen = sorted((code for code in frequent if counts[code]), key=lambda code: label_order(labels[code]))
        parts: list[tuple[Label, str]] = [(labels[code], str(labels[code])) for code in chosen]
        places = np.full(len(labels) + 1, -1, dtype=np.int64)
        places[chosen] = np.arange(len(chosen))
        if (codes < 0).any():
            places[-1] = len(parts)
            parts.append((None, _MISSING))
        note = ""
        if left := int((counts > 0).sum()) - len(chosen):
            rows = int(counts.sum() - counts[chosen].sum())
            note = f"Of '{self.name}', {left:,} rarer values with {rows:,} rows are not shown by themselves."
        return Division(column=self.name, parts=tuple(parts), places=places, note=note)

    def _divide_numbers(self, values: Array) -> Division:
        there = values[~np.isnan(values)]
        tail: list[tuple[Label, str]] = [(None, _MISSING)] if len(there) < len(values) else []
        different = np.unique(there)
        if len(different) <= _MAX_SINGLE_NUMBERS:
            shown: list[Label] = [int(one) if self._whole else float(one) for one in different]
            texts = list(map(str, shown)) if self._whole else _short_numbers(different)
            parts = [*((value, text) for value, text in zip(shown, texts, strict=True)), *tail]
            return Division(column=self.name, parts=tuple(parts), numbers=different)
        edges = np.unique(np.quantile(there, np.linspace(0, 1, _RANGES + 1), method="inverted_cdf"))
        if len(edges) < 2:
            edges = np.array([different[0], different[-1]])
        labels = self._ranges(edges)
        return Division(column=self.name, parts=(*((label, label) for label in labels), *tail), edges=edges)

    def _ranges(self, edges: Array) -> list[str]:
        """Return the texts of ranges, of which the first and the last have no end: more rows may follow."""
        if len(edges) == 2:
            return ["all numbers"]
        inner = [f"{int(edge):,}" for edge in edges[1:-1]] if self._whole else _short_numbers(edges[1:-1])
        between = [f"{low} to under {high}" for low, high in pairwise(inner)]
        return [f"under {inner[0]}", *between, f"{inner[-1]} or more"]

    def _too_many(self, found: int) -> InvalidSlice:
        return InvalidSlice(self.name, reason=f"it has {found:,} different values or more")


def _short_numbers(values: Array) -> list[str]:
    """Return numbers with three digits, or as many more as tell them apart."""
    for digits in range(3, 17):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            break
    return texts


def _plain(value: object) -> Label:
    """Return a cell as the value of a slice; a date, or anything else, as text."""
    return value if value is None or isinstance(value, str | bool) else str(value)
