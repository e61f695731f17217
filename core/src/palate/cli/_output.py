"""What the commands print: text for people, one JSON document for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

__all__ = [
    "echo_json",
    "echo_table",
    "json_option",
    "model_speaks_aside",
    "one_line",
    "printable",
    "size_text",
    "trust_option",
]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
trust_option = click.option("--trust", is_flag=True, help="Allow code that comes with the model to run.")


def echo_json(document: Any) -> None:
    """Print *document* as JSON; what JSON has no word for is written as text."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    # A lone surrogate, from a hostile file, has no UTF-8; the backslash form is JSON for the same character.
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


@contextmanager
def model_speaks_aside() -> Iterator[None]:
    """Send to standard error what a model prints, in Python or below it: standard output is the command's own."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(own, 1)
        os.close(own)


def echo_table(rows: Iterable[Sequence[str]], *, indent: str = "") -> None:
    """Print rows with their columns aligned."""
    listed = [[printable(cell) for cell in row] for row in rows]
    if not listed:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*listed, strict=True)]
    for row in listed:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(indent + line.rstrip())


def one_line(text: str) -> str:
    """Return a message as one line, for logs and for grep; a list in it becomes "a; b; c"."""
    head, *points = text.split("\n  - ")
    return printable(" ".join(f"{head} {'; '.join(points)}".split()))


def printable(text: str) -> str:
    """Return text without control characters: names in a hostile model must not steer the reader's terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def size_text(size: int) -> str:
    """Return a size in bytes as people read it: "512 B", "1.4 MB"."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
