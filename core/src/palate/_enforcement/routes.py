"""Routes: how frames of one kind become what a model takes, found once and used for all that follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING, Any

from palate._containers.exactness import cast_array, hint_rounding
from palate._containers.sharing import shares_safely
from palate._containers.unfit import Unfit
from palate._enforcement.blocks import Block, build_frame, read_blocks, set_columns, split, take_columns
from palate._enforcement.cells import Column, InvalidCells
from palate._enforcement.labels import are_same
from palate.errors import InvalidInput, Problem

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Route", "Slot", "convert_columns"]

# Setting one column of a frame costs as much as copying about so many cells: benchmarks/thresholds.py.
_CELLS_PER_COLUMN = 20_000


class _Fate(IntEnum):
    """What becomes of a column of a frame. From 0 on it is cast: to the dtype with that number among the targets."""

    KEPT = -1
    APART = -2  # converted by itself, or left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A column that the model gets.

    Attributes:
        name: what problems call it.
        position: where it stands in the frame.
        column: what converts it.
        dtype: the numpy dtype that it takes when its type alone says what its cells are, or None.
    """

    name: str | int
    position: int
    column: Column
    dtype: np.dtype[Any] | None


class Route:
    """What is to be done with frames that have certain labels and dtypes.

    Attributes:
        passes: nothing; the frame is what the model takes.
    """

    __slots__ = (
        "_categories",
        "_dtypes",
        "_fates",
        "_labels",
        "_names",
        "_picked",
        "_singles",
        "_slot_of",
        "_slots",
        "_targets",
        "passes",
    )

    def __init__(self, slots: Sequence[Slot], labels: Any, dtypes: list[Any], *, names: list[str | int] | None) -> None:
        """Find the route.

        Args:
            slots: the columns that the model gets, in its order.
            labels: the pandas Index of the frame's labels.
            dtypes: the dtypes of the frame's columns.
            names: the labels that the model gets, or None for those of the frame.
        """
        import numpy as np

        self._slots, self._labels, self._dtypes, self._names = slots, labels, dtypes, names
        self._picked = _find_span([slot.position for slot in slots], len(labels))
        self._targets: list[np.dtype[Any]] = []
        self._singles: list[int] = []
        self._fates = np.full(len(labels), int(_Fate.APART))
        self._slot_of = np.zeros(len(labels), dtype=np.intp)
        # Dtypes of categories are equal in any order of the categories, but not every order passes.
        self._categories: list[tuple[int, Column, bool]] = []
        for number, slot in enumerate(slots):
            self._decide(number, slot, dtypes[slot.position])
        is_whole = self._picked is None and names is None
        self.passes = is_whole and not self._singles and bool((self._fates == _Fate.KEPT).all())

    def _decide(self, number: int, slot: Slot, dtype: Any) -> None:
        import numpy as np

        passes = slot.column.passes(dtype)
        self._slot_of[slot.position] = number
        if hasattr(dtype, "categories"):
            self._categories.append((slot.position, slot.column, passes))
        if passes:
            self._fates[slot.position] = _Fate.KEPT
        elif slot.dtype is not None and isinstance(dtype, np.dtype) and dtype.kind in "iufM":
            if slot.dtype not in self._targets:
                self._targets.append(slot.dtype)
            self._fates[slot.position] = self._targets.index(slot.dtype)
        else:
            self._singles.append(number)

    def is_for(self, labels: Any, dtypes: list[Any]) -> bool:
        """Tell whether frames with these labels and dtypes take this route."""
        if dtypes != self._dtypes or not are_same(labels, self._labels):
            return False
        return all(
            dtypes[position] is self._dtypes[position] or column.passes(dtypes[position]) == passes
            for position, column, passes in self._categories
        )

    def convert(self, frame: Any) -> Any:
        """Return what the model takes, the same object where nothing has to change. Raises InvalidInput."""
        cast, unfit = self._cast_blocks(frame)
        numbers = sorted([*self._singles, *unfit])
        columns = convert_columns(frame, [self._slots[number] for number in numbers], [])
        apart = dict(zip(numbers, columns, strict=True))
        if cast or any(before is not after for before, after in apart.values()):
            frame = self._assemble(frame, cast, apart)
        else:
            frame = self._pick(frame)
        return frame if self._names is None else _relabel(frame, self._names)

    def _cast_blocks(self, frame: Any) -> tuple[list[Block], list[int]]:
        """Return what could be cast, as blocks of the result, and the numbers of the slots that could not."""
        import numpy as np

        cast, unfit = [], []
        for block in read_blocks(frame) if self._targets else []:
            for fate, rows, numbers in split(block, self._fates, self._slot_of):
                if fate < 0:  # kept, or apart
                    continue
                try:
                    cast.append((cast_array(np.asarray(block[0][rows]), self._targets[fate]), numbers))
                except Unfit:
                    unfit.extend(numbers.tolist())  # one by one, so that each problem has its column
        return cast, unfit

    def _assemble(self, frame: Any, cast: list[Block], apart: dict[int, tuple[Any, Any]]) -> Any:
        import numpy as np
        import pandas as pd

        changed = {number: after for number, (before, after) in apart.items() if before is not after}
        count = len(changed) + sum(len(numbers) for _, numbers in cast)
        kept_cells = len(frame) * (len(self._slots) - count)
        is_view = self._picked is None or isinstance(self._picked, slice)
        if is_view and kept_cells > _CELLS_PER_COLUMN * count and shares_safely():
            rows = (zip(numbers.tolist(), values, strict=True) for values, numbers in cast)
            return set_columns(self._pick(frame), {**dict(chain.from_iterable(rows)), **changed})
        blocks = [*cast, *self._copy_kept(frame)]
        if apart:
            columns = pd.DataFrame(dict(enumerate(after for _, after in apart.values())), index=frame.index)
            numbers = np.array(list(apart))
            blocks += [(values, numbers[positions]) for values, positions in read_blocks(columns)]
        labels = frame.columns if self._picked is None else frame.columns[self._picked]
        return build_frame(blocks, frame.index, labels)

    def _copy_kept(self, frame: Any) -> Iterator[Block]:
        if _Fate.KEPT not in self._fates:
            return
        for block in read_blocks(frame):
            for fate, rows, numbers in split(block, self._fates, self._slot_of):
                if fate == _Fate.KEPT:
                    yield (block[0][rows].copy() if isinstance(rows, slice) else block[0][rows]), numbers

    def _pick(self, frame: Any) -> Any:
        return frame if self._picked is None else take_columns(frame, self._picked)


