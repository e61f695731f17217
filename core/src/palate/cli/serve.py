"""``palate serve``: a model over HTTP, in every protocol that clients of such servers speak."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from palate import serving
from palate.cli._output import echo_json, echo_table, json_option, printable
from palate.errors import InvalidOption
from palate.locations import shown_uri
from palate.serving.checking import check_server
from palate.serving.settings import CONFIG_VARIABLE, PREFIX, SETTINGS, ServingSettings, Setting, load_settings

__all__ = ["command"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _settings_options(command: Decorated) -> Decorated:
    """Add an option for each setting; what its text means is the settings' own business."""
    for setting in reversed(SETTINGS):
        command = _option(setting)(command)
    return command


def _option(setting: Setting) -> Callable[[Decorated], Decorated]:
    shown = setting.form.show(setting.default)
    told = setting.help + (f"  [default: {shown}]" if shown else "")
    if isinstance(setting.default, bool):
        off = "--no-" + setting.flag.removeprefix("--")
        return click.option(f"{setting.flag}/{off}", setting.name, default=None, help=told)
    several = isinstance(setting.default, tuple)
    metavar = setting.form.noun.upper() if setting.form.noun.isalpha() else f"[{setting.form.noun}]"
    return click.option(setting.flag, setting.name, metavar="LIST" if several else metavar, multiple=several, help=told)


@click.command("serve", epilog=f"Each setting is also a variable ({PREFIX}PORT) and a key of [serve] in the file.")
@click.argument("uri")
@click.option(
    "--config", type=click.Path(path_type=Path), help=f"A TOML file with settings; {CONFIG_VARIABLE} can name it too."
)
@click.option("--check", is_flag=True, help="Do what comes before the first request, tell how it went, and end.")
@json_option
@_settings_options
@click.pass_context
def command(
    ctx: click.Context, /, uri: str, *, config: Path | None, check: bool, as_json: bool, **flags: object
) -> None:
    """Serve a model over HTTP: MLflow's, KServe's, TensorFlow Serving's, SageMaker's and a typed protocol.

    It stops at SIGTERM or Ctrl+C, and exits with 0 when every request under way was answered. Standard output is the
    access log; standard error has the address, and the traceback of each incident.

    --check exits with 1 when something would keep the server from becoming ready.
    """
    settings = load_settings(config, os.environ, flags)
    if check:
        found = check_server(uri, settings)
        if as_json:
            echo_json(found.to_dict())
        else:
            echo_table([(one.name, one.status, one.detail) for one in found.checks])
        ctx.exit(0 if found.ok else 1)
    if as_json:
        raise InvalidOption("--json", reason="it is for what --check prints", hint="add --check")
    ctx.exit(serving.serve(uri, settings, on_listening=_say(uri, settings)))


def _say(uri: str, settings: ServingSettings) -> Callable[[Sequence[str], Sequence[serving.ModelContract]], None]:
    """Return what tells the operator where the model is served, and which model that is."""
    page = " (docs: /docs)" if settings.docs and settings.openapi else ""
    signed = ", signed by one of the given keys" if settings.signed_by else ""

    def say(addresses: Sequence[str], served: Sequence[serving.ModelContract]) -> None:
        [model] = served
        # On standard error: standard output is the access log's.
        click.echo(printable(f"Serving {model.name} on {' and '.join(addresses)}{page}"), err=True)
        click.echo(printable(f"{model.title} from {shown_uri(uri)}{signed}"), err=True)

    return say
