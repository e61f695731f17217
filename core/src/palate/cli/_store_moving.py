"""``palate store import`` and ``export``: models on their way into a store, and out of it."""

from __future__ import annotations

import click

from palate.cli._output import echo_json, echo_table, json_option, one_line, printable
from palate.packing import Packed, Unpacked
from palate.store import Imported, Registered, Store, export_model, import_models

__all__ = ["export", "import_"]


@click.command("import")
@click.argument("source")
@click.option("--name", help="Let all of them be versions of one model.")
@json_option
@click.pass_context
def import_(ctx: click.Context, *, source: str, name: str | None, as_json: bool) -> None:
    """Add what is at SOURCE: a model, or all models in a folder (such as mlruns) or an ordinary zip file.

    What is there already is not added again. Exits with 1 when something could not be imported.
    """
    store: Store = ctx.obj
    imported = import_models(store, source, name=name)
    if as_json:
        echo_json(imported.to_dict())
    else:
        _echo(imported)
    ctx.exit(1 if imported.refused else 0)


def _echo(imported: Imported) -> None:
    rows = [(version.uri, "added", version.source) for version in imported.added]
    rows += [(version.uri, "there already", version.source) for version in imported.present]
    rows += [(refused.source, "refused", one_line(refused.reason)) for refused in imported.refused]
    echo_table(rows)


@click.command("export")
@click.argument("uri")
@click.argument("target")
@click.option("--overwrite", is_flag=True, help="Replace the model that is there.")
@json_option
def export(*, uri: str, target: str, overwrite: bool, as_json: bool) -> None:
    """Write the model at URI, such as models:/iris/3, to TARGET.

    TARGET is a directory, a file whose name ends with .palate, or mlflow:models:/NAME for a new version in MLflow's
    registry.
    """
    made: Packed | Unpacked | Registered = export_model(uri, target, overwrite=overwrite)
    if as_json:
        echo_json(made.to_dict())
        return
    click.echo(printable(made.uri if isinstance(made, Registered) else str(made.path)))
