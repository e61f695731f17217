"""The ``palate`` command: which subcommands there are, and what their failures look like."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from palate.cli._output import one_line
from palate.errors import (
    DataNotFound,
    DependencyMissing,
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    InvalidKey,
    InvalidOption,
    MethodNotFound,
    ModelExists,
    ModelNotFound,
    PalateError,
    PalateWarning,
    ProjectExists,
    PythonNotFound,
    SignatureExists,
)

__all__ = ["main"]

# Each command is in the module of its name; what it does stands here, so that --help need not import any of them.
COMMANDS = {
    "diff": "Tell what callers of model A would notice if B took its place.",
    "env": "Compare, build, describe and take along the environment of a model.",
    "evaluate": "Measure what a model is worth, compare two, and let a gate say which may pass.",
    "flavors": "See and check the installed flavors, or begin one of your own.",
    "inspect": "Show what a model is; nothing of it is imported or run.",
    "openapi": "Print the OpenAPI 3.1 document of the server that 'palate serve' would start.",
    "pack": "Write a model as one FILE, by custom with the suffix .palate.",
    "predict": "Predict on files of inputs.",
    "quickstart": "Train, save, open and verify a real model of every installed flavor.",
    "serve": "Serve a model over HTTP: MLflow's, KServe's, TensorFlow Serving's, SageMaker's and a typed protocol.",
    "sign": "Say with a key that these are the files of a model, as OpenSSF Model Signing does.",
    "store": "Keep models under names, with numbered versions and aliases that move.",
    "unpack": "Write a model, which may be in one file or in a store, as a DIRECTORY.",
    "verify": "Check a model's files, environment and golden predictions; with --key, who signed it.",
}

# Commands that need an extra of the core's.
EXTRAS = {"evaluate": "evaluate", "openapi": "serve", "serve": "serve"}

# Wrong use exits with 2, as click's own usage errors do; every other refusal is a failed check and exits with 1.
WRONG_USE = (
    DataNotFound,
    DependencyMissing,
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    InvalidKey,
    InvalidOption,
    MethodNotFound,
    ModelExists,
    ModelNotFound,
    ProjectExists,
    PythonNotFound,
    SignatureExists,
)


class _Commands(click.Group):
    """Imports a subcommand's module when it is spoken, so that ``palate --help`` stays quick."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return _import_command(cmd_name)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _warnings_in_one_line():
                return super().invoke(ctx)
        except PalateError as exc:
            if ctx.params["traceback"]:
                traceback.print_exception(exc)
            click.echo(f"palate: {one_line(str(exc))}", err=True)
            ctx.exit(2 if isinstance(exc, WRONG_USE) else 1)
        except BrokenPipeError:
            # The reader of our output has gone, as `palate ... | head` does: end quietly.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(1)


def _import_command(name: str) -> click.Command:
    try:
        command: click.Command = importlib.import_module(f"palate.cli.{name}").command
    except ModuleNotFoundError as exc:
        if name not in EXTRAS or str(exc.name).startswith("palate"):
            raise
        package, install = str(exc.name).partition(".")[0], f"palate[{EXTRAS[name]}]"
        raise DependencyMissing(package, needed_for=f"palate {name}", install=install) from exc
    return command


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show Palate's own warnings as its errors are shown, not with a line of our source code."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def say(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, PalateWarning):
                click.echo(f"palate: {one_line(str(message))}", err=True)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = say
        yield


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="palate")
@click.option("--traceback", is_flag=True, help="Show, before an error's one line, where it came from.")
def main(*, traceback: bool) -> None:
    """Package trained models so that anything can run them."""
