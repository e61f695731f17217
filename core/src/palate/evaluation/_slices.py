"""Columns by whose values rows are divided: each value of a few, ranges of many numbers, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NoReturn

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
_NO_NUMBER: Final = -(2**63)
"""What stands for a missing cell among integers, which are kept as int64: floats tell them apart up to 2**53 only."""
_EXACT: Final = 2**53
_NUMBER: Final = "number"
_ONE_TYPE: Final = "give the column one type in all files, for example text"


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
        missing = _is_missing(values)
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
        self._kind = ""
        self._types: dict[str, None] = {}
        self._whole, self._fractions, self._inexact = False, False, False
        self._divided_unknown = False
        self._values = Vocabulary(_MAX_VALUES, self._too_many)

    def read(self, cells: Any) -> Array:
        """Return what is kept of Arrow cells.

        Numbers are int64, with the least one where they are missing, or float64 with NaN; all else is int32 codes with
        -1. Cells of no type are missing in any of these: the least number is no code.

        Raises:
            InvalidSlice: cells of a type that has no few values, too many different ones, or cells of two types.
        """
        import pyarrow as pa

        if pa.types.is_null(cells.type):
            return np.full(len(cells), _NO_NUMBER)
        kind = _kind_of(cells.type)
        if not kind:
            raise InvalidSlice(self.name, reason=f"its cells are of the type {cells.type}")
        self._types.setdefault(str(cells.type))
        if self._kind not in ("", kind):
            self._refuse_types()
        self._kind = kind
        # Where the first rows, by which all were divided, are all missing, others are in no part of their own.
        if kind != _NUMBER or self._divided_unknown:
            return self._values.encode(cells, _plain)
        return self._read_numbers(cells)

    def _read_numbers(self, cells: Any) -> Array:
        import pyarrow as pa

        if pa.types.is_integer(cells.type):
            values = self._integers(cells)
            self._whole = True
            self._inexact |= bool((np.abs(values[values != _NO_NUMBER]) > _EXACT).any())
        else:
            values = to_floats(cells)
            self._fractions = True
        nulls = cells.null_count if values.dtype.kind == "i" else 0
        if int((values == _NO_NUMBER).sum()) > nulls:
            raise InvalidSlice(self.name, reason="it holds -2**63, the least of all integers", hint=_ONE_TYPE)
        if self._whole and self._fractions and self._inexact:
            self._refuse_types()
        return values

    def _integers(self, cells: Any) -> Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            whole = cells.cast(pa.int64())
        except pa.ArrowInvalid as exc:
            raise InvalidSlice(self.name, reason="it holds integers of 2**63 or more", hint=_ONE_TYPE) from exc
        return np.asarray(pc.fill_null(whole, _NO_NUMBER).to_numpy())

    def _refuse_types(self) -> NoReturn:
        reason = f"some of its cells are {' and others '.join(self._types)}"
        raise InvalidSlice(self.name, reason=reason, hint=_ONE_TYPE)

    def divide(self, values: Array) -> Division:
        """Return how these rows, and those that follow, are divided."""
        self._divided_unknown |= not self._kind
        is_number = self._kind == _NUMBER and not self._divided_unknown
        return self._divide_numbers(values) if is_number else self._divide_codes(values)

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
        only_whole = not self._fractions
        there = values[~_is_missing(values)]
        tail: list[tuple[Label, str]] = [(None, _MISSING)] if len(there) < len(values) else []
        different = np.unique(there)
        if len(different) <= _MAX_SINGLE_NUMBERS:
            shown: list[Label] = different.tolist()
            texts = list(map(str, shown)) if only_whole else _short_numbers(different)
            parts = [*((value, text) for value, text in zip(shown, texts, strict=True)), *tail]
            return Division(column=self.name, parts=tuple(parts), numbers=different)
        chosen = np.quantile(np.arange(len(there)), np.linspace(0, 1, _RANGES + 1), method="inverted_cdf")
        edges = np.unique(np.sort(there)[chosen.astype(np.int64)])  # numbers themselves, and no means of two
        if len(edges) < 2:
            edges = np.array([different[0], different[-1]])
        labels = self._ranges(edges)
        return Division(column=self.name, parts=(*((label, label) for label in labels), *tail), edges=edges)

    def _ranges(self, edges: Array) -> list[str]:
        """Return the texts of ranges, of which the first and the last have no end: more rows may follow."""
        if len(edges) == 2:
            return ["all numbers"]
        inner = [f"{int(edge):,}" for edge in edges[1:-1]] if not self._fractions else _short_numbers(edges[1:-1])
        between = [f"{low} to under {high}" for low, high in pairwise(inner)]
        return [f"under {inner[0]}", *between, f"{inner[-1]} or more"]

    def _too_many(self, found: int) -> InvalidSlice:
        return InvalidSlice(self.name, reason=f"it has {found:,} different values or more")


def _kind_of(cell_type: Any) -> str:
    """Return what cells are, whose values are the same if they look the same; empty if they have no few values."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(cell_type):  # categories are values, be they numbers
        kind = _kind_of(cell_type.value_type)
        return "categories" if kind == _NUMBER else kind
    if types.is_integer(cell_type) or types.is_floating(cell_type) or types.is_decimal(cell_type):
        return _NUMBER
    if types.is_string(cell_type) or types.is_large_string(cell_type) or types.is_string_view(cell_type):
        return "text"
    if types.is_nested(cell_type) or types.is_binary(cell_type):
        return ""
    return "time stamp" if types.is_timestamp(cell_type) else str(cell_type)


def _is_missing(values: Array) -> Array:
    """Return which numbers stand for a missing cell; among floats that were integers in some file, too."""
    found: Array = np.isnan(values) | (values == _NO_NUMBER) if values.dtype.kind == "f" else values == _NO_NUMBER
    return found


def _short_numbers(values: Array) -> list[str]:
    """Return numbers with three digits, or as many more as tell them apart."""
    for digits in range(3, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            break
    return texts


def _plain(value: object) -> Label:
    """Return a cell as the value of a slice; a date, or anything else, as text."""
    return value if value is None or isinstance(value, str | bool) else str(value)
