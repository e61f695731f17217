"""``palate predict`` on what is read and predicted as a whole: standard input, JSON documents."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from palate.cli._output import model_speaks_aside
from palate.codecs import FORMATS, DataFormat, decode_input, encode_predictions, format_of
from palate.errors import InvalidOption, PalateError
from palate.pyfunc import PyFuncModel

__all__ = ["STANDARD", "choose_formats", "predict_whole"]

STANDARD: Final = "-"
_BINARY: Final = ("parquet", "arrow", "npy")


class ModelFailed(PalateError, RuntimeError):
    """The model itself raised, on input that fits its signature."""

    def __init__(self, *, cause: Exception) -> None:
        super().__init__(
            f"The model failed on this input: {type(cause).__name__}: {str(cause).rstrip('.')}. "
            "Hint: 'palate --traceback predict ...' shows where."
        )


def choose_formats(
    source: str, output: str, read_as: DataFormat | None, write_as: DataFormat | None, *, as_json: bool
) -> tuple[DataFormat, DataFormat]:
    """Return what the input is and what the output shall be. Raises InvalidOption where nothing tells."""
    read = read_as or format_of(source)
    if read is None:
        nameless = "standard input" if source == STANDARD else f"'{source}'"
        raise InvalidOption(
            "--format", reason=f"{nameless} does not tell its format", hint=f"give one of {', '.join(FORMATS)}"
        )
    write = "json" if as_json else write_as or format_of(output) or read
    if output == STANDARD and write in _BINARY and sys.stdout.isatty():
        raise InvalidOption("--output", reason=f"{write} is no text for a terminal", hint="name a file with -o")
    return read, write


def predict_whole(
    model: PyFuncModel,
    source: str,
    output: str,
    formats: tuple[DataFormat, DataFormat],
    *,
    delimiter: str,
    method: str | None,
    params: Mapping[str, Any],
) -> None:
    """Read all of the input, predict on it in one call, and write the predictions."""
    schema = model.signature.inputs if model.signature else None
    given = decode_input(_read(source), formats[0], schema, delimiter=delimiter)
    with model_speaks_aside():
        predictions = _predict(model, method, given.data, {**(given.params or {}), **params})
    _write(output, encode_predictions(predictions, formats[1]))


def _predict(model: PyFuncModel, method: str | None, data: Any, params: dict[str, Any]) -> Any:
    try:
        answer = model.call(method, data, params) if method else model.predict(data, params)
        return list(answer) if isinstance(answer, Iterator) else answer
    except PalateError:
        raise
    except Exception as exc:
        raise ModelFailed(cause=exc) from exc


def _read(source: str) -> bytes:
    if source == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as exc:
        raise InvalidOption("FILE", reason=f"'{source}': {exc.strerror}", hint="give a file that can be read") from exc


def _write(output: str, body: bytes) -> None:
    if output == STANDARD:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    # A full disk must not cost the file that was there; a device or a FIFO cannot be replaced, only written to.
    written = path if path.exists() and not path.is_file() else path.with_name(f".{path.name}.palate-{os.getpid()}")
    try:
        written.write_bytes(body)
        if written is not path:
            written.replace(path)
    except OSError as exc:
        if written is not path:
            written.unlink(missing_ok=True)
        raise InvalidOption("--output", reason=f"'{output}': {exc.strerror}", hint="give a path to write to") from exc
