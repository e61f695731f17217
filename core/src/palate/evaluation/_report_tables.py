"""The tables of a report, with every cell as the text that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from palate.evaluation._display_text import (
    interval_text,
    label_text,
    metric_title,
    number_text,
    short_text,
    signed_text,
)
from palate.evaluation._svg_intervals import Ruler, Span
from palate.evaluation._svg_pictures import LARGEST_TABLE, level_of
from palate.evaluation._svg_shapes import Picture
from palate.evaluation.results import Comparison, Confusion, Difference, Evaluation, Metric, Slice

__all__ = [
    "ConfusionTable",
    "Row",
    "SliceGroup",
    "SliceTable",
    "confusion_table",
    "difference_rows",
    "importance_rows",
    "metric_rows",
    "slice_groups",
]

_MOST_ROWS: Final = 40
"""Slices in a table; all of them are in the JSON."""
_MOST_MISTAKES: Final = 20
_MOST_COLUMNS: Final = 30
_LONGEST: Final = 60
"""Characters of a label: a table with longer ones is wider than a page."""
_LONGEST_HEAD: Final = 24
"""The same above a column of the confusion matrix, where labels stand side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row with its small picture.

    Attributes:
        title: what it is of.
        name: what a rule of a gate calls it, or nothing.
        cells: its numbers.
        strip: its picture, or None.
        note: what has to be known.
        kind: "better" or "worse" where that is told.
    """

    title: str
    name: str = ""
    cells: tuple[str, ...] = ()
    strip: Picture | None = None
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """One metric in the slices of a column: a row of the whole, and then one for each slice."""

    metric: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceGroup:
    """All metrics in the slices of a column.

    Attributes:
        column: by which rows were divided.
        first: of the most telling metric.
        others: of the others.
        left_out: how many slices are not shown.
    """

    column: str
    first: SliceTable
    others: tuple[SliceTable, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a confusion matrix: a count, and its shade."""

    text: str
    share: str
    level: int
    is_hit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionTable:
    """A confusion matrix as a table, or the most frequent mistakes of one that is too large for that.

    Attributes:
        labels: of the classes, each in full and shortened; empty where the matrix is too large.
        rows: the true class, and a cell for each predicted one.
        mistakes: true class, predicted class, rows, share of the true class.
    """

    labels: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    mistakes: tuple[tuple[str, str, str, str], ...]


def metric_rows(metrics: Sequence[Metric]) -> tuple[Row, ...]:
    """Return a row for each figure: value, interval, which way is up."""
    return tuple(
        Row(
            title=metric_title(metric.name),
            name=metric.name,
            cells=(number_text(metric.value), interval_text(metric.low, metric.high)),
            note="; ".join(filter(None, (_way_up(metric), metric.note or _undefined(metric)))),
        )
        for metric in metrics
    )


def _undefined(metric: Metric) -> str:
    return "not defined here" if metric.value is None else ""


def _way_up(metric: Metric) -> str:
    return {True: "higher is better", False: "lower is better", None: ""}[metric.greater_is_better]


def slice_groups(evaluation: Evaluation) -> tuple[SliceGroup, ...]:
    """Return the tables of each column by which rows were divided."""
    if not evaluation.metrics:
        return ()
    columns = dict.fromkeys(found.column for found in evaluation.slices)
    return tuple(_slice_group(evaluation, column) for column in columns)


def _slice_group(evaluation: Evaluation, column: str) -> SliceGroup:
    slices = [found for found in evaluation.slices if found.column == column]
    largest = sorted(range(len(slices)), key=lambda place: (-slices[place].rows, place))[:_MOST_ROWS]
    shown = [slices[place] for place in sorted(largest)]
    first, *others = (
        SliceTable(metric=metric_title(whole.name), rows=_slice_rows(whole, evaluation.rows, shown))
        for whole in evaluation.metrics
    )
    return SliceGroup(column=column, first=first, others=tuple(others), left_out=len(slices) - len(shown))


