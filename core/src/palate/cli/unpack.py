"""``palate unpack``: a model as a directory."""

from __future__ import annotations

from pathlib import Path

import click

from palate.cli._output import echo_json, echo_table, json_option
from palate.packing import unpack_model

__all__ = ["command"]


@click.command("unpack")
@click.argument("uri")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the model that is there.")
@json_option
def command(uri: str, directory: Path, *, overwrite: bool, as_json: bool) -> None:
    """Write a model, which may be in one file or in a store, as a DIRECTORY.

    Every file is checked before the directory appears. It is refused whole, or it is there whole.
    """
    unpacked = unpack_model(uri, directory, overwrite=overwrite)
    if as_json:
        echo_json(unpacked.to_dict())
        return
    identity = f"sha256 {unpacked.digest}" if unpacked.digest else "no MANIFEST.json"
    echo_table([("directory", f"{unpacked.path} ({unpacked.files} files)"), ("identity", identity)])
