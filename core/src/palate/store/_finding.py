"""Models in a folder, in any depth, as people and MLflow leave them there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from palate.model_file import parse_model_file
from palate.packing import ARCHIVE_SUFFIX
from palate.storage import MODEL_FILE, read_small
from palate.store._mlflow import read_mapping, read_registry_note

__all__ = ["ARTIFACTS", "Found", "Unreadable", "describe_found", "find_models", "found_at"]

ARTIFACTS: Final = "artifacts"
"""What MLflow calls the folder in which it keeps the files of a run, or of a model."""

_META: Final = "meta.yaml"
_MAX_MODEL_FILE: Final = 32 << 20
_MAX_DEPTH: Final = 64
_VERSION: Final = re.compile(r"version-([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model in a folder.

    Attributes:
        path: its directory, or the one file that it is in.
        place: where that is in the folder, as a POSIX path.
        registered: what MLflow's registry calls it, as far as the folder tells.
        number: its version there.
        logged: what it was called when it was logged to MLflow.
        created: when it was saved, as its MLmodel says; "" if that is unknown.
    """

    path: Path
    place: str
    registered: str | None = None
    number: int = 0
    logged: str | None = None
    created: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A folder that could not be looked into, and why."""

    path: Path
    reason: str


def find_models(folder: Path) -> tuple[list[Found], list[Unreadable]]:
    """Return the models in *folder*, and what could not be looked into.

    A directory with a MLmodel file is a model, and what is below it a part of it; a file called ``.palate`` is one,
    too. Links are not followed, and hidden folders, such as the one where MLflow keeps what was deleted, passed over.
    """
    models: list[Found] = []
    unreadable: list[Unreadable] = []
    versions: dict[tuple[str, ...], tuple[str, int]] = {}
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as exc:
            unreadable.append(Unreadable(path=place, reason=f"it cannot be listed ({exc.strerror})"))
            continue
        names = {entry.name for entry in shown}
        if MODEL_FILE in names:
            models.append(found_at(place, folder))
            continue
        if _META in names and _VERSION.fullmatch(place.name):
            versions.update(_registered_version(place))
        models += [found_at(Path(entry.path), folder) for entry in shown if _is_archive(entry)]
        if len(place.relative_to(folder).parts) < _MAX_DEPTH:
            waiting += [Path(entry.path) for entry in shown if entry.is_dir(follow_symlinks=False)]
    found = [_with_registry(model, versions) for model in models]
    return sorted(found, key=lambda model: model.place), unreadable


def found_at(path: Path, folder: Path) -> Found:
    """Return the model at *path*, which is in *folder*, or is it."""
    name = _read_meta(path.parent).get("name") if path.name == ARTIFACTS else None
    place = path.relative_to(folder).as_posix()
    return Found(path=path, place=place, logged=name if isinstance(name, str) and name else None)


def describe_found(found: Found, directory: Path) -> Found:
    """Return the same with what the model in *directory* says of itself.

    Raises:
        PalateError: its MLmodel cannot be read.
    """
    model_file = parse_model_file(read_small(directory / MODEL_FILE, _MAX_MODEL_FILE))
    note = read_registry_note(directory)
    if found.registered is None and note.get("model_name"):
        version = note.get("model_version", "")
        number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
        found = replace(found, registered=note["model_name"], number=number)
    return replace(found, created=model_file.utc_time_created or "")


def _is_archive(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(ARCHIVE_SUFFIX) and entry.is_file(follow_symlinks=False)


def _registered_version(place: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, int]]]:
    """Yield what a file store of MLflow's registry says of a version: where its files are, its name and number."""
    meta, number = _read_meta(place), _VERSION.fullmatch(place.name)
    name = meta.get("name")
    for address in (meta.get("storage_location"), meta.get("source")):
        if isinstance(address, str) and isinstance(name, str) and number and (key := _artifact_key(address)):
            yield key, (name, int(number[1]))


def _with_registry(model: Found, versions: Mapping[tuple[str, ...], tuple[str, int]]) -> Found:
    name, number = versions.get(_artifact_key(model.path.as_posix()), (None, 0))
    return replace(model, registered=name, number=number) if name else model


def _artifact_key(address: str) -> tuple[str, ...]:
    """Return the end of a path that stays the same wherever MLflow's folder is moved: from a run's or model's id on."""
    try:
        parts = urlsplit(address).path.strip("/").split("/")
    except ValueError:
        return ()
    at = len(parts) - 1 - parts[::-1].index(ARTIFACTS) if ARTIFACTS in parts else 0
    return tuple(parts[at - 1 :]) if at > 0 else ()


def _read_meta(folder: Path) -> dict[str, Any]:
    """Return what MLflow's meta.yaml in a folder says; {} where there is none that can be read."""
    return read_mapping(folder / _META)
