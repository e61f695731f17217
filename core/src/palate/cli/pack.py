"""``palate pack``: a model as one file."""

from __future__ import annotations

from pathlib import Path

import click

from palate.cli._output import echo_json, echo_table, json_option, size_text
from palate.packing import pack_model

__all__ = ["command"]


@click.command("pack")
@click.argument("uri")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the model in one file that is there.")
@json_option
def command(uri: str, file: Path, *, overwrite: bool, as_json: bool) -> None:
    """Write a model as one FILE, by custom with the suffix .palate.

    The same model always gives the same bytes. Whatever takes a model's URI takes the file.
    """
    packed = pack_model(uri, file, overwrite=overwrite)
    if as_json:
        echo_json(packed.to_dict())
        return
    echo_table(
        [
            ("file", f"{packed.path} ({packed.files} files, {size_text(packed.size)})"),
            ("sha256", packed.sha256),
            ("identity", f"sha256 {packed.digest}" if packed.digest else "no MANIFEST.json"),
        ]
    )
