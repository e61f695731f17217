"""``palate flavors new``: a distribution for a new flavor, to be changed by its author."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from palate import flavors
from palate.cli._output import echo_json, json_option

__all__ = ["new_flavor"]


@click.command("new")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the distribution's own directory shall stand, instead of here.",
)
@json_option
def new_flavor(*, name: str, directory: Path, as_json: bool) -> None:
    """Write a complete distribution for a new flavor, palate-NAME.

    It installs and passes the conformance kit as it is, with a stand-in for the framework. Its README says what to
    replace, and in which order.
    """
    project = flavors.new_flavor(name, directory)
    commands = [
        f"cd {shlex.quote(str(project.path))}",
        "python -m pip install --editable '.[test]'",
        "python -m pytest",
    ]
    if as_json:
        echo_json(
            {
                "name": project.name,
                "distribution": project.distribution,
                "package": project.package,
                "path": str(project.path),
                "files": project.files,
                "next": commands,
            }
        )
        return
    click.echo(f"Wrote {project.path}, a distribution that works as it is:")
    for file in project.files:
        click.echo(f"  {file}")
    click.echo("Next:")
    for command in commands:
        click.echo(f"  {command}")
    click.echo("Then README.md there says what to replace, and in which order.")
