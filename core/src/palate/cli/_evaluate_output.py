"""What ``palate evaluate`` and a gate tell people: tables, one line for each figure, slice and rule."""

from __future__ import annotations

from collections.abc import Sequence

import click

from palate.cli._output import echo_table, one_line, printable
from palate.evaluation import Comparison, Evaluation, GateResult, Metric, Slice
from palate.locations import shown_uri

__all__ = ["echo_broken", "echo_comparison", "echo_evaluation", "echo_gate"]

# As many as a terminal has room for; --report and --json have them all.
_SLICE_FIGURES = 4
_LONGEST = 40


def echo_evaluation(found: Evaluation) -> None:
    """Print what was found of one model."""
    echo_table([("model", *_identity(found)), *_about(found)])
    click.echo()
    head = ("FIGURE", "VALUE", _interval_head(found.confidence, found.resamples), "NOTE")
    echo_table([head, *(_figure(metric) for metric in found.metrics)])
    _echo_slices([("", found)])
    _echo_latency([("", found)])
    _echo_importance(found)
    _echo_notes(found.notes)


def echo_comparison(found: Comparison) -> None:
    """Print how two models differ."""
    echo_table([("A", *_identity(found.a)), ("B", *_identity(found.b)), *_about(found.b)])
    click.echo()
    rows = [("FIGURE", "A", "B", "B - A", _interval_head(found.confidence, found.b.resamples), "P", "VERDICT")]
    for one in found.differences:
        p = "-" if one.p_value is None else f"{one.p_value:.3g}"
        difference = _number(one.difference)
        interval = _interval(one.low, one.high)
        rows.append((_cut(one.name), _number(one.a), _number(one.b), difference, interval, p, one.verdict))
    echo_table(rows)
    if any(one.p_value is not None for one in found.differences):
        click.echo("P, and so VERDICT, is corrected for the number of figures (Holm); intervals are not.")
    _echo_slices([("A", found.a), ("B", found.b)])
    _echo_latency([("A", found.a), ("B", found.b)])
    _echo_importance(found.b)
    _echo_notes(tuple(dict.fromkeys((*found.a.notes, *found.b.notes))))


def echo_gate(found: GateResult) -> None:
    """Print what became of each rule, and the verdict."""
    click.echo()
    marks = {"passed": "passed", "failed": "FAILED", "undecidable": "FAILED", "skipped": "skipped"}
    rows = [(marks[one.status], one.title, one_line(one.reason)) for one in found.judgements]
    echo_table([("GATE", "RULE", "FOUND"), *rows])
    if found.passed:
        skipped = (
            f"; {_count(len(found.skipped), 'rule')} skipped, for there is no baseline yet" if found.skipped else ""
        )
        click.echo(f"the gate passed{skipped}")


def echo_broken(found: GateResult) -> None:
    """Name on standard error every rule that was not kept."""
    for one in found.broken:
        click.echo(f"palate: not kept: {one_line(one.title)}: {one_line(one.reason)}", err=True)


def _identity(found: Evaluation) -> tuple[str, str]:
    return shown_uri(found.uri), f"sha256 {found.digest[:12]}" if found.digest else "no MANIFEST.json"


def _about(found: Evaluation) -> list[tuple[str, str, str]]:
    rows = f"{found.rows:,} rows" + (f", {found.skipped:,} left out" if found.skipped else "")
    target = found.target + (f", looked for {found.positive}" if found.positive is not None else "")
    about = [("data", _cut(found.data, 80), rows), ("target", _cut(target, 80), found.task)]
    return [*about, ("weights", _cut(found.weights, 80), "")] if found.weights else about


def _figure(metric: Metric) -> tuple[str, str, str, str]:
    better = "" if metric.greater_is_better is not False else "lower is better"
    note = "; ".join(filter(None, (better, one_line(metric.note))))
    return _cut(metric.name), _number(metric.value), _interval(metric.low, metric.high), note


def _echo_slices(evaluations: Sequence[tuple[str, Evaluation]]) -> None:
    """Print the slices, of two models a line of each below that of the other."""
    first = evaluations[0][1]
    if not first.slices:
        return
    click.echo()
    names = [metric.name for metric in first.metrics[:_SLICE_FIGURES]]
    marked = any(mark for mark, _found in evaluations)
    rows = [("SLICE", *(["MODEL"] if marked else []), "ROWS", *(_cut(name) for name in names))]
    parts = [(mark, part) for mark, found in evaluations for part in found.slices]
    titles = list(dict.fromkeys(_slice_title(part) for _mark, part in parts))
    for mark, part in sorted(parts, key=lambda each: titles.index(_slice_title(each[1]))):
        values = {metric.name: _number(metric.value) for metric in part.metrics}
        figures = (values.get(name, "-") for name in names)
        rows.append((_slice_title(part), *([mark] if mark else []), f"{part.rows:,}", *figures))
    echo_table(rows)
    for mark, found in evaluations:
        _echo_slice_notes(found, names, f" of {mark}" if mark else "")


def _slice_title(part: Slice) -> str:
    return f"{_cut(part.column)}={_cut(part.label)}"


def _echo_slice_notes(found: Evaluation, names: Sequence[str], whose: str) -> None:
    """Print what has to be known of the figures in slices; that they have no interval is not, as none is shown."""
    told: dict[tuple[str, str], list[str]] = {}
    for part in found.slices:
        for metric in part.metrics:
            if metric.name in names and metric.note and (metric.value is None or metric.low is not None):
                told.setdefault((metric.name, metric.note), []).append(_slice_title(part))
    for (name, note), where in told.items():
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        click.echo(printable(f"note: {name}{whose} in {', '.join(where[:3])}{more}: {note}"))


def _echo_latency(evaluations: Sequence[tuple[str, Evaluation]]) -> None:
    timed = [(mark, found.latency) for mark, found in evaluations if found.latency is not None]
    if not timed:
        return
    click.echo()
    rows = [
        (
            f"  {mark}",
            *(f"{ms:.3g} ms" for ms in (took.p50_ms, took.p95_ms, took.p99_ms, took.mean_ms)),
            f"{took.calls:,}",
        )
        for mark, took in timed
    ]
    of = f"CALLS OF {_count(timed[0][1].rows_per_call, 'ROW')}"
    echo_table([("LATENCY", "P50", "P95", "P99", "MEAN", of), *rows])


def _echo_importance(found: Evaluation) -> None:
    if not found.importance:
        return
    click.echo()
    ranked = sorted(found.importance, key=lambda one: -one.mean)
    rows = [(_cut(one.column), _number(one.mean), _number(one.deviation)) for one in ranked]
    echo_table([("COLUMN", "LOSS IF SHUFFLED", "DEVIATION"), *rows])


def _echo_notes(notes: Sequence[str]) -> None:
    if notes:
        click.echo()
    for note in notes:
        click.echo(f"note: {printable(note)}")


def _interval_head(confidence: float, resamples: int) -> str:
    return f"{confidence * 100:g} % INTERVAL" if resamples else "INTERVAL"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 10 else f"{value:.4g}"


def _count(number: int, noun: str) -> str:
    plural = "S" if noun.isupper() else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def _cut(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