def _slice_rows(whole: Metric, rows: int, slices: Sequence[Slice]) -> tuple[Row, ...]:
    lines = [
        ("All rows", rows, whole),
        *((short_text(label_text(s.label), _LONGEST), s.rows, _figure(s, whole.name)) for s in slices),
    ]
    spans = [Span(metric.value, metric.low, metric.high) for _, _, metric in lines]
    ruler = Ruler(spans, reference=whole.value)
    return tuple(
        Row(
            title=title,
            cells=(f"{count:,}", number_text(metric.value), interval_text(metric.low, metric.high)),
            strip=ruler.strip(span),
            note=metric.note,
        )
        for (title, count, metric), span in zip(lines, spans, strict=True)
    )


def _figure(found: Slice, name: str) -> Metric:
    missing = Metric(name=name, value=None, note="not computed")
    return next((metric for metric in found.metrics if metric.name == name), missing)


def difference_rows(comparison: Comparison) -> tuple[Row, ...]:
    """Return a row for each metric of two models: both values, the difference, whether it is real."""
    return tuple(_difference_row(difference) for difference in comparison.differences)


def _difference_row(found: Difference) -> Row:
    span = Span(found.difference, found.low, found.high)
    kind = {"a": "worse", "b": "better", "": ""}[found.better]
    chance = "" if found.p_value is None else f"p {_p_text(found.p_value)}, {found.test}"
    return Row(
        title=metric_title(found.name),
        name=found.name,
        cells=(
            number_text(found.a),
            number_text(found.b),
            signed_text(found.difference),
            interval_text(found.low, found.high, signed=True),
            found.verdict,
        ),
        strip=Ruler([span], reference=0.0).strip(span, kind=kind),
        note=chance,
        kind=kind,
    )


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def importance_rows(evaluation: Evaluation) -> tuple[Row, ...]:
    """Return a row for each column, the most important first."""
    ranked = sorted(evaluation.importance, key=lambda found: (-found.mean, found.column))[:_MOST_COLUMNS]
    spans = [Span(found.mean, found.mean - found.deviation, found.mean + found.deviation) for found in ranked]
    ruler = Ruler(spans, reference=0.0)
    return tuple(
        Row(
            title=short_text(label_text(found.column), _LONGEST),
            cells=(number_text(found.mean), f"± {number_text(found.deviation)}"),
            strip=ruler.strip(span),
        )
        for found, span in zip(ranked, spans, strict=True)
    )


def confusion_table(confusion: Confusion | None) -> ConfusionTable | None:
    """Return a confusion matrix as tables; None where there is none."""
    if confusion is None or not confusion.labels:
        return None
    labels = tuple(map(label_text, confusion.labels))
    if len(labels) > LARGEST_TABLE:
        return ConfusionTable(labels=(), rows=(), mistakes=_mistakes(labels, confusion.counts))
    rows = tuple(
        (
            short_text(label, _LONGEST),
            tuple(_cell(count, sum(counts), is_hit=row == column) for column, count in enumerate(counts)),
        )
        for row, (label, counts) in enumerate(zip(labels, confusion.counts, strict=True))
    )
    heads = tuple((label, short_text(label, _LONGEST_HEAD)) for label in labels)
    return ConfusionTable(labels=heads, rows=rows, mistakes=())


def _cell(count: float, whole: float, *, is_hit: bool) -> Cell:
    share = f"{count / whole:.0%}" if whole > 0 else ""
    return Cell(text=_count_text(count), share=share, level=level_of(count, whole), is_hit=is_hit)


def _mistakes(labels: Sequence[str], counts: Sequence[Sequence[float]]) -> tuple[tuple[str, str, str, str], ...]:
    found = [
        (count, row, column)
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if row != column and count > 0
    ]
    shown = [short_text(label, _LONGEST) for label in labels]
    worst = sorted(found, key=lambda one: (-one[0], one[1], one[2]))[:_MOST_MISTAKES]
    return tuple((shown[r], shown[c], _count_text(n), f"{n / sum(counts[r]):.0%}") for n, r, c in worst)


def _count_text(count: float) -> str:
    return f"{count:,.0f}" if float(count).is_integer() else number_text(count)
