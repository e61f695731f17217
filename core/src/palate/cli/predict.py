"""``palate predict``: a file of inputs in, a file of predictions out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click

from palate import Isolation
from palate.amounts import read_size
from palate.cli._ending import ending_orderly
from palate.cli._output import json_option, model_speaks_aside, trust_option
from palate.codecs import FORMATS, DataFormat, decode_input, encode_predictions, format_of
from palate.errors import InvalidOption, PalateError
from palate.loading import load_model
from palate.pyfunc import PyFuncModel

__all__ = ["command"]

STANDARD = "-"
BINARY = ("parquet", "arrow", "npy")


class ModelFailed(PalateError, RuntimeError):
    """The model itself raised, on input that fits its signature."""

    def __init__(self, *, cause: Exception) -> None:
        super().__init__(
            f"The model failed on this input: {type(cause).__name__}: {str(cause).rstrip('.')}. "
            "Hint: 'palate --traceback predict ...' shows where."
        )


def _take_size(_: click.Context, __: click.Parameter, given: str | None) -> int | None:
    try:
        return None if given is None else read_size(given)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command("predict")
@click.argument("uri")
@click.argument("source", default=STANDARD, metavar="[FILE]")
@click.option("-o", "--output", default=STANDARD, help="Where to write; - is standard output.")
@click.option(
    "--format",
    "input_format",
    type=click.Choice(FORMATS),
    help="The input's format, if its name does not tell; standard input has no name.",
)
@click.option(
    "--delimiter", help="What separates the cells of a csv file: one character, or 'tab'.  [default: a comma]"
)
@click.option(
    "--output-format", type=click.Choice(FORMATS), help="By default what OUTPUT's name tells, else as the input."
)
@click.option("--method", help="A method other than predict, such as predict_proba.")
@click.option("--param", "params", multiple=True, metavar="NAME=JSON", help="A param of the model; may be repeated.")
@click.option("--isolate", is_flag=True, help="Run the model in a process of its own.")
@click.option(
    "--environment",
    metavar="[auto|here|model|PATH]",
    help="Where an isolated model runs: in this environment, in one built from its own requirements, in that at PATH, "
    "or (auto, the default) in its own if this one differs in a way that matters. Implies --isolate.",
)
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="End an isolated model that takes longer. Implies --isolate."
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    callback=_take_size,
    help="The memory that an isolated model may have, itself included: 2GiB, 500MB or bytes. Implies --isolate.",
)
@click.option(
    "--signed-by",
    metavar="PUBLIC.pem",
    multiple=True,
    help="A key that must have signed the model; of several, one of them.",
)
@trust_option
@json_option
def command(
    uri: str,
    source: str,
    *,
    output: str,
    input_format: DataFormat | None,
    delimiter: str | None,
    output_format: DataFormat | None,
    method: str | None,
    params: tuple[str, ...],
    isolate: bool,
    environment: str | None,
    timeout: float | None,
    memory_limit: int | None,
    signed_by: tuple[str, ...],
    trust: bool,
    as_json: bool,
) -> None:
    """Predict on a file of inputs.

    FILE is csv, json, jsonl or parquet, and standard input by default; the model is at URI.

    csv needs a header line; an empty cell is a missing value; a file called .tsv is separated by tabs.

    JSON may be a list of records, a table ({"columns": [...], "data": [...]}), or a request body as MLflow's server
    takes it.
    """
    read_as = input_format or format_of(source)
    if read_as is None:
        nameless = "standard input" if source == STANDARD else f"'{source}'"
        raise InvalidOption(
            "--format", reason=f"{nameless} does not tell its format", hint=f"give one of {', '.join(FORMATS)}"
        )
    separator = _separator(delimiter, source)
    write_as = "json" if as_json else output_format or format_of(output) or read_as
    if output == STANDARD and write_as in BINARY and sys.stdout.isatty():
        raise InvalidOption("--output", reason=f"{write_as} is no text for a terminal", hint="name a file with -o")
    isolation = _isolation(environment, timeout, memory_limit, asked=isolate)
    with ending_orderly(), model_speaks_aside():  # an environment may have to be built
        model = load_model(uri, trust=trust, isolate=isolation, signed_by=signed_by or None)
    schema = model.signature.inputs if model.signature else None
    given = decode_input(_read(source), read_as, schema, delimiter=separator)
    with model_speaks_aside():
        predictions = _predict(model, method, given.data, {**(given.params or {}), **_params(params)})
    _write(output, encode_predictions(predictions, write_as))


def _isolation(
    environment: str | None, timeout: float | None, memory_limit: int | None, *, asked: bool
) -> Isolation | Literal[False]:
    if not asked and environment is None and timeout is None and memory_limit is None:
        return False
    return Isolation(environment=environment or "auto", timeout=timeout, memory_limit=memory_limit)


def _separator(delimiter: str | None, source: str) -> str:
    if delimiter is None:
        return "\t" if source.lower().endswith(".tsv") else ","
    named = {"tab": "\t", r"\t": "\t"}.get(delimiter, delimiter)
    if len(named) != 1 or named in '\r\n"':
        raise InvalidOption("--delimiter", reason=f"'{delimiter}' is not one character", hint="give one, or 'tab'")
    return named


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


def _params(pairs: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InvalidOption("--param", reason=f"'{pair}' has no '='", hint="write --param name=value")
        try:
            values[name] = json.loads(text)
        except ValueError:
            # Text needs no quotes on the command line.
            values[name] = text
    return values
