"""``palate store demand``: which signatures and gates a store demands."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from palate.cli._output import echo_json, json_option, printable
from palate.errors import DependencyMissing, InvalidOption
from palate.store import Demands, Store

__all__ = ["demand"]


@click.command("demand")
@click.option("--signed-by", "keys", metavar="PUBLIC.pem", multiple=True, help="A key whose signatures count.")
@click.option("--no-signature", is_flag=True, help="Demand no signatures any more.")
@click.option(
    "--gate", "gates", metavar="ALIAS=GATE.yaml", multiple=True, help="What an alias, or NAME@ALIAS, moves through."
)
@click.option("--no-gate", "ungated", metavar="ALIAS", multiple=True, help="Demand no gate of an alias any more.")
@click.option("--nothing", is_flag=True, help="Demand neither signatures nor gates any more.")
@json_option
@click.pass_obj
def demand(
    store: Store,
    *,
    keys: Sequence[str],
    no_signature: bool,
    gates: Sequence[str],
    ungated: Sequence[str],
    nothing: bool,
    as_json: bool,
) -> None:
    """Show what the store demands, or change it.

    With --signed-by, all that is added and opened from now on must be signed with one of these keys; they take the
    place of those before. With --gate, an alias moves only to versions that 'palate store promote --gate' has held
    against this very file; aliases that are not named keep theirs.
    """
    given = [bool(keys), no_signature, bool(gates or ungated), nothing]
    if sum(given) > 1:
        raise click.UsageError(
            "change one thing at a time: --signed-by or --no-signature, --gate and --no-gate, or --nothing"
        )
    if keys or no_signature:
        store.demand_signatures(keys)
    elif gates or ungated:
        store.demand_gates(_changes(gates, ungated))
    elif nothing:
        store.demand_nothing()
    demands = store.demands()
    if as_json:
        echo_json({"store": store.uri, **demands.to_dict()})
        return
    for line in _lines(demands):
        click.echo(printable(f"{store.uri} demands {line}"))


def _changes(gates: Sequence[str], ungated: Sequence[str]) -> dict[str, str | None]:
    """Return the digest of the gate by the alias, None of those that shall need none."""
    files: list[tuple[str, str | None]] = [*map(_parse_gate, gates), *((alias, None) for alias in ungated)]
    if len(dict(files)) < len(files):
        raise click.UsageError("--gate and --no-gate take each alias once")
    return {alias: None if file is None else _digest(file) for alias, file in files}


def _parse_gate(text: str) -> tuple[str, str]:
    alias, _, file = text.partition("=")
    if not alias or not file:
        raise InvalidOption("--gate", reason=f"{text!r:.60} is no gate", hint="write it as ALIAS=GATE.yaml")
    return alias, file


def _digest(file: str) -> str:
    """Return the digest of a gate that can be read: one that cannot would let nothing pass."""
    try:
        evaluation = importlib.import_module("palate.evaluation")
    except ModuleNotFoundError as exc:
        package = str(exc.name).partition(".")[0]
        raise DependencyMissing(package, needed_for="--gate", install="palate[evaluate]") from exc
    digest: str = evaluation.read_gate(file).digest
    return digest


def _lines(demands: Demands) -> list[str]:
    lines = [f"that {alias} moves through the gate sha256:{gate}" for alias, gate in demands.gates.items()]
    if demands.keys:
        count = len(demands.keys)
        lines.insert(0, f"a signature by {'the key' if count == 1 else f'one of {count} keys'}")
    return lines or ["nothing"]
