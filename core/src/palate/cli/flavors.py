"""``palate flavors``: which plugins are installed and whether they work."""

from __future__ import annotations

from dataclasses import asdict

import click

from palate import flavors
from palate.cli._output import echo_json, echo_table, json_option, one_line

__all__ = ["command"]


@click.group("flavors")
def command() -> None:
    """See the installed flavors."""


@command.command("list")
@json_option
def list_flavors(*, as_json: bool) -> None:
    """List every installed flavor and observer, working or broken, with the reason."""
    records = flavors.list_flavors()
    if as_json:
        echo_json([asdict(record) for record in records])
        return
    rows = [("NAME", "STATUS", "DISTRIBUTION", "OWNS", "FORMATS")]
    rows += [
        (r.name, r.status, f"{r.distribution} {r.version}", ", ".join(r.packages) or "-", ", ".join(r.formats) or "-")
        for r in records
    ]
    echo_table(rows)
    for record in records:
        if record.error:
            click.echo(f"{record.name} ({record.distribution}): {one_line(record.error)}", err=True)
