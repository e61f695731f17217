"""What pictures are made of: shapes in a small coordinate system, scales, axes with ticks.

Pictures are values. A template writes them as SVG in the page, where a style sheet gives them colours, so that they
follow the reader's light or dark scheme, print, and have text that is text. Decision: no plotting library, see the
decisions in the documentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from palate.evaluation._display_text import tick_texts

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Axes",
    "Dot",
    "KeyEntry",
    "Mark",
    "Path",
    "Picture",
    "Scale",
    "Words",
    "box",
    "polyline",
    "spread",
]

WIDTH: Final = 360
HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 46  # room for numbers and titles beside the axes
_TICKS: Final = 5
_LARGEST: Final = 1e150  # no difference of two such numbers is infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A line or an area."""

    shape: ClassVar[str] = "path"
    kind: str
    d: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point."""

    shape: ClassVar[str] = "dot"
    kind: str
    x: str
    y: str
    r: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A piece of text; *turned* by a quarter it reads upwards."""

    shape: ClassVar[str] = "words"
    x: str
    y: str
    text: str
    kind: str = "tick"
    anchor: Literal["start", "middle", "end"] = "middle"
    turned: bool = False


Mark = Path | Dot | Words


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """What a line of a picture stands for; without *kind* it is said in words alone."""

    label: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, and what is said of it to who cannot see it.

    Attributes:
        title: a few words.
        description: what it shows, in sentences.
        marks: the shapes, those behind first.
        key: what its lines stand for.
        caption: what stands below it.
        width: of its coordinate system.
        height: of the same.
    """

    title: str
    description: str
    marks: tuple[Mark, ...]
    key: tuple[KeyEntry, ...] = ()
    caption: str = ""
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a number stands on an axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a number; of one outside, the nearer end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> tuple[float, ...]:
        """Return round numbers along it, at most six."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(step * number for number in range(first, last + 1))


def spread(values: Iterable[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Return a range that holds all values with a margin; one that can be drawn, whatever they are."""
    known = [value for value in values if abs(value) <= _LARGEST] or [0.0, 1.0]
    low, high = min(known), max(known)
    # Where values are equal, or so large that the next number is further off than their difference.
    room = max((high - low) * margin, abs(high) * 1e-6, abs(low) * 1e-6, 1e-9)
    return low - room, high + room


@dataclass(frozen=True, slots=True)
class Axes:
    """A pair of scales with what is drawn along them."""

    x: Scale
    y: Scale

    @classmethod
    def over(cls, x: tuple[float, float], y: tuple[float, float]) -> Axes:
        """Return axes of a picture of the usual size."""
        return cls(Scale(*x, _LEFT, WIDTH - _RIGHT), Scale(*y, HEIGHT - _BOTTOM, _TOP))

    def marks(self, x_title: str, y_title: str) -> tuple[Mark, ...]:
        """Return the grid, the numbers along it, and what they are of."""
        x, y = self.x, self.y
        across, up = x.ticks(), y.ticks()
        grid = [f"M{_c(x.start)} {_c(y(tick))}H{_c(x.end)}" for tick in up]
        grid += [f"M{_c(x(tick))} {_c(y.start)}V{_c(y.end)}" for tick in across]
        below = [
            Words(x=_c(x(t)), y=_c(y.start + 19), text=text) for t, text in zip(across, tick_texts(across), strict=True)
        ]
        beside = [
            Words(x=_c(x.start - 6), y=_c(y(t) + 4), text=text, anchor="end")
            for t, text in zip(up, tick_texts(up), strict=True)
        ]
        middle_x, middle_y = (x.start + x.end) / 2, (y.start + y.end) / 2
        titles = (
            Words(kind="axis", x=_c(middle_x), y=_c(HEIGHT - 8), text=x_title),
            Words(kind="axis", x="12", y=_c(middle_y), text=y_title, turned=True),
        )
        return (Path(kind="grid", d="".join(grid)), *below, *beside, *titles)

    def line(self, kind: str, xs: Sequence[float], ys: Sequence[float], *, steps: bool = False) -> Path:
        """Return a line through points; with *steps*, one that goes along and up in turn."""
        return Path(kind=kind, d=polyline([(self.x(a), self.y(b)) for a, b in zip(xs, ys, strict=True)], steps=steps))

    def dot(self, kind: str, x: float, y: float, radius: float) -> Dot:
        """Return a point."""
        return Dot(kind=kind, x=_c(self.x(x)), y=_c(self.y(y)), r=_c(radius))

    def cloud(self, kind: str, xs: Sequence[float], ys: Sequence[float]) -> Path:
        """Return many points as one shape: strokes of no length, which round ends make visible."""
        return Path(kind=kind, d="".join(f"M{_c(self.x(a))} {_c(self.y(b))}h0" for a, b in zip(xs, ys, strict=True)))


def polyline(points: Sequence[tuple[float, float]], *, steps: bool = False) -> str:
    """Return the SVG path through points."""
    if not points:
        return ""
    # A precision counts for the recall between its own and the next lower one.
    rising = points[0][0] <= points[-1][0]
    path = [f"M{_c(points[0][0])} {_c(points[0][1])}"]
    for x, y in points[1:]:
        if not steps:
            path.append(f"L{_c(x)} {_c(y)}")
        else:
            path.append(f"V{_c(y)}H{_c(x)}" if rising else f"H{_c(x)}V{_c(y)}")
    return "".join(path)


def box(x: float, y: float, width: float, height: float) -> str:
    """Return the SVG path around a rectangle."""
    return f"M{_c(x)} {_c(y)}h{_c(width)}v{_c(height)}h{_c(-width)}z"


def _c(value: float) -> str:
    """Return a coordinate: a tenth of a unit is finer than a screen shows."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
