"""Small pictures in the rows of a table: a value with its interval, on a scale that all rows share.

The numbers stand beside them, so to a screen reader they are nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from palate.evaluation._svg_shapes import Dot, Mark, Path, Picture, Scale, spread

__all__ = ["Ruler", "Span"]

_WIDTH: Final = 150
_HEIGHT: Final = 18
_EDGE: Final = 7
"""Free on both sides, so that no point is cut off: its radius is 3.6."""


@dataclass(frozen=True, slots=True)
class Span:
    """A value, and the ends of its interval where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def known(self) -> list[float]:
        """Return those of its numbers that can be drawn."""
        return [n for n in (self.value, self.low, self.high) if n is not None and math.isfinite(n)]


class Ruler:
    """The scale that the rows of one table share.

    Args:
        spans: all of them.
        reference: where a line is drawn through all rows: the figure of the whole, or no difference.
    """

    def __init__(self, spans: Iterable[Span], *, reference: float | None) -> None:
        numbers = [number for span in spans for number in span.known()]
        line = reference if reference is not None and math.isfinite(reference) else None
        self._scale = Scale(*spread(numbers if line is None else (*numbers, line)), _EDGE, _WIDTH - _EDGE)
        self._reference = line

    def strip(self, span: Span, *, kind: str = "") -> Picture:
        """Return the picture of one row; *kind* is "better" or "worse" where it is told apart."""
        middle, scale = _HEIGHT / 2, self._scale
        marks: list[Mark] = []
        if self._reference is not None:
            marks.append(Path(kind="reference", d=f"M{scale(self._reference):.1f} 0V{_HEIGHT}"))
        if span.low is not None and span.high is not None and len(span.known()) == 3:
            low, high = scale(span.low), scale(span.high)
            ends = f"M{low:.1f} {middle - 3:g}v6M{high:.1f} {middle - 3:g}v6"
            marks.append(Path(kind=f"whisker {kind}".strip(), d=f"M{low:.1f} {middle:g}H{high:.1f}{ends}"))
        if span.value is not None and math.isfinite(span.value):
            marks.append(Dot(kind=f"point {kind}".strip(), x=f"{scale(span.value):.1f}", y=f"{middle:g}", r="3.6"))
        return Picture(title="", description="", marks=tuple(marks), width=_WIDTH, height=_HEIGHT)
