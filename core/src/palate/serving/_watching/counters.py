"""Numbers that forked workers share, and what is counted in them.

All numbers of a server stand in one anonymous mapping, made before the workers are forked, with a row for each worker.
A worker writes to its own row only, from one thread (its event loop's), so nothing is locked; whoever reads adds the
rows up. An eight-byte number is stored by one instruction, so a reader sees the old one or the new one. A worker that
takes over the row of one that died goes on counting where that one stopped, as Prometheus expects of a counter.
"""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from typing import TypeAlias

__all__ = ["Carver", "Cells", "Counter", "CounterSet", "Gauge", "Histogram", "SharedRows"]

# In quotes: to a type checker a memoryview has items of some type, to Python before 3.14 it has no brackets.
Cells: TypeAlias = "memoryview[float]"
"""Consecutive doubles of a row."""

# Two workers that write to one cache line slow each other down.
_LINE = 8


class SharedRows:
    """A row of doubles for each worker, in memory that their processes share."""

    __slots__ = ("_cells", "_width", "workers")

    def __init__(self, *, width: int, workers: int) -> None:
        self.workers = workers
        self._width = -(-width // _LINE) * _LINE
        self._cells = memoryview(mmap.mmap(-1, self._width * workers * 8)).cast("d")

    def row(self, worker: int) -> Cells:
        """Return the row that belongs to a worker."""
        return self._cells[worker * self._width : (worker + 1) * self._width]

    def total(self) -> Cells:
        """Return a row of its own, in which each number is the sum over the workers."""
        rows = [self.row(worker).tolist() for worker in range(self.workers)]
        return memoryview(array("d", map(sum, zip(*rows, strict=True))))


class Carver:
    """Hands out a row's cells one after the other; with none to hand out, it tells how many there have to be."""

    __slots__ = ("_cells", "used")

    def __init__(self, cells: Cells | None = None) -> None:
        self._cells = memoryview(b"").cast("d") if cells is None else cells
        self.used = 0

    def take(self, count: int) -> Cells:
        """Return the next *count* cells."""
        self.used += count
        return self._cells[self.used - count : self.used]


class Counter:
    """A number that only grows."""

    __slots__ = ("_cells",)

    def __init__(self, carver: Carver) -> None:
        self._cells = carver.take(1)

    def count(self, amount: float = 1) -> None:
        """Add to it."""
        self._cells[0] += amount

    @property
    def value(self) -> float:
        """What it has come to."""
        return float(self._cells[0])


class CounterSet:
    """A counter for each of a closed set of keys, and for any other key the last one's."""

    __slots__ = ("_cells", "_index", "_last", "keys")

    def __init__(self, carver: Carver, keys: Sequence[Hashable]) -> None:
        self.keys = tuple(keys)
        self._index = {key: index for index, key in enumerate(self.keys)}
        self._last = len(self.keys) - 1
        self._cells = carver.take(len(self.keys))

    def count(self, key: Hashable) -> None:
        """Add one to a key's counter."""
        self._cells[self._index.get(key, self._last)] += 1

    def items(self) -> Iterator[tuple[Hashable, float]]:
        """Yield each key with what it has come to."""
        return zip(self.keys, self._cells.tolist(), strict=True)


class Gauge:
    """A number that goes up and down; the server's is the sum of its workers'."""

    __slots__ = ("_cells",)

    def __init__(self, carver: Carver) -> None:
        self._cells = carver.take(1)

    def add(self, amount: float) -> None:
        """Raise it, or lower it by a negative amount."""
        self._cells[0] += amount

    def set(self, value: float) -> None:
        """Set it."""
        self._cells[0] = value

    @property
    def value(self) -> float:
        """What it is now."""
        return float(self._cells[0])


class Histogram:
    """How many observations fell below each of some bounds, and their sum."""

    __slots__ = ("_cells", "_sum", "bounds")

    def __init__(self, carver: Carver, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        # One cell for each bound, one for what is above the last, then the sum.
        self._sum = len(self.bounds) + 1
        self._cells = carver.take(self._sum + 1)

    def observe(self, value: float) -> None:
        """Count an observation in the bucket of the first bound that is not below it."""
        cells = self._cells
        cells[bisect_left(self.bounds, value)] += 1
        cells[self._sum] += value

    @property
    def buckets(self) -> list[float]:
        """For each bound, and at last without one, how many observations fell below it or on it."""
        reached, buckets = 0.0, []
        for count in self._cells[: self._sum].tolist():
            reached += count
            buckets.append(reached)
        return buckets

    @property
    def sum(self) -> float:
        """The observations' sum."""
        return float(self._cells[self._sum])
