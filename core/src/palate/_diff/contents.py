"""The files of two models, told apart by what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from palate._diff.change import Change, ChangeKind
from palate._disk.manifest import survey
from palate._disk.manifest_document import FileDigest
from palate._opened import OpenedModel
from palate.errors import ModelChanged, PalateError

__all__ = ["Contents", "compare_contents", "read_contents"]

Contents: TypeAlias = "Mapping[str, FileDigest]"
"""The files of a model by their names."""


def read_contents(opened: OpenedModel) -> Contents:
    """Return the files of a model, as its manifest has them; without one, as MLflow's models are, each is read.

    Raises:
        ModelChanged: a file went away, or was written to, meanwhile.
        UnsafePath: something there is no ordinary file.
    """
    try:
        manifest = opened.manifest or survey(opened.path)
    except OSError as exc:
        if isinstance(exc, PalateError):
            raise
        cause = f"A file could not be read: {exc.strerror}."
        raise ModelChanged(opened.uri, missing=[str(exc.filename)], cause=cause) from exc
    return {file.name: file for file in manifest.files}


def compare_contents(old: Contents, new: Contents) -> Iterator[Change]:
    """Yield each file that only one of two models has, or that differs, in the order of their names."""
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        kind: ChangeKind = "added" if was is None else "removed" if now is None else "changed"
        sizes = [f"{file.size} bytes" for file in (was, now) if file is not None]
        detail = f"was {sizes[0]}, is {sizes[1]}" if kind == "changed" else sizes[0]
        yield Change(part="files", where=(name,), kind=kind, detail=detail)
