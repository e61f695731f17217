"""Tables of figures, as text for a terminal and as Markdown for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Table", "micro", "milli", "times", "write_page"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the first column is text, the others are figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return it with its columns aligned by spaces."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in (self.header, *self.rows)]
        return "\n".join([self.title, *lines])

    def markdown(self) -> str:
        """Return it under a heading of the third level."""
        rule = ["---", *("---:" for _ in self.header[1:])]
        lines = [f"| {' | '.join(row)} |" for row in (self.header, rule, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def micro(seconds: float) -> str:
    """Return microseconds, with a digit after the point where there are few."""
    value = seconds * 1e6
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def milli(seconds: float) -> str:
    """Return milliseconds with one digit."""
    return f"{seconds * 1e3:,.1f}"


def times(ratio: float) -> str:
    """Return a ratio with two digits."""
    return f"{ratio:.2f}"


def write_page(page: Path, script: str, parts: Sequence[str]) -> None:
    """Put *parts* between the markers that *page* has for *script*."""
    begin, end = f"<!-- begin: {script} -->", f"<!-- end: {script} -->"
    before, marker, rest = page.read_text().partition(begin)
    _, closing, after = rest.partition(end)
    if not marker or not closing:
        raise SystemExit(f"{page} needs the lines\n{begin}\n{end}")
    page.write_text(before + "\n\n".join([begin, *parts, end]) + after)
