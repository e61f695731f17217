"""``palate predict`` on files of any size: row by row, on this machine or on an engine."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from palate.batch import BatchReport, EngineRun, predict_files, predict_on_engine
from palate.cli._output import echo_json, model_speaks_aside, printable
from palate.cli._predict_whole import STANDARD
from palate.cli._progress import ProgressLine, duration_text
from palate.codecs import DataFormat, format_of
from palate.datasets import STREAMED_FORMATS
from palate.loading import load_model
from palate.pyfunc import PyFuncModel

__all__ = ["can_stream", "predict_on_cluster", "predict_streamed"]

_INTERRUPTED: Final = 130


def can_stream(sources: Sequence[str], read_as: DataFormat | None, output: str, write_as: DataFormat | None) -> bool:
    """Tell whether all can be read and written row by row: no standard input or output, and no JSON document."""
    if output == STANDARD or STANDARD in sources or any(map(_is_special, (output, *sources))):
        return False
    formats = {read_as or format_of(source) for source in sources if not _means_several(source)}
    return formats <= set(STREAMED_FORMATS) and (write_as or format_of(output) or "parquet") in STREAMED_FORMATS


def _is_special(path: str) -> bool:
    """Tell whether a path is a pipe or a device, which is read and written as a whole, as standard input is."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _means_several(source: str) -> bool:
    is_pattern = glob.has_magic(source) and not os.path.exists(source)
    return source.startswith("s3://") or os.path.isdir(source) or is_pattern


def predict_streamed(
    uri: str,
    sources: Sequence[str],
    output: str,
    options: Mapping[str, Any],
    opening: Mapping[str, Any],
    *,
    needed: bool,
    as_json: bool,
) -> bool:
    """Predict row by row, and tell how far it is and what was done.

    Returns:
        False, without having done anything, where that is not *needed* and all rows at once are predicted otherwise.
    """
    model: PyFuncModel | str = uri
    if options.get("workers", 1) == 1:  # else each worker opens its own
        with model_speaks_aside():
            opened = load_model(uri, **opening)
        read_as = options["format"] or format_of(sources[0])
        one = len(sources) == 1 and not _means_several(sources[0])
        if one and not needed and _needs_all_rows(opened, options["method"], read_as):
            return False
        model, opening = opened, {}
    line = ProgressLine()
    try:
        with model_speaks_aside():
            report = predict_files(model, sources, output, progress=line, **options, **opening)
    except KeyboardInterrupt:
        line.clear()
        click.echo("palate: interrupted; --resume goes on with what is done", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from None
    except SystemExit:  # as a signal ends a command
        line.clear()
        click.echo("palate: ended by a signal; --resume goes on with what is done", err=True)
        raise
    finally:
        line.clear()
    if as_json:
        echo_json(report.to_dict())
    else:
        click.echo(printable(_report_text(report)), err=True)
    return True


def _needs_all_rows(model: PyFuncModel, method: str | None, read_as: DataFormat | None) -> bool:
    """Tell whether other predictions come of all rows at once: where rows depend on others, or text has no types."""
    chosen = method or model.default_method
    if chosen in model.methods and not model.rows_are_independent(chosen):
        return True
    return read_as in ("csv", "jsonl") and (model.signature is None or model.signature.inputs is None)


def predict_on_cluster(
    uri: str, sources: Sequence[str], output: str, options: dict[str, Any], *, as_json: bool
) -> None:
    """Predict on an engine, and tell what was done."""
    engine = options.pop("engine")
    with model_speaks_aside():
        done = predict_on_engine(engine, uri, sources, output, **options)
    if as_json:
        echo_json(done.to_dict())
    else:
        click.echo(printable(_engine_text(done)), err=True)


def _report_text(report: BatchReport) -> str:
    text = f"{report.rows:,} rows to {report.output} in {duration_text(report.seconds)}"
    if report.resumed:
        text += f", {report.resumed:,} of them from an earlier run"
    if report.rejects is not None:
        text += f"; {report.rejected:,} bad rows in {report.rejects}"
    return text


def _engine_text(done: EngineRun) -> str:
    return f"{done.rows:,} rows in {done.files:,} files of {done.path}, by {done.engine}"
