"""The pictures of one evaluation: ROC, precision and recall, calibration, residuals, a large confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from palate.evaluation._display_text import label_text, number_text, short_text
from palate.evaluation._svg_shapes import HEIGHT, WIDTH, Axes, KeyEntry, Mark, Path, Picture, Words, box, spread
from palate.evaluation.results import Calibration, Confusion, Curve, Evaluation, Residuals

__all__ = ["LARGEST_TABLE", "LEVELS", "level_of", "pictures_of"]

LINES: Final = 6
"""Lines that can be told apart, each with a colour and a pattern of dashes of its own."""

LEVELS: Final = 8
"""Shades of a confusion matrix."""

_UNIT: Final = (0.0, 1.0)
LARGEST_TABLE: Final = 15
"""Classes of a confusion matrix that is shown as a table with numbers; a larger one is drawn."""
_GRID_SIDE: Final = 288
"""The side of a drawn confusion matrix: what axes leave free of the width of a picture."""
_LONGEST: Final = 60
"""Characters of a label in a key, which stands in one line."""

Line = TypeVar("Line", Curve, Calibration)


def pictures_of(evaluation: Evaluation) -> tuple[Picture, ...]:
    """Return the pictures that an evaluation has something for."""
    return tuple(_pictures(evaluation))


def _pictures(evaluation: Evaluation) -> Iterator[Picture]:
    found = evaluation.pictures
    if found.roc:
        yield _draw_roc(found.roc)
    if found.pr:
        yield _draw_pr(found.pr)
    if found.calibration:
        yield _draw_calibration(found.calibration)
    if found.confusion is not None and len(found.confusion.labels) > LARGEST_TABLE:
        yield _draw_confusion(found.confusion)
    if found.residuals is not None and found.residuals.counts:
        yield _draw_residuals(found.residuals)
    if found.residuals is not None and found.residuals.actual:
        yield _draw_predictions(found.residuals)


# -- curves ------------------------------------------------------------------------------------------------------------


def _draw_roc(curves: Sequence[Curve]) -> Picture:
    axes = Axes.over(_UNIT, _UNIT)
    chosen, others = _choose(curves, lambda curve: curve.area)
    marks = [axes.line("other", curve.x, curve.y) for curve in others]
    marks += [axes.line(f"line line-{n}", curve.x, curve.y) for n, curve in enumerate(chosen, 1)]
    chance = axes.line("reference", _UNIT, _UNIT)
    return Picture(
        title="ROC curve",
        description=f"True positive rate over false positive rate. {_areas(chosen)}",
        marks=(*axes.marks("False positive rate", "True positive rate"), chance, *marks),
        key=(*_key(chosen, others), KeyEntry(label="Guessing", kind="reference")),
        caption=_caption(others, "area"),
    )


def _draw_pr(curves: Sequence[Curve]) -> Picture:
    axes = Axes.over(_UNIT, _UNIT)
    chosen, others = _choose(curves, lambda curve: curve.area)
    marks = [axes.line("other", curve.x, curve.y, steps=True) for curve in others]
    marks += [axes.line(f"line line-{n}", curve.x, curve.y, steps=True) for n, curve in enumerate(chosen, 1)]
    return Picture(
        title="Precision and recall",
        description=f"Precision over recall. {_areas(chosen)}",
        marks=(*axes.marks("Recall", "Precision"), *marks),
        key=_key(chosen, others),
        caption=_caption(others, "area"),
    )


def _draw_calibration(lines: Sequence[Calibration]) -> Picture:
    axes = Axes.over(_UNIT, _UNIT)
    chosen, others = _choose(lines, lambda line: -_gap(line))
    marks: list[Mark] = [axes.line("other", line.predicted, line.observed) for line in others]
    for number, line in enumerate(chosen, 1):
        marks.append(axes.line(f"line line-{number}", line.predicted, line.observed))
        most = max(line.rows, default=0.0) or 1.0
        marks += [
            axes.dot(f"dot dot-{number}", x, y, 2 + 4 * (rows / most) ** 0.5)
            for x, y, rows in zip(line.predicted, line.observed, line.rows, strict=True)
        ]
    gaps = tuple(
        KeyEntry(label=_name(line), note=f"mean gap {number_text(_gap(line))}", kind=f"line line-{n}")
        for n, line in enumerate(chosen, 1)
    )
    told = "; ".join(f"{entry.label}: {entry.note}" for entry in gaps)
    return Picture(
        title="Calibration",
        description=f"How often a class came true, over the probability it was given. {told}.",
        marks=(*axes.marks("Predicted probability", "Observed share"), axes.line("reference", _UNIT, _UNIT), *marks),
        key=(*gaps, *_rest(others), KeyEntry(label="Perfectly calibrated", kind="reference")),
        caption=" ".join(filter(None, ("A larger dot stands for more rows.", _caption(others, "gap")))),
    )


def _gap(line: Calibration) -> float:
    """Return how far a line is off the diagonal, on average over the rows: the expected calibration error."""
    whole = sum(line.rows) or 1.0
    points = zip(line.predicted, line.observed, line.rows, strict=True)
    return sum(abs(predicted - observed) * rows for predicted, observed, rows in points) / whole


def _choose(lines: Sequence[Line], merit: Callable[[Line], float | None]) -> tuple[list[Line], list[Line]]:
    """Return the lines that are told apart, and those that are not: where there are too many, the worst ones are."""
    if len(lines) <= LINES:
        return list(lines), []
    ranked = sorted(range(len(lines)), key=lambda place: (_or_best(merit(lines[place])), place))
    chosen = set(ranked[:LINES])
    return [lines[n] for n in ranked[:LINES]], [line for n, line in enumerate(lines) if n not in chosen]


def _or_best(merit: float | None) -> float:
    return float("inf") if merit is None else merit


def _key(chosen: Sequence[Curve], others: Sequence[Curve]) -> tuple[KeyEntry, ...]:
    entries = (
        KeyEntry(label=_name(curve), note=f"area {number_text(curve.area)}", kind=f"line line-{n}")
        for n, curve in enumerate(chosen, 1)
    )
    return (*entries, *_rest(others))


def _name(line: Curve | Calibration) -> str:
    return short_text(label_text(line.label), _LONGEST)


def _rest(others: Sequence[object]) -> tuple[KeyEntry, ...]:
    return (KeyEntry(label=f"{len(others)} other classes", kind="other"),) if others else ()


def _areas(chosen: Sequence[Curve]) -> str:
    told = "; ".join(f"{_name(curve)}: {number_text(curve.area)}" for curve in chosen)
    return f"Area under the curve: {told}."


def _caption(others: Sequence[object], what: str) -> str:
    worst = {"area": "smallest area", "gap": "largest gap"}[what]
    return f"Named are the {LINES} classes with the {worst}." if others else ""


# -- counts ------------------------------------------------------------------------------------------------------------


def level_of(count: float, whole: float) -> int:
    """Return the shade of a cell of a confusion matrix, from 0 for an empty one, by its share of the row."""
    if count <= 0 or whole <= 0:
        return 0
    return min(LEVELS, 1 + int(count / whole * LEVELS))


def _draw_confusion(confusion: Confusion) -> Picture:
    """Draw a matrix that is too large for a table: one square for each pair of classes that occurs."""
    size = len(confusion.labels)
    left, top = 52, 12
    side = _GRID_SIDE / size
    shades: dict[tuple[str, int], list[str]] = {}
    for row, counts in enumerate(confusion.counts):
        whole = sum(counts)
        for column, count in enumerate(counts):
            if level := level_of(count, whole):
                kind = "hit" if row == column else "miss"
                square = box(left + column * side, top + row * side, side, side)
                shades.setdefault((kind, level), []).append(square)
    cells = [Path(kind=f"{kind} level-{n}", d="".join(d)) for (kind, n), d in sorted(shades.items())]
    frame = Path(kind="grid", d=box(left, top, _GRID_SIDE, _GRID_SIDE))
    right = sum(confusion.counts[n][n] for n in range(size))
    total = sum(map(sum, confusion.counts)) or 1.0
    return Picture(
        title="Confusion matrix",
        description=f"{size} true classes down, {size} predicted classes across; {right / total:.1%} on the diagonal.",
        marks=(
            frame,
            *cells,
            Words(kind="axis", x=str(left + _GRID_SIDE // 2), y=str(top + _GRID_SIDE + 24), text="Predicted class"),
            Words(kind="axis", x="12", y=str(top + _GRID_SIDE // 2), text="True class", turned=True),
        ),
        caption=f"{size} classes, in sorted order from the upper left; a darker square is a larger share of its row.",
        width=WIDTH,
        height=top + _GRID_SIDE + 34,
    )


def _draw_residuals(residuals: Residuals) -> Picture:
    edges, counts = residuals.edges, residuals.counts
    axes = Axes.over(spread(edges, margin=0.02), (0.0, max(counts) * 1.06 or 1.0))
    x, y = axes.x, axes.y
    bars = "".join(
        box(x(a) + 0.4, y(count), max(x(b) - x(a) - 0.8, 0.4), y(0.0) - y(count))
        for a, b, count in zip(edges, edges[1:], counts, strict=False)
        if count > 0
    )
    marks: list[Mark] = [*axes.marks("Predicted minus true", "Rows"), Path(kind="bar", d=bars)]
    if x.low < 0 < x.high:
        marks.append(Path(kind="reference", d=f"M{x(0):.1f} {y.start:.1f}V{y.end:.1f}"))
    return Picture(
        title="Residuals",
        description="How many rows are off by how much: a histogram of predicted minus true, "
        f"from {number_text(edges[0])} to {number_text(edges[-1])}.",
        marks=tuple(marks),
        caption="Right of zero, predictions are too high.",
    )


def _draw_predictions(residuals: Residuals) -> Picture:
    both = spread((*residuals.actual, *residuals.predicted))
    axes = Axes.over(both, both)
    return Picture(
        title="Predicted and true values",
        description=f"{len(residuals.actual)} rows, each as a point: predicted over true. Right ones are on the line.",
        marks=(
            *axes.marks("True", "Predicted"),
            axes.line("reference", both, both),
            axes.cloud("cloud", residuals.actual, residuals.predicted),
        ),
        key=(KeyEntry(label="Predicted as it is", kind="reference"),),
        caption=f"{len(residuals.actual):,} rows.",
        height=HEIGHT,
    )
