"""A report of an evaluation or a comparison: one HTML file that needs nothing else, or one of JSON."""

from __future__ import annotations

import json
import math
import os
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palate.errors import DependencyMissing, SaveFailed
from palate.evaluation._report_content import report_content
from palate.evaluation._svg_pictures import LEVELS
from palate.evaluation.gate import GateResult
from palate.evaluation.results import Comparison, Evaluation
from palate.storage import sync_directory, write_new

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render_report", "write_json", "write_report"]

_TEMPLATES: Final = Path(__file__).parent / "_templates"
# Marks of direction, which turn the text around them.
_TURNING: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(9), *range(14, 32), *range(127, 160), *_TURNING)}


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
    return _template().render(report_content(result, gate), levels=LEVELS)


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
