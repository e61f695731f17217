"""``palate sign``: say, with a key, that these are the files of a model."""

from __future__ import annotations

from pathlib import Path

import click

from palate.cli._output import echo_json, echo_table, json_option
from palate.cli._password import read_password
from palate.signing import sign_model

__all__ = ["command"]


@click.command("sign")
@click.argument("uri")
@click.option("--key", metavar="PRIVATE.pem", required=True, help="The private key.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="Whose first line is the password of an encrypted key.",
)
@click.option("--overwrite", is_flag=True, help="Replace the signature that is there.")
@json_option
def command(uri: str, *, key: str, password_file: Path | None, overwrite: bool, as_json: bool) -> None:
    """Say with a key that these are the files of a model, as OpenSSF Model Signing does.

    Writes model.sig into the model's directory, after its files were checked. The key is on P-256, P-384 or P-521.
    """
    password = None if password_file is None else read_password(password_file)
    signed = sign_model(uri, key, password=password, overwrite=overwrite)
    if as_json:
        echo_json(signed.to_dict())
        return
    rows = [("signature", str(signed.signature)), ("files", str(signed.files))]
    echo_table([*rows, ("key", f"sha256 {signed.fingerprint}")])
