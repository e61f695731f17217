"""``palate store``: models under names, their versions and aliases."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import EllipsisType
from typing import Any

import click

from palate.cli._output import echo_json, echo_table, json_option, printable, size_text, trust_option
from palate.cli._password import read_password
from palate.cli._store_demanding import demand
from palate.cli._store_moving import export, import_
from palate.errors import DependencyMissing, InvalidOption
from palate.store import STORE_VARIABLE, AliasMove, GateRecord, Store, Version, open_store

__all__ = ["command"]

_pass_store = click.make_pass_decorator(Store)
_reason_option = click.option("--reason", help="Why, for the record.")
_NO_VERSION = "none"


@click.group("store")
@click.option("--store", "place", metavar="PLACE", help="A folder, or s3://bucket/folder, instead of $PALATE_STORE.")
@click.option("--by", metavar="NAME", help="Whose changes are recorded, instead of the user's.")
@click.pass_context
def command(ctx: click.Context, *, place: str | None, by: str | None) -> None:
    """Keep models under names, with numbered versions and aliases that move.

    A version is named iris/3, iris@champion or iris/latest here, and models:/iris/3 and so on wherever a URI is taken.
    """
    if place is not None:
        os.environ[STORE_VARIABLE] = place  # models: URIs, of what is exported, say, mean the same store
    ctx.obj = open_store(place, by=by)


command.add_command(demand)
command.add_command(import_)
command.add_command(export)


@command.command("list")
@click.argument("name", required=False)
@click.option("--deleted", is_flag=True, help="Show versions whose files were deleted, too.")
@json_option
@_pass_store
def list_models(store: Store, *, name: str | None, deleted: bool, as_json: bool) -> None:
    """List the models, or the versions of one."""
    if name is None:
        models = store.models()
        if as_json:
            echo_json([model.to_dict() for model in models])
            return
        rows = [("NAME", "VERSIONS", "LATEST", "ALIASES", "DESCRIPTION")]
        for model in models:
            aliases = ", ".join(f"{alias} -> {number}" for alias, number in model.aliases.items())
            rows.append((model.name, str(model.versions), str(model.latest or "-"), aliases or "-", model.description))
        echo_table(rows)
        if not models:
            # Who mistyped the place of the store sees it here.
            click.echo(printable(f"no models in {store.uri}; 'palate store add NAME URI' adds one"), err=True)
        return
    versions = store.versions(name, deleted=deleted)
    if as_json:
        echo_json([version.to_dict() for version in versions])
        return
    echo_table([("VERSION", "ADDED", "BY", "SIZE", "IDENTITY", "ALIASES", "DESCRIPTION"), *map(_row, versions)])


def _row(version: Version) -> tuple[str, ...]:
    told = f"deleted {version.deleted.time[:10]}" if version.deleted else version.description
    aliases = ", ".join(version.aliases) or "-"
    digest = version.digest[:12]
    return (str(version.number), version.added[:19], version.by, size_text(version.size), digest, aliases, told)


@command.command("show")
@click.argument("reference")
@json_option
@_pass_store
def show(store: Store, *, reference: str, as_json: bool) -> None:
    """Show what is known of a version."""
    _echo_version(store.version(reference), as_json=as_json)


@command.command("add")
@click.argument("name")
@click.argument("uri")
@click.option("--description", default="", help="What people shall read of it.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="What programs shall read of it.")
@json_option
@_pass_store
def add(store: Store, *, name: str, uri: str, description: str, tags: Sequence[str], as_json: bool) -> None:
    """Add the model at URI as the next version of NAME."""
    _echo_version(store.add(name, uri, description=description, tags=_parse_tags(tags)), as_json=as_json)


@command.command("promote")
@click.argument("reference")
@click.argument("alias")
@click.option("--expect", metavar="VERSION|none", help="Move it only if it leads there now.")
@click.option("--allow-breaking", is_flag=True, help="Move it even if that breaks its callers.")
@click.option("--gate", metavar="GATE.yaml", help="Move it only if the version keeps the rules in this file.")
@click.option("--data", multiple=True, metavar="DATA", help="The rows, instead of the gate's.")
@click.option("--target", multiple=True, metavar="COLUMN", help="What is true, instead of the gate's.")
@click.option("--isolate", is_flag=True, help="Evaluate the models in processes of their own.")
@trust_option
@_reason_option
@json_option
@_pass_store
def promote(
    store: Store,
    /,
    *,
    reference: str,
    alias: str,
    expect: str | None,
    allow_breaking: bool,
    gate: str | None,
    reason: str | None,
    as_json: bool,
    **evaluation: Any,
) -> None:
    """Let an ALIAS, such as champion, lead to a version from now on.

    Refused, with exit code 1, if its signature breaks who calls the alias now. 'palate diff' looks at more, such as
    what both predict.

    With --gate the version is evaluated first, and exit code 1 names each rule that it does not keep. Unless the gate
    names a baseline, that is the version that the alias leads to now; if it never led to one, rules about a baseline
    are skipped. The gate's digest is part of the reason that the history has. Where the store demands a gate of the
    alias ('palate store demand --gate'), it moves only with --gate and that very file.
    """
    version, expected = store.version(reference), _expected(expect)
    record: GateRecord | None = None
    shown: dict[str, Any] = {}
    if gate is not None:
        passed = _judge(store, version, alias, gate, expected=expected, as_json=as_json, **evaluation)
        expected, reason = passed.expected, "; ".join(filter(None, (reason, passed.told)))
        record = passed.record
        shown = {"gate": passed.judged.to_dict()}
    elif any(evaluation.values()):
        raise click.UsageError("--data, --target, --isolate and --trust are for the evaluation of a --gate")
    move = store.set_alias(
        version.name,
        alias,
        version.number,
        expected=expected,
        reason=reason,
        allow_breaking=allow_breaking,
        passed=record,
    )
    _echo_move(f"{version.name}@{alias}", move, as_json=as_json, **shown)


def _judge(store: Store, version: Version, alias: str, gate: str, **options: Any) -> Any:
    """Return the ``Promotion`` that a gate lets pass; end the command where it does not."""
    try:
        promoting = importlib.import_module("palate.cli._store_promoting")
    except ModuleNotFoundError as exc:
        package = str(exc.name).partition(".")[0]
        raise DependencyMissing(package, needed_for="--gate", install="palate[evaluate]") from exc
    return promoting.judge_promotion(store, version, alias, gate, **options)


def _expected(text: str | None) -> int | EllipsisType | None:
    if text is None:
        return ...
    if text == _NO_VERSION:
        return None
    if not text.isdecimal():
        raise InvalidOption("--expect", reason=f"it is {text!r:.40}", hint=f"give a version, or {_NO_VERSION}")
    return int(text)


@command.command("unalias")
@click.argument("name")
@click.argument("alias")
@_reason_option
@json_option
@_pass_store
def unalias(store: Store, *, name: str, alias: str, reason: str | None, as_json: bool) -> None:
    """Let an ALIAS of the model NAME lead nowhere; its history stays."""
    _echo_move(f"{name}@{alias}", store.remove_alias(name, alias, reason=reason), as_json=as_json)


@command.command("history")
@click.argument("name")
@click.argument("alias")
@click.option(
    "--at", metavar="TIME", help="Show where it led then: a time, as 2026-11-28T12:00, or the end of a day; in UTC."
)
@json_option
@_pass_store
def history(store: Store, *, name: str, alias: str, at: str | None, as_json: bool) -> None:
    """Show every move of an ALIAS of the model NAME, or where it led at a time."""
    if at is None:
        moves: Iterable[AliasMove] = store.history(name, alias)
    else:
        move = store.alias_at(name, alias, _parse_time(at))
        moves = [move] if move else []
    if as_json:
        echo_json([_move_dict(move) for move in moves])
        return
    rows = [("TIME", "VERSION", "IDENTITY", "BY", "REASON")]
    echo_table([*rows, *((m.time[:19], *_target(m), m.by, m.reason or "-") for m in moves)])


@command.command("annotate")
@click.argument("reference")
@click.option("--description", help="What people shall read of it.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="A tag to set.")
@click.option("--untag", "untags", metavar="KEY", multiple=True, help="A tag to remove.")
@_pass_store
def annotate(
    store: Store, *, reference: str, description: str | None, tags: Sequence[str], untags: Sequence[str]
) -> None:
    """Describe and tag a model (iris) or a version of it (iris/3)."""
    store.annotate(reference, description=description, tags={**_parse_tags(tags), **dict.fromkeys(untags)})


@command.command("delete")
@click.argument("reference")
@_reason_option
@json_option
@_pass_store
def delete(store: Store, *, reference: str, reason: str | None, as_json: bool) -> None:
    """Delete the files of a version, to which no alias may lead; its record and its number stay."""
    _echo_version(store.delete(reference, reason=reason), as_json=as_json)


@command.command("sign")
@click.argument("reference")
@click.option("--key", metavar="PRIVATE.pem", required=True, help="The private key.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Whose first line is the key's password.")
@click.option("--overwrite", is_flag=True, help="Replace the signature that there is.")
@json_option
@_pass_store
def sign(store: Store, *, reference: str, key: str, password_file: Path | None, overwrite: bool, as_json: bool) -> None:
    """Sign a version; its files stay as they are, and the signature stands beside them."""
    password = None if password_file is None else read_password(password_file)
    _echo_version(store.sign(reference, key, password=password, overwrite=overwrite), as_json=as_json)


@command.command("collect")
@json_option
@_pass_store
def collect(store: Store, *, as_json: bool) -> None:
    """Remove what was begun and never finished, by processes that were killed."""
    gone = store.collect()
    if as_json:
        echo_json(gone)
    for place in () if as_json else gone:
        click.echo(printable(f"removed {place}"))


# -- reading and showing -----------------------------------------------------------------------------------------------


def _parse_tags(given: Sequence[str]) -> dict[str, str]:
    tags = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidOption("--tag", reason=f"{text!r:.60} is no tag", hint="write it as KEY=VALUE")
        tags[key] = value
    return tags


def _parse_time(text: str) -> datetime:
    """Return a time; of a day its last moment, as of whoever wants to know what was used that day."""
    is_day = len(text) == 10
    try:
        if not is_day and "T" not in text and " " not in text:
            raise ValueError("neither a day as people write it, nor a time")
        found = datetime.fromisoformat(f"{text}T23:59:59.999999" if is_day else text)
    except ValueError as exc:
        hint = "write it as 2026-11-28T12:00+01:00, or as 2026-11-28"
        raise InvalidOption("--at", reason=f"{text!r:.60} is no time", hint=hint) from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)  # as the times that are shown


def _target(move: AliasMove) -> tuple[str, str]:
    return ("-", "-") if move.version is None else (str(move.version), (move.digest or "-")[:12])


def _move_dict(move: AliasMove) -> dict[str, Any]:
    return {name: getattr(move, name) for name in ("version", "digest", "time", "by", "reason", "gate")}


def _echo_move(alias: str, move: AliasMove, *, as_json: bool, **more: Any) -> None:
    if as_json:
        echo_json({"alias": alias, **_move_dict(move), **more})
        return
    leads = "leads nowhere" if move.version is None else f"leads to version {move.version}"
    click.echo(printable(f"{alias} {leads} since {move.time[:19]}"))


def _echo_version(version: Version, *, as_json: bool) -> None:
    if as_json:
        echo_json(version.to_dict())
        return
    gone = version.deleted
    rows = [
        ("version", version.uri),
        ("identity", f"sha256 {version.digest}"),
        ("files", f"{version.files} ({size_text(version.size)})"),
        ("added", f"{version.added} by {version.by}, from {version.source}"),
        ("aliases", ", ".join(version.aliases) or "-"),
        ("description", version.description or "-"),
        ("tags", ", ".join(f"{key}={value}" for key, value in version.tags.items()) or "-"),
    ]
    if gone is not None:
        rows.append(("deleted", f"{gone.time} by {gone.by}" + (f": {gone.reason}" if gone.reason else "")))
    echo_table(rows)
