"""``palate env check``: what differs between a model's environment and this one, and what of it matters."""

from __future__ import annotations

from collections.abc import Sequence

import click

from palate.cli._output import echo_json, echo_table, json_option
from palate.environments import Difference, EnvironmentCheck, check_environment

__all__ = ["command"]


@click.command("check")
@click.argument("uri")
@click.option("--no-verify", is_flag=True, help="Skip checking the files against MANIFEST.json.")
@json_option
@click.pass_context
def command(ctx: click.Context, uri: str, *, no_verify: bool, as_json: bool) -> None:
    """Compare a model's environment with this one; nothing of the model is run.

    Exits with 1 when something differs that matters.
    """
    result = check_environment(uri, verify=not no_verify)
    if as_json:
        echo_json(result.to_dict())
    else:
        echo_table(map(_row, result.differences))
        click.echo(_verdict(result))
    ctx.exit(0 if result.ok else 1)


def _row(difference: Difference) -> Sequence[str]:
    weight = "matters" if difference.matters else "does not matter"
    return difference.name, difference.required, difference.installed or "-", f"{weight}: {difference.why}"


def _verdict(result: EnvironmentCheck) -> str:
    if not result.differences:
        return "This environment is the one that the model asks for."
    matter = sum(difference.matters for difference in result.differences)
    others = len(result.differences) - matter
    if not matter:
        return f"This environment will do: nothing of what differs ({others}) matters."
    return f"{matter} of {matter + others} differences matter: 'palate env create' builds the model an environment."
