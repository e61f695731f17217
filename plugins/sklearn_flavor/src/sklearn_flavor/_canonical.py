"""Writes what skops wrote once more, so that the same model always gives the same file.

Skops names arrays and objects by their addresses in memory, and indents its document. Here both are numbered in the
order in which the document mentions them, members carry a fixed time, and what deflates well is deflated: a forest
takes a fifth of the space, and reading it back takes less time than reading it whole.
"""

from __future__ import annotations

import json
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from sklearn_flavor._archive import SCHEMA, looks_like_bomb
from sklearn_flavor._curated import UFUNC_MODULES

__all__ = ["rewrite_archive"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_WORTH = 0.8
_SAMPLE = 64 << 10
# Nodes whose objects are never changed; whether two of them are one object depends on the interpreter's mood.
_PLAIN = frozenset({"JsonNode", "TypeNode", "FunctionNode"})


class _Renumbered:
    """Small numbers in the place of addresses, in order of first mention."""

    def __init__(self) -> None:
        self.ids: dict[object, int] = {}
        self.members: dict[str, str] = {}

    def node(self, value: Any) -> Any:
        """Return a copy of *value* with its ids and members renamed, and ufuncs named by their public module."""
        if isinstance(value, list):
            return [self.node(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "__loader__" not in value:
            return {key: self.node(item) for key, item in value.items()}
        if value["__loader__"] == "SetNode":
            # A set of text has another order in every process.
            value = {**value, "content": sorted(value["content"], key=lambda item: str(item.get("content")))}
        copy = {key: self.node(item) for key, item in value.items() if key not in ("__id__", "file")}
        if "__id__" in value and value["__loader__"] not in _PLAIN:
            copy["__id__"] = self.ids.setdefault(value["__id__"], len(self.ids) + 1)
        if "file" in value:
            copy["file"] = self.member(value["file"])
        if value["__loader__"] == "FunctionNode":
            copy["__module__"] = _public_module(value["__module__"], value["__class__"])
        return copy

    def member(self, name: str) -> str:
        suffix = name.rpartition(".")[2]
        return self.members.setdefault(name, f"{len(self.members)}.{suffix}")


def _public_module(module: str, name: str) -> str:
    """Return numpy or scipy.special for their ufuncs: skops finds them in whatever module imported them first."""
    import numpy

    found = getattr(sys.modules.get(module), name, None)
    if module in UFUNC_MODULES or not isinstance(found, numpy.ufunc):
        return module
    public = (home for home in ("numpy", "scipy.special") if getattr(sys.modules.get(home), name, None) is found)
    return next(public, module)


def rewrite_archive(source: IO[bytes], target: Path) -> None:
    """Write the skops file *source* to *target* in its one form."""
    with zipfile.ZipFile(source) as old:
        renumbered = _Renumbered()
        document = renumbered.node(json.loads(old.read(SCHEMA)))
        text = json.dumps(document, separators=(",", ":")).encode()
        members = [(renumbered.members[name], name) for name in renumbered.members]
        _write(target, text, members, old, deflate=True)
        unpacked = sum(info.file_size for info in old.infolist())
        if looks_like_bomb(target.stat().st_size, unpacked):
            # A model of zeros; it has to be opened again by a reader who cannot know that.
            _write(target, text, members, old, deflate=False)


def _write(target: Path, text: bytes, members: list[tuple[str, str]], old: zipfile.ZipFile, *, deflate: bool) -> None:
    with zipfile.ZipFile(target, "w") as new:
        _add(new, SCHEMA, text, deflate=deflate)
        for number, name in members:
            _add(new, number, old.read(name), deflate=deflate)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, *, deflate: bool) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    info.create_system = 3  # the same bytes on every system
    sample = data[:_SAMPLE]
    worth = deflate and len(zlib.compress(sample, 1)) < _WORTH * len(sample)
    info.compress_type = zipfile.ZIP_DEFLATED if worth else zipfile.ZIP_STORED
    archive.writestr(info, data, compresslevel=1 if worth else None)
