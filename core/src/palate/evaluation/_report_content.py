"""What a report shows of an evaluation or a comparison, as the values that its template is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from palate.evaluation import _report_tables as tables
from palate.evaluation._display_text import interval_text, label_text, metric_title, number_text, percent_text
from palate.evaluation._svg_pictures import pictures_of
from palate.evaluation._svg_shapes import Picture
from palate.evaluation.gate import GateResult
from palate.evaluation.results import Comparison, Evaluation
from palate.locations import shown_uri

__all__ = ["Figure", "Model", "report_content"]

_HEADLINES: Final = 4
"""Figures that stand out at the top: as many as a line has room for."""
_TASKS: Final = {
    "binary": "Binary classification",
    "multiclass": "Classification",
    "multilabel": "Classification with several labels",
    "regression": "Regression",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that stands out at the top."""

    title: str
    value: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model, with all that is shown of it.

    Attributes:
        mark: "A" or "B" of two; nothing of one.
        title: its name and version, or its address.
        facts: what is known of it, with whether it is text of a machine.
        pictures: its pictures.
        confusion: its confusion matrix.
        metrics: a row for each figure.
        slices: the figures by slice.
        importance: of its columns.
        latency: how long a prediction takes.
        notes: what has to be known.
    """

    mark: str
    title: str
    facts: tuple[tuple[str, str, bool], ...]
    pictures: tuple[Picture, ...]
    confusion: tables.ConfusionTable | None
    metrics: tuple[tables.Row, ...]
    slices: tuple[tables.SliceGroup, ...]
    importance: tuple[tables.Row, ...]
    latency: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def report_content(result: Evaluation | Comparison, gate: GateResult | None) -> dict[str, Any]:
    """Return what the template is given, by name."""
    return _comparison(result, gate) if isinstance(result, Comparison) else _evaluation(result, gate)


def _evaluation(found: Evaluation, gate: GateResult | None) -> dict[str, Any]:
    model = _model(found, "")
    return {
        "title": f"Evaluation of {model.title}",
        "lead": _lead(found),
        "byline": f"{_time(found)} · {_mark(found)}",
        "verdict": "",
        "figures": _figures(found),
        "about": _about(found),
        "models": (model,),
        "differences": (),
        "gate": gate,
        "confidence": percent_text(found.confidence),
        "software": _software(found),
    }


def _comparison(found: Comparison, gate: GateResult | None) -> dict[str, Any]:
    a, b = _model(found.a, "A"), _model(found.b, "B")
    return {
        "title": f"{b.title} compared with {a.title}",
        "lead": _lead(found.b),
        "byline": f"{_time(found.b)} · A is {a.title}, {_mark(found.a)} · B is {b.title}, {_mark(found.b)}",
        "verdict": _verdict(found),
        "figures": (),
        "about": _about(found.b),
        "models": (a, b),
        "differences": tables.difference_rows(found),
        "gate": gate,
        "confidence": percent_text(found.confidence),
        "software": _software(found.b),
    }


def _verdict(found: Comparison) -> str:
    if not found.differences:
        return "There is nothing in which they can be compared."
    a, b = (sum(one.better == who for one in found.differences) for who in ("a", "b"))
    unknown = sum(one.difference is None for one in found.differences)
    rest = len(found.differences) - a - b - unknown
    parts = [f"B is better in {b} and A in {a}"]
    parts += [f"in {rest}, a difference may be chance"] if rest else []
    parts += [f"{unknown} cannot be told"] if unknown else []
    return f"Of {len(found.differences)} figures, {'; '.join(parts)}."


def _model(found: Evaluation, mark: str) -> Model:
    return Model(
        mark=mark,
        title=_title(found),
        facts=_facts(found),
        pictures=pictures_of(found),
        confusion=tables.confusion_table(found.pictures.confusion),
        metrics=tables.metric_rows(found.metrics),
        slices=tables.slice_groups(found),
        importance=tables.importance_rows(found),
        latency=_latency(found),
        notes=found.notes,
    )


def _title(found: Evaluation) -> str:
    if found.name is None:
        address = shown_uri(found.uri)
        return address.rstrip("/").rpartition("/")[2] or address
    return f"{found.name}, version {found.version}" if found.version is not None else found.name


def _lead(found: Evaluation) -> str:
    skipped = f", {found.skipped:,} left out" if found.skipped else ""
    return f"{_TASKS[found.task]} on {found.rows:,} rows{skipped}, from {found.data}."


def _mark(found: Evaluation) -> str:
    """Return what identifies a model among all others, in few words."""
    return f"sha256:{found.digest[:12]}" if found.digest else "no identity"


def _time(found: Evaluation) -> str:
    return f"{found.time.partition('.')[0].replace('T', ' ').removesuffix('Z').removesuffix('+00:00')} UTC"


def _figures(found: Evaluation) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            title=metric_title(metric.name),
            value=number_text(metric.value),
            interval=interval_text(metric.low, metric.high),
        )
        for metric in found.metrics[:_HEADLINES]
    )


def _facts(found: Evaluation) -> tuple[tuple[str, str, bool], ...]:
    return (
        ("Model", shown_uri(found.uri), True),
        ("Identity", f"sha256:{found.digest}" if found.digest else "unknown: it has no MANIFEST.json", True),
        ("Flavor", found.flavor, False),
    )


def _about(found: Evaluation) -> tuple[tuple[str, str], ...]:
    """Return what is the same for both of two models."""
    facts = [("Data", found.data), ("Target", found.target)]
    if found.positive is not None:
        facts.append(("Looked for", label_text(found.positive)))
    if found.weights is not None:
        facts.append(("Weights", found.weights))
    rows = f"{found.rows:,}" + (f", and {found.skipped:,} without a true value" if found.skipped else "")
    facts += [("Rows", rows), ("Evaluated", _time(found))]
    if found.resamples:
        way = f"{percent_text(found.confidence)}, from {found.resamples:,} bootstrap samples, seed {found.seed}"
        facts.append(("Intervals", way))
    facts.append(("Figures", "exact" if found.exact else "some come from fine bins, because rows were too many"))
    return tuple(facts)


def _latency(found: Evaluation) -> tuple[tuple[str, str], ...]:
    took = found.latency
    if took is None:
        return ()
    return (
        ("median", _milliseconds(took.p50_ms)),
        ("95 of 100", _milliseconds(took.p95_ms)),
        ("99 of 100", _milliseconds(took.p99_ms)),
        ("mean", _milliseconds(took.mean_ms)),
        ("calls", f"{took.calls:,}"),
        ("rows per call", f"{took.rows_per_call:,}"),
    )


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _software(found: Evaluation) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(found.software.items()))
