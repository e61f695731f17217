"""``palate verify``: is a model whole, and does it still predict what it predicted?"""

from __future__ import annotations

import click

from palate.cli._output import echo_json, echo_table, json_option, model_speaks_aside, trust_option
from palate.verification import accept_changes, verify_model

__all__ = ["command"]


@click.command("verify")
@click.argument("uri")
@trust_option
@click.option("--accept", is_flag=True, help="First take the files as they are now for right (rewrites MANIFEST.json).")
@click.option(
    "--key", "keys", metavar="PUBLIC.pem", multiple=True, help="A public key; one of those given must have signed it."
)
@click.option("--signature", metavar="FILE", help="The signature, if it does not come with the model.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    uri: str,
    *,
    trust: bool,
    accept: bool,
    keys: tuple[str, ...],
    signature: str | None,
    as_json: bool,
) -> None:
    """Check a model's files, environment and golden predictions; with --key, who signed it.

    A model that none of the keys signed is not loaded. Exits with 1 when a check fails.
    """
    if signature is not None and not keys:
        raise click.UsageError("--signature needs --key, the public key to check it with")
    if accept:
        accept_changes(uri)
    with model_speaks_aside():
        result = verify_model(uri, trust=trust, keys=keys, signature=signature)
    if as_json:
        echo_json(result.to_dict())
    else:
        echo_table([(check.name, check.status, check.detail) for check in result.checks])
    ctx.exit(0 if result.ok else 1)
