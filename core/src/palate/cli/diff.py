"""``palate diff``: what callers of one model would notice if another took its place."""

from __future__ import annotations

import click

from palate.cli._output import echo_json, echo_table, json_option, model_speaks_aside, one_line, trust_option
from palate.model_diff import PARTS, Change, ModelDiff, Replay, diff_models

__all__ = ["command"]

# Of what does not break, a reader needs no more of one part; --json has it all.
_MOST_ROWS = 12
_LONGEST = 160
_EXAMPLES = {"a": "the example of A", "b": "the example of B", "both": "their example"}


@click.command("diff")
@click.argument("a")
@click.argument("b")
@trust_option
@click.option("--replay/--no-replay", default=True, help="Whether both models predict on the stored examples.")
@json_option
@click.pass_context
def command(ctx: click.Context, a: str, b: str, *, trust: bool, replay: bool, as_json: bool) -> None:
    """Tell what callers of model A would notice if B took its place.

    Exits with 1 when something breaks them.
    """
    with model_speaks_aside():
        found = diff_models(a, b, trust=trust, replay=replay)
    if as_json:
        echo_json(found.to_dict())
    else:
        _echo(found)
    ctx.exit(1 if found.verdict == "breaking" else 0)


def _echo(found: ModelDiff) -> None:
    uris = (("A", found.a), ("B", found.b))
    echo_table((*uri, _identity(digest)) for uri, digest in zip(uris, found.digests, strict=True))
    for part in PARTS:
        changes = [change for change in found.changes if change.part == part]
        _echo_part(part, [_change_row(change) for change in sorted(changes, key=lambda change: not change.breaks)])
    _echo_part("predictions", list(map(_replay_row, found.replays)))
    click.echo(_verdict_text(found))


def _identity(digest: str | None) -> str:
    return f"sha256 {digest[:12]}" if digest else "no MANIFEST.json"


def _echo_part(part: str, rows: list[tuple[str, str, str, str]]) -> None:
    if not rows:
        return
    click.echo(part)
    shown = [row for number, row in enumerate(rows) if number < _MOST_ROWS or row[0]]
    echo_table(shown if any(row[0] for row in shown) else [row[1:] for row in shown], indent="  ")
    if len(rows) > len(shown):
        click.echo(f"  and {len(rows) - len(shown)} more, which --json lists")


def _change_row(change: Change) -> tuple[str, str, str, str]:
    where = ".".join(map(str, change.where)) or "-"
    return "BREAKS" if change.breaks else "", _cut(where, 60), change.kind, _cut(change.detail, _LONGEST)


def _replay_row(replay: Replay) -> tuple[str, str, str, str]:
    largest = "" if replay.largest is None else f" (numbers differ by {replay.largest:.3g} at most)"
    mark = "BREAKS" if replay.breaks else ""
    return mark, _EXAMPLES[replay.example], replay.status, _cut(one_line(replay.detail), 2 * _LONGEST) + largest


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _verdict_text(found: ModelDiff) -> str:
    if found.identical:
        return "identical: every file is the same"
    count = len(found.breaking)
    if count:
        return f"breaking: {count} of these break callers of A"
    return "compatible: callers of A can go on as they do"
