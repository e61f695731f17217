"""``palate inspect``: what a model is, without importing or running anything of it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from palate.cli._output import echo_json, echo_table, json_option, printable, size_text
from palate.hookspecs import Guarantees
from palate.inspection import ModelInfo, inspect_model
from palate.schema import ColSpec, ParamSpec, Schema, TensorSpec, type_text

__all__ = ["command", "echo_files", "field_text"]


@click.command("inspect")
@click.argument("uri")
@click.option("--no-verify", is_flag=True, help="Skip checking the files against MANIFEST.json.")
@json_option
def command(uri: str, *, no_verify: bool, as_json: bool) -> None:
    """Show what a model is; nothing of it is imported or run."""
    info = inspect_model(uri, verify=not no_verify)
    if as_json:
        echo_json(info.to_dict())
    else:
        _echo(info)


def _echo(info: ModelInfo) -> None:
    kept = [("kept as", f"{info.name}, version {info.version}")] if info.name else []
    echo_table(
        [
            *kept,
            ("flavor", f"{info.flavor}  (MLmodel names: {', '.join(info.flavors)})"),
            ("opens", _trust_text(info)),
            ("guaranteed", _guarantees_text(info.guarantees)),
            ("identity", _identity_text(info)),
            ("signed", _signature_text(info)),
            ("saved", " ".join(filter(None, [info.created, f"by {info.writer or f'MLflow {info.mlflow_version}'}"]))),
            ("source", _source_text(info)),
            ("run", info.run_id or "-"),
            ("golden predictions", info.golden),
            ("python", info.python_version or "-"),
            ("requirements", ", ".join(info.requirements) or "-"),
            ("constraints", f"{len(info.constraints)} in constraints.txt" if info.constraints else "-"),
            ("locked packages", "-" if info.locked_packages is None else f"{info.locked_packages} in pylock.toml"),
        ]
    )
    for exception in info.guarantees.exceptions if info.guarantees else ():
        click.echo(f"not guaranteed: {printable(exception)}")
    for note in info.notes:
        click.echo(f"note: {printable(note)}")
    if info.signature is not None:
        _echo_schema("inputs", info.signature.inputs)
        _echo_schema("outputs", info.signature.outputs)
        for param in info.signature.params:
            click.echo(f"param   {printable(param_text(param))}")
        for name, own in info.signature.methods.items():
            _echo_schema(f"outputs of {printable(name)}", own.outputs)
            for param in own.params or ():
                click.echo(f"param of {printable(name)}   {printable(param_text(param))}")
    click.echo("files")
    echo_files(info)


def echo_files(info: ModelInfo, *, indent: str = "  ") -> None:
    """Print each file, its size and what it is for."""
    echo_table([(f.name, size_text(f.size), f.purpose) for f in info.files], indent=indent)


def _echo_schema(part: str, schema: Schema | None) -> None:
    if schema is not None:
        click.echo(part)
        echo_table([field_text(field) for field in schema], indent="  ")


def field_text(field: ColSpec | TensorSpec) -> tuple[str, str, str]:
    """Return a field's name, type and what else is known of it."""
    name = "(unnamed)" if field.name is None else str(field.name)
    if isinstance(field, TensorSpec):
        sizes = ", ".join("any" if size == -1 else str(size) for size in field.shape)
        return name, f"{field.dtype} tensor ({sizes})", ""
    return name, type_text(field.type), "; ".join(_facts(field))


def _facts(column: ColSpec) -> Iterator[str]:
    """Yield what is known of a column besides its type."""
    if not column.required:
        yield "optional"
    if column.nullable is not None:
        yield "cells may be missing" if column.nullable else "no cell may be missing"
    if column.categories is not None:
        kind = "one of" if column.closed or column.categorical else "known:"
        yield f"{kind} {', '.join(map(str, column.categories))}"
    if column.minimum is not None:
        yield f"at least {column.minimum}"
    if column.maximum is not None:
        yield f"at most {column.maximum}"
    if column.timezone is not None:
        yield f"in the time zone {column.timezone}"


def param_text(param: ParamSpec) -> str:
    """Return a param as "name: type = default"."""
    kind = type_text(param.type)
    return f"{param.name}: {kind if param.shape is None else f'list of {kind}'} = {param.default!r}"


def _trust_text(info: ModelInfo) -> str:
    if info.plugin_problem is not None:
        return f"not here: {info.plugin_problem}"
    if info.trust_needed:
        return f"only with trust, since it runs code: {'; '.join(map(str, info.reasons))}"
    return "safely: no code of the model runs"


def _guarantees_text(guarantees: Guarantees | None) -> str:
    """Return what holds when a file that a stranger made is opened without trust."""
    if guarantees is None:
        return "the flavor does not say"
    held = {
        "no code of the model runs": guarantees.no_code,
        "no access outside of memory, no endless loop": guarantees.memory_safe,
        "time and memory in proportion to its files": guarantees.bounded,
    }
    return "; ".join(text for text, holds in held.items() if holds) or "nothing"


def _identity_text(info: ModelInfo) -> str:
    if info.digest is None:
        return "no MANIFEST.json: the files cannot be checked"
    return f"sha256 {info.digest} ({'files match' if info.verified else 'files not checked'})"


def _signature_text(info: ModelInfo) -> str:
    return "present, not checked ('palate verify --key' checks it)" if info.signed else "none"


def _source_text(info: ModelInfo) -> str:
    if not info.source:
        return "-"
    return f"git commit {info.source.get('commit')}{' with local changes' if info.source.get('dirty') else ''}"
