"""A job in parts, of which each is done once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from palate.datasets import Unit

__all__ = ["Part", "plan_parts"]

# Less is more files, of which each is forced to disk; more is lost when a job is interrupted.
_PART_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Neighbouring row groups, or what corresponds to them: always the same for the same data.

    Attributes:
        number: from 0, in the order of the rows.
        units: the row groups.
    """

    number: int
    units: tuple[Unit, ...]

    @property
    def size(self) -> int:
        """How many bytes of all that is to be read it stands for."""
        return sum(unit.size for unit in self.units)


def plan_parts(units: Iterator[Unit]) -> Iterator[Part]:
    """Put small units together; a part that is yielded is complete, though the data may go on."""
    number, gathered, size = 0, list[Unit](), 0
    for unit in units:
        gathered.append(unit)
        size += unit.size
        if size >= _PART_BYTES:
            yield Part(number=number, units=tuple(gathered))
            number, gathered, size = number + 1, [], 0
    if gathered:
        yield Part(number=number, units=tuple(gathered))
