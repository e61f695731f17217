"""Artifacts and data: files of the user's, copied into the model directory and found again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import unquote, urlsplit

from palate._disk.copying import copy_into
from palate._disk.paths import confine
from palate.errors import InvalidModelFile, InvalidOption, Problem

__all__ = ["base_name", "copy_artifacts", "find_artifacts", "source_path"]

FOLDER = "artifacts"


def copy_artifacts(artifacts: Mapping[str, str | os.PathLike[str]], root: Path) -> dict[str, dict[str, str]]:
    """Copy files and folders into ``root/artifacts`` and return their entries in MLmodel.

    Entries whose base names collide, also on file systems that do not tell cases apart, get numbered folders. The
    ``uri`` that MLflow records besides is the path inside the model, never the place on this machine.

    Raises:
        InvalidOption: a name is not text, or nothing can be copied from there.
    """
    if not isinstance(artifacts, Mapping):
        raise InvalidOption("artifacts", reason="it is not a dict", hint="write {name: path}")
    sources = {name: _source(name, place) for name, place in artifacts.items()}
    bases = {source.name.casefold() for source in sources.values()}
    entries, taken, number = {}, set(), 0
    for name, source in sources.items():
        relative = f"{FOLDER}/{source.name}"
        if source.name.casefold() in taken:
            while str(number) in bases:
                number += 1
            relative, number = f"{FOLDER}/{number}/{source.name}", number + 1
        taken.add(source.name.casefold())
        copy_into(source, root / relative)
        entries[name] = {"path": relative, "uri": relative}
    return entries


def _source(name: object, place: object) -> Path:
    if not isinstance(name, str) or not name:
        raise InvalidOption("artifacts", reason=f"{name!r:.60} is not a name", hint="name each artifact by text")
    if not isinstance(place, str | os.PathLike):
        raise InvalidOption("artifacts", reason=f"'{name}' is given no path", hint="write {name: path}")
    text = os.fspath(place)
    parts = urlsplit(text)
    # A one-letter scheme is a Windows drive.
    if len(parts.scheme) > 1 and parts.scheme != "file":
        raise InvalidOption(
            "artifacts", reason=f"'{name}' is at '{parts.scheme}:', not on this machine", hint="download it first"
        )
    return source_path("artifacts", unquote(parts.path) if parts.scheme == "file" else text)


def source_path(option: str, place: str | os.PathLike[str]) -> Path:
    """Return the file or folder to copy from, as an absolute path: "." has no name of its own."""
    source = Path(place).absolute()
    source = source.resolve() if source.name in ("", "..") else source
    try:
        found = source.is_file() or source.is_dir()
    except (OSError, ValueError):  # a name longer than the disk takes, or with a NUL
        found = False
    if not found:
        raise InvalidOption(
            option, reason=f"there is no file or folder at {str(place)!r:.200}", hint="give an existing path"
        )
    return source


def find_artifacts(path: Path, entries: object) -> dict[str, str]:
    """Return the path of each artifact by name.

    Raises:
        InvalidModelFile: the entries are malformed.
        UnsafePath: an artifact is not inside the model directory.
    """
    where = ("flavors", "python_function", "artifacts")
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        raise InvalidModelFile([Problem(where, "wrong_type", "must map names to paths")])
    found: dict[str, str] = {}
    for name, entry in entries.items():
        relative: Any = entry.get("path") if isinstance(entry, Mapping) else None
        field = ".".join((*where, str(name), "path"))
        found[str(name)] = str(confine(path, relative, field=field))
    return found


def base_name(recorded: str) -> str:
    """Return the last part of a path of any system: MLflow records where a file was on the machine that saved it."""
    return PureWindowsPath(recorded).name
