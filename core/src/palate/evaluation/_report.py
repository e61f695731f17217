"""A report of an evaluation or a comparison: one HTML file that needs nothing else, or one of JSON."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palate.errors import DependencyMissing, SaveFailed
from palate.evaluation import _report_tables as tables
from palate.evaluation._display_text import (
    interval_text,
    label_text,
    metric_title,
    number_text,
    percent_text,
)
from palate.evaluation._svg_pictures import LEVELS, pictures_of
from palate.evaluation._svg_shapes import Picture
from palate.evaluation.gate import GateResult
from palate.evaluation.results import Comparison, Evaluation
from palate.locations import shown_uri
from palate.storage import sync_directory, write_new

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render_report", "write_json", "write_report"]

_TEMPLATES: Final = Path(__file__).parent / "_templates"
_HEADLINES: Final = 4
_TURNING: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(9), *range(14, 32), *range(127, 160), *_TURNING)}
_TASKS: Final = {
    "binary": "Binary classification",
    "multiclass": "Classification",
    "multilabel": "Classification with several labels",
    "regression": "Regression",
}


def write_report(result: Evaluation | Comparison, path: str | PathLike[str], *, gate: GateResult | None = None) -> None:
    """Write a report as one HTML file, with its pictures in it; equal values give equal bytes.

    Args:
        result: of one model, or of two.
        path: the file, which is replaced in one step.
        gate: what a gate said of it.

    Raises:
        SaveFailed: the disk refused.
        DependencyMissing: Jinja2 is not installed.
    """
    # Half of a surrogate pair, from a hostile model, has no UTF-8.
    _replace(Path(path), render_report(result, gate=gate).encode("utf-8", "replace"))


def write_json(result: Evaluation | Comparison, path: str | PathLike[str]) -> None:
    """Write all that an evaluation found as JSON; a number that JSON has no word for becomes null.

    Raises:
        SaveFailed: the disk refused.
    """
    text = json.dumps(_finite(result.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    _replace(Path(path), f"{text}\n".encode("utf-8", "backslashreplace"))


def render_report(result: Evaluation | Comparison, *, gate: GateResult | None = None) -> str:
    """Return the HTML of a report."""
    content = _comparison(result, gate) if isinstance(result, Comparison) else _evaluation(result, gate)
    return _template().render(content, levels=LEVELS)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _replace(path: Path, content: bytes) -> None:
    # A device or a pipe cannot be replaced, only written to; a link keeps leading where it leads.
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        temporary = path.with_name(f".palate-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            write_new(temporary, content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as exc:
        raise SaveFailed(str(path), cause=exc) from exc


@cache
def _template() -> Template:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as exc:
        raise DependencyMissing("jinja2", needed_for="A report", install="palate[evaluate]") from exc

    # Names, classes and columns come from strangers' models and data: each is escaped, wherever it stands.
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _without_controls(value: object) -> object:
    """Show what would turn the text around it: marks of direction, which a hostile name may hold, and control codes."""
    return value.translate(_CONTROLS) if type(value) is str else value


# -- what the template shows -------------------------------------------------------------------------------------------


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
        "byline": f"{_time(found.b)} · A {_mark(found.a)} · B {_mark(found.b)}",
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
        confusion=tables.confusion_of(found.pictures.confusion),
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
