"""``palate flavors check``: the conformance kit, on the models that an installed flavor registers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from palate import testing
from palate.cli._ending import ending_orderly
from palate.cli._output import json_option, one_line

if TYPE_CHECKING:
    from palate.testing import Conformance

__all__ = ["check_flavor"]

_ERASE = "\r\x1b[K"


@click.command("check")
@click.argument("name")
@click.option("--format", "formats", multiple=True, help="A format to check, instead of the default; may be repeated.")
@click.option("--patience", type=float, default=600.0, show_default=True, help="Seconds that one check may take.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write the report to a file, too: Markdown for FILE.md, JSON otherwise.",
)
@json_option
def check_flavor(*, name: str, formats: Sequence[str], patience: float, report: Path | None, as_json: bool) -> None:
    """Run the conformance kit on a flavor, with the sample models that it registers.

    Exits with 1 if a check fails.
    """
    if report is not None:  # before the checks have run for minutes
        testing.check_target(report, option="report")
    shown = sys.stderr.isatty()
    follow = _show if shown else None
    with ending_orderly():
        cases = testing.check_flavor(name, formats=formats, patience=patience, follow=follow)
    if shown:
        click.echo(_ERASE, nl=False, err=True)
    if as_json:
        click.echo(testing.render_json(cases), nl=False)
    else:
        for case in cases:
            _echo_case(case)
    if report is not None:
        testing.write_report(cases, report)
    click.get_current_context().exit(0 if all(case.conforms for case in cases) else 1)


def _echo_case(case: Conformance) -> None:
    click.echo(f"{case.case} ({case.flavor}, format {case.format}): {case.summary}")
    for result in case.complete():
        if result.outcome != "passed":
            click.echo(f"  {result.outcome}: {result.check}: {one_line(result.why)}")
            if result.detail:
                click.echo(f"    {one_line(result.detail)}")


def _show(case: str, check: str) -> None:
    """Show on a terminal which check is being made."""
    click.echo(f"{_ERASE}{case}: {check}", nl=False, err=True)
