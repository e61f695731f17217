"""``palate openapi``: the OpenAPI document of a model, made from its signature; nothing of it is imported or run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from palate.cli._output import echo_json
from palate.errors import SaveFailed
from palate.serving import openapi_document, read_contract

__all__ = ["command"]


@click.command("openapi")
@click.argument("uri")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
@click.option("--name", help="Its name in URLs.  [default: that in its store, or of its directory or file]")
@click.option("--version", help="Its version in URLs.  [default: that in its store, or 1]")
def command(uri: str, *, output: Path | None, name: str | None, version: str | None) -> None:
    """Print the OpenAPI 3.1 document of the server that 'palate serve' would start.

    No framework has to be installed for it.
    """
    contract = read_contract(uri, name=name, version=version)
    document = openapi_document([contract], title=contract.name)
    if output is None:
        echo_json(document)
        return
    try:
        output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as exc:
        raise SaveFailed(str(output), cause=exc) from exc
