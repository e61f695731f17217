"""``palate flavors``: which plugins are installed and whether they work."""

from __future__ import annotations

from dataclasses import asdict

import click

from palate import flavors
from palate.cli._flavors_check import check_flavor
from palate.cli._flavors_new import new_flavor
from palate.cli._output import echo_json, echo_table, json_option, one_line

__all__ = ["command"]


@click.group("flavors")
def command() -> None:
    """See and check the installed flavors, or begin one of your own."""


command.add_command(check_flavor)
command.add_command(new_flavor)


@command.command("list")
@json_option
def list_flavors(*, as_json: bool) -> None:
    """List every flavor and observer, working or not, with the reason."""
    records = flavors.list_flavors()
    if as_json:
        echo_json([asdict(record) for record in records])
    else:
        echo_table([("NAME", "STATUS", "DISTRIBUTION", "OWNS", "FORMATS", "TRUST"), *map(_row, records)])
        for record in records:
            if record.error:
                click.echo(f"{record.name} ({record.distribution}): {one_line(record.error)}", err=True)
    for name in flavors.unmatched_allowed_plugins():
        text = f"{flavors.ALLOWED_VARIABLE} lists {name}, and no installed plugin is of a distribution of that name"
        click.echo(f"palate: {one_line(text)}", err=True)


def _row(record: flavors.FlavorRecord) -> tuple[str, ...]:
    lists = (record.packages, record.formats, record.formats_needing_trust)
    source = f"{record.distribution} {record.version}".rstrip()
    return (record.name, record.status, source, *(", ".join(names) or "-" for names in lists))
