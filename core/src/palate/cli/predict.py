"""``palate predict``: files of inputs in, files of predictions out."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any, Final, Literal, get_args

import click

from palate import Isolation
from palate.amounts import read_size
from palate.batch import ENGINES, OnError
from palate.cli._delimiter import read_delimiter
from palate.cli._ending import ending_orderly
from palate.cli._output import json_option, model_speaks_aside, trust_option
from palate.cli._predict_files import can_stream, predict_on_cluster, predict_streamed
from palate.cli._predict_whole import STANDARD, choose_formats, predict_whole
from palate.codecs import FORMATS, DataFormat, delimiter_of
from palate.errors import InvalidOption
from palate.loading import load_model

__all__ = ["command"]

_OF_ENGINES: Final = frozenset({"engine", "address", "keys", "overwrite"})


def _take_size(_: click.Context, __: click.Parameter, given: str | None) -> int | None:
    try:
        return None if given is None else read_size(given)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command("predict")
@click.argument("uri")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--input", "inputs", multiple=True, metavar="PLACE", help="The same as FILE: a file, a pattern, a folder, s3://…"
)
@click.option("-o", "--output", default=STANDARD, help="A file or a folder; - is standard output.")
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
    "--output-format",
    type=click.Choice(FORMATS),
    help="By default what OUTPUT's name tells; else parquet for a folder, and the input's on standard output.",
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
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="A column that the output has too.")
@click.option(
    "--on-error",
    type=click.Choice(get_args(OnError)),
    default="fail",
    help="What becomes of a row that does not fit: end, or write it to a side file and go on.  [default: fail]",
)
@click.option("--errors", metavar="FILE", help="The side file.  [default: OUTPUT.errors.jsonl]")
@click.option("--max-errors", type=int, metavar="N", help="How many rows may be bad.  [default: 10000]")
@click.option("--resume", is_flag=True, help="Go on with what an interrupted run has done for this output.")
@click.option("--overwrite", is_flag=True, help="Replace an output folder; drop what an interrupted run has done.")
@click.option("--batch-rows", type=int, metavar="N", help="How many rows the model gets at once.  [default: 32768]")
@click.option("--workers", type=int, metavar="N", help="How many processes predict, each with the model.  [default: 1]")
@click.option("--engine", type=click.Choice(ENGINES), help="Predict on many machines.")
@click.option("--address", metavar="ADDRESS", help="Where the engine is, such as spark://host:7077.")
@trust_option
@json_option
def command(
    uri: str,
    files: tuple[str, ...],
    inputs: tuple[str, ...],
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
    **by_rows: Any,
) -> None:
    """Predict on files of inputs.

    FILE is csv, json, jsonl, parquet, Arrow or npy, and standard input by default; the model is at URI.

    Files that go to a file or a folder are read row by row, whatever their size: several, patterns such as
    'data/*.parquet', folders (with columns in their names, as in year=2026/), and objects in buckets. The output
    appears when it is complete. JSON documents and standard input are read as a whole.

    csv needs a header line; an empty cell is a missing value; a file called .tsv is separated by tabs.

    JSON may be a list of records, a table ({"columns": [...], "data": [...]}), or a request body as MLflow's server
    takes it.
    """
    sources = (*files, *inputs) or (STANDARD,)
    said = {name: value for name, value in by_rows.items() if _is_said(name, value)}
    separator = read_delimiter(delimiter)
    calling: dict[str, Any] = {"method": method, "params": _params(params)}
    opening: dict[str, Any] = {
        "trust": trust,
        "signed_by": signed_by or None,
        "isolate": _isolation(environment, timeout, memory_limit, asked=isolate),
    }
    if "engine" in said:
        _require_for_engine(output, said, format=input_format, output_format=output_format, delimiter=separator)
        predict_on_cluster(uri, sources, output, {**said, **opening, **calling}, as_json=as_json)
        return
    if "address" in said:
        raise click.UsageError("--address says where an --engine is: give that too")
    streamed = {"format": input_format, "delimiter": separator, "output_format": output_format, **calling, **said}
    with ending_orderly():  # an environment may have to be built
        needed = bool(said) or len(sources) > 1
        if _is_streamed(sources, output, streamed, needed=needed):
            done = predict_streamed(uri, sources, output, streamed, opening, needed=needed, as_json=as_json)
            if done:
                return
        formats = choose_formats(sources[0], output, input_format, output_format, as_json=as_json)
        with model_speaks_aside():
            model = load_model(uri, **opening)
    predict_whole(model, sources[0], output, formats, delimiter=separator or delimiter_of(sources[0]), **calling)


def _is_said(name: str, value: object) -> bool:
    """Tell whether an option stands at something else than what it is by default; 0 is something else than no flag."""
    return value is not None and value is not False and value != () and (name, value) != ("on_error", "fail")


def _require_for_engine(output: str, said: dict[str, Any], **forms: str | None) -> None:
    """Raise InvalidOption for what no engine does, which would else be left out without a word."""
    if output == STANDARD:
        raise InvalidOption("--output", reason="engines write a folder", hint="name one with -o")
    others = {name for name in said if name not in _OF_ENGINES}
    others |= {name for name, value in forms.items() if value not in (None, "parquet")}
    if others:
        name = f"--{min(others).replace('_', '-')}"
        raise InvalidOption(name, reason="engines do not have it", hint="leave it out; they read and write parquet")


def _is_streamed(sources: tuple[str, ...], output: str, options: dict[str, Any], *, needed: bool) -> bool:
    """Tell whether to go row by row. Raises InvalidOption where that was asked for and cannot be."""
    if can_stream(sources, options["format"], output, options["output_format"]):
        return needed or find_spec("pyarrow") is not None
    if needed:
        reason = "what was asked for is done row by row, and not with standard input or output, nor with JSON documents"
        raise InvalidOption("FILE", reason=reason, hint="give files of other formats, and an output with -o")
    return False


def _isolation(
    environment: str | None, timeout: float | None, memory_limit: int | None, *, asked: bool
) -> Isolation | Literal[False]:
    if not asked and environment is None and timeout is None and memory_limit is None:
        return False
    return Isolation(environment=environment or "auto", timeout=timeout, memory_limit=memory_limit)


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
