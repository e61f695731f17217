"""``palate quickstart``: the whole story on real data, with every installed flavor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from palate.cli._output import echo_json, echo_table, json_option
from palate.cli.inspect import echo_files, field_text
from palate.codecs import plain
from palate.errors import (
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    InvalidOption,
    PalateError,
    PredictionChanged,
)
from palate.flavors import ALLOWED_VARIABLE, FlavorRecord, SampleModel, list_flavors, sample_models
from palate.inspection import ModelInfo
from palate.loading import load_model
from palate.saving import save_model

__all__ = ["command"]

SHOWN_ROWS = 5
TABLE_ROWS = 2
SHOWN_CELLS = 4
FIVE_LINES = """\
   import palate
   palate.save_model(model, path, input_example=rows)
   model = palate.load_model(path)
   model.predict(rows)
   palate.verify_model(path)"""


class SamplesFailed(PalateError, RuntimeError):
    """A flavor's own samples do not go the whole way; the other flavors' do."""

    def __init__(self, causes: Mapping[str, Exception]) -> None:
        told = "; ".join(
            f"{flavor}: {type(cause).__name__}: {str(cause).rstrip('.')}" for flavor, cause in causes.items()
        )
        super().__init__(f"These flavors' samples failed: {told}. Hint: 'palate --traceback quickstart' shows where.")
        self.__cause__ = next(iter(causes.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One sample model's way through save, load, predict and verify."""

    flavor: str
    name: str
    description: str
    path: str
    predictions: Any
    checks: dict[str, str]
    train_seconds: float
    save_seconds: float
    open_seconds: float


@click.command("quickstart")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("palate-quickstart"),
    show_default=True,
    help="Where the models are saved; models of an earlier quickstart there are replaced.",
)
@click.option("--flavor", "chosen", multiple=True, metavar="NAME", help="Only this flavor; can be repeated.")
@json_option
def command(*, directory: Path, chosen: tuple[str, ...], as_json: bool) -> None:
    """Train, save, open and verify a real model of every installed flavor.

    Each is opened and asked for predictions in a new process, by commands that do not name its framework.
    """
    say = _Narrator(quiet=as_json)
    found = [record for record in list_flavors() if record.kind == "flavor"]
    usable = [record.name for record in found if record.status == "ok"]
    for name in chosen:
        if name not in usable:
            same_name = [record for record in found if record.name == name]
            raise _explain_unusable(same_name) if same_name else FlavorNotFound(name, installed=usable)
    runs: list[tuple[Run, SampleModel]] = []
    failed: dict[str, Exception] = {}
    for flavor in chosen or usable:
        try:
            runs += _run_flavor(flavor, directory, say)
        except Exception as exc:  # a plugin may raise anything, and the others are still shown
            failed[flavor] = exc
            say(f"   failed: {type(exc).__name__}: {exc}")
    if not runs and not failed:
        if chosen:
            raise InvalidOption("--flavor", reason=f"{chosen[0]} has no sample models", hint="choose another, or none")
        if unusable := [record for record in found if record.status != "ok"]:
            raise _explain_unusable(unusable)
        raise FlavorNotFound("sklearn", installed=usable, distribution="palate-sklearn")
    if as_json:
        echo_json([asdict(run) for run, _ in runs])
    elif runs:
        _summarise(runs)
    if failed:
        raise SamplesFailed(failed)


def _explain_unusable(records: Sequence[FlavorRecord]) -> PalateError:
    """Return why the flavor that the first of the records tells of cannot be shown."""
    first = records[0]
    if first.status == "blocked":
        return FlavorBlocked(first.name, distribution=first.distribution, variable=ALLOWED_VARIABLE)
    if first.status == "conflict":
        both = [record.distribution for record in records if record.name == first.name]
        name = f"The flavor name '{first.name}'"
        return FlavorConflict(name, distributions=both, choices=(), hint="remove one of them")
    reason = first.error or first.status
    return FlavorBroken(first.name, distribution=first.distribution, version=first.version, reason=reason)


