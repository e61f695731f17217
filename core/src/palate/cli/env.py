"""``palate env``: the environments of models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from palate import environments
from palate.cli._ending import ending_orderly
from palate.cli._env_check import command as check
from palate.cli._output import echo_json, echo_table, json_option, one_line, printable, size_text, trust_option
from palate.errors import InvalidOption

__all__ = ["command"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@click.group("env")
def command() -> None:
    """Compare, build, describe and take along the environment of a model."""


command.add_command(check)


def _source_options(decorated: Decorated) -> Decorated:
    """Add the options that say where packages come from."""
    for option in (
        click.option("--index-url", metavar="URL", help="The package index, instead of the configured one."),
        click.option("--extra-index-url", "extra_index_urls", metavar="URL", multiple=True, help="A further index."),
        click.option("--recorded-index", "use_recorded_index", is_flag=True, help="Use the index the model names."),
        click.option("--offline", is_flag=True, help="Do without a network."),
        click.option("--locked/--not-locked", default=None, help="Whether to take what the model's pylock.toml lists."),
    ):
        decorated = option(decorated)
    return decorated


_with_option = click.option("--with", "extra_requirements", metavar="REQ", multiple=True, help="Install this, too.")
_python_help = "A version, or an interpreter, instead of what the model asks for."
_python_option = click.option("--python", metavar="VERSION|PATH", help=_python_help)


@command.command("create")
@click.argument("uri")
@click.option("--directory", type=click.Path(path_type=Path), help="Where to build it, instead of the cache.")
@_python_option
@click.option("--installer", type=click.Choice(["auto", "uv", "pip"]), default="auto", show_default=True)
@_with_option
@click.option("--bundle", type=click.Path(path_type=Path), help="Install from this bundle, without a network.")
@click.option("--replay/--no-replay", default=True, help="Whether to replay the model's golden predictions in it.")
@_source_options
@trust_option
@json_option
def create(*, uri: str, as_json: bool, **options: Any) -> None:
    """Build the environment of a model, or find it built, and predict in it.

    Prints the folder's interpreter, among others; nothing is left if anything fails.
    """
    with ending_orderly():
        built = environments.create_environment(uri, progress=_progress(), **options)
    if as_json:
        echo_json(built.to_dict())
        return
    state = "found in the cache" if built.reused else f"built with {built.installer}"
    rows = [("environment", f"{built.directory} ({state})"), ("python", f"{built.python} ({built.python_version})")]
    rows.append(("predictions", f"{built.predictions}: {one_line(built.detail)}"))
    if built.left_out:
        rows.append(("left out", f"{', '.join(built.left_out)}: the model opens without it; --with brings it back"))
    echo_table(rows)


@command.command("export")
@click.argument("uri")
@click.option("--format", type=click.Choice(environments.EXPORT_FORMATS), default="pip", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file, which must be new.")
@_python_option
@_source_options
@trust_option
def export(*, uri: str, output: Path | None, **options: Any) -> None:
    """Describe the environment of a model to pip, conda, Docker, or as a lock (PEP 751).

    Nothing of the model is run.
    """
    with ending_orderly():
        text = environments.export_environment(uri, **options)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as exc:
        raise InvalidOption("--output", reason=f"'{output}': {exc.strerror}", hint="give a path that is new") from exc


@command.command("bundle")
@click.argument("uri")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--platform", "platforms", metavar="NAME", multiple=True, help="The machine it is for; may be repeated.")
@_python_option
@_with_option
@_source_options
@trust_option
@json_option
def bundle(*, uri: str, directory: Path, as_json: bool, **options: Any) -> None:
    """Put every file that a model's environment needs into one folder, for hosts without a network.

    A platform is a name such as linux-aarch64, or a tag such as manylinux2014_aarch64. Nothing that is downloaded runs.
    """
    with ending_orderly():
        made = environments.bundle_environment(uri, directory, progress=_progress(), **options)
    if as_json:
        echo_json(made.to_dict())
        return
    machines = ", ".join(made.platforms) or "machines like this one"
    click.echo(printable(f"{made.directory}: {len(made.wheels)} wheels, {size_text(made.size)}"))
    click.echo(f"for Python {made.python_version} on {machines}; its README.md says how to install it")


@command.command("list")
@json_option
def list_cached(*, as_json: bool) -> None:
    """List the environments in the cache."""
    found = environments.list_environments()
    if as_json:
        echo_json([environment.to_dict() for environment in found])
        return
    rows = [("NAME", "PYTHON", "INSTALLER", "SIZE", "MODEL")]
    for environment in found:
        size = size_text(environment.size)
        state = environment.python_version or "unfinished"
        rows.append((environment.name, state, environment.installer or "-", size, environment.model or "-"))
    echo_table(rows)


@command.command("remove")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove all of them.")
@json_option
def remove(*, names: Sequence[str], everything: bool, as_json: bool) -> None:
    """Remove environments from the cache, by name or its first letters."""
    if bool(names) == everything:
        raise click.UsageError("give the names of environments, or --all")
    if everything:
        names = [environment.name for environment in environments.list_environments()]
    gone = [environments.remove_environment(name) for name in names]
    if as_json:
        echo_json([str(directory) for directory in gone])
    for directory in () if as_json else gone:
        click.echo(printable(f"removed {directory}"))


def _progress() -> Callable[[str], None] | None:
    if not sys.stderr.isatty():
        return None
    return lambda text: click.echo(f"palate: {one_line(text)}", err=True)