def _find_span(positions: list[int], count: int) -> slice | np.ndarray[Any, Any] | None:
    """Return which of a frame's columns are taken: None for all in their order, a slice for neighbours."""
    import numpy as np

    if positions == list(range(count)):
        return None
    first = positions[0] if positions else 0
    span = slice(first, first + len(positions))
    return span if positions == list(range(span.start, span.stop)) else np.array(positions)  # pandas reads lists slowly


def _relabel(frame: Any, names: list[str | int]) -> Any:
    import pandas as pd

    renamed = frame.copy(deep=False)
    renamed.columns = pd.Index(names)
    return renamed


def convert_columns(frame: Any, slots: Sequence[Slot], problems: Iterable[Problem]) -> list[tuple[Any, Any]]:
    """Convert columns one by one.

    Args:
        frame: the frame.
        slots: what to convert.
        problems: what is known to be wrong already.

    Returns:
        For each slot the Series of the frame, and the same or another Series, or an array.

    Raises:
        InvalidInput: with every problem.
    """
    found = list(problems)
    # Where many are asked for, going through all columns is quicker than asking for each.
    every = [series for _, series in frame.items()] if 3 * len(slots) > len(frame.columns) else None
    converted = []
    for slot in slots:
        before = frame.iloc[:, slot.position] if every is None else every[slot.position]
        try:
            converted.append((before, slot.column.convert(before)))
        except Unfit as exc:
            found.append(_hint_rounding(exc, before, slot).problem("inputs", slot.name))
        except InvalidCells as exc:
            found.extend(Problem(("inputs", slot.name, *p.where), p.kind, p.message) for p in exc.problems)
    if found:
        raise InvalidInput(found)
    return converted


def _hint_rounding(exc: Unfit, series: Any, slot: Slot) -> Unfit:
    if slot.dtype is None:
        return exc
    label = repr(series.name)
    call = f"astype('{slot.dtype}')" if len(label) > 60 else f"frame.astype({{{label}: '{slot.dtype}'}})"
    return hint_rounding(exc, series.dtype, slot.dtype, call)