class _Narrator:
    """Tells the story as it happens, unless a program is listening."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def __call__(self, line: str = "") -> None:
        if not self.quiet:
            click.echo(line)

    def step(self, line: str) -> None:
        self()
        if not self.quiet:
            click.secho(line, bold=True)


def _run_flavor(flavor: str, directory: Path, say: _Narrator) -> list[tuple[Run, SampleModel]]:
    started = time.perf_counter()
    samples = sample_models(flavor)
    trained = time.perf_counter() - started
    return [(_run(flavor, name, sample, directory, say, trained), sample) for name, sample in samples.items()]


def _run(flavor: str, name: str, sample: SampleModel, directory: Path, say: _Narrator, trained: float) -> Run:
    path = directory / f"{flavor}-{name}"
    say.step(f"== {flavor}, {name}: {sample.description}")
    say.step("1. Train")
    say(f"   {type(sample.model).__name__} from {type(sample.model).__module__.partition('.')[0]} ({trained:.1f} s)")
    say.step(f'2. Save: palate.save_model(model, "{path}", input_example=rows)')
    started = time.perf_counter()
    info = save_model(sample.model, path, input_example=sample.sample, overwrite=True)
    saved = time.perf_counter() - started
    _show(info, saved, say)
    say.step("3. Open it in a new process, without naming its framework")
    example = path / "serving_input_example.json"
    started = time.perf_counter()
    predictions = _palate(["predict", str(path), str(example)], say)["predictions"]
    opened = time.perf_counter() - started
    say(f"   predictions: {_first(predictions, SHOWN_ROWS)}  ({opened:.1f} s, imports included)")
    say.step("4. Check the files, and that it still predicts what it predicted")
    checks = {check["name"]: check["status"] for check in _palate(["verify", str(path), "--json"], say)["checks"]}
    say("   " + ", ".join(f"{check}: {status}" for check, status in checks.items()))
    if checks.get("predictions") != "ok":
        raise PredictionChanged(str(path), differences=["the golden predictions were not replayed"])
    return Run(
        flavor=flavor,
        name=name,
        description=sample.description,
        path=str(path),
        predictions=predictions,
        checks=checks,
        train_seconds=round(trained, 3),
        save_seconds=round(saved, 3),
        open_seconds=round(opened, 3),
    )


def _show(info: ModelInfo, seconds: float, say: _Narrator) -> None:
    say(f"   proved by loading it back, sealed and published in one step ({seconds:.2f} s)")
    say(f"   identity: sha256 {info.digest}")
    if say.quiet:
        return
    say("   what is in the directory:")
    echo_files(info, indent="     ")
    if info.signature is not None and info.signature.inputs is not None:
        say("   what it takes, inferred and enforced from now on:")
        echo_table([field_text(field) for field in info.signature.inputs], indent="     ")


def _palate(arguments: list[str], say: _Narrator) -> dict[str, Any]:
    """Run ``palate`` in a new process and return the JSON that it prints."""
    say(f"   $ palate {' '.join(arguments)}")
    # The arguments are our own, and no shell reads them.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "palate", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise click.ClickException(f"'palate {' '.join(arguments)}' failed: {done.stderr.strip()}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _first(predictions: Any, count: int) -> str:
    """Return the first predictions as text; several outputs stand under their names."""
    if isinstance(predictions, dict):
        return ", ".join(f"{name}: {_first(values, count)}" for name, values in predictions.items())
    shown = predictions[:count] if isinstance(predictions, list) else [predictions]
    return ", ".join(map(_short, shown))


def _short(value: Any) -> str:
    """Return one prediction as text: numbers rounded, of a long row the beginning."""
    if isinstance(value, list):
        more = ["…"] if len(value) > SHOWN_CELLS else []
        return f"[{', '.join([*map(_short, value[:SHOWN_CELLS]), *more])}]"
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def _summarise(runs: list[tuple[Run, SampleModel]]) -> None:
    """Show the lines that are the same for every framework, and one process that opens all the models."""
    click.echo()
    click.secho("The same five lines for every framework:", bold=True)
    click.echo(FIVE_LINES)
    click.echo()
    click.secho("All of the models, opened by the third line in one process:", bold=True)
    table = [("FLAVOR", "PATH", f"FIRST {TABLE_ROWS} PREDICTIONS (ROUNDED)")]
    for run, sample in runs:
        predictions = plain(load_model(run.path).predict(sample.sample))
        table.append((run.flavor, run.path, _first(predictions, TABLE_ROWS)))
    echo_table(table, indent="   ")
