"""Models on their way into a store: one of them, or all in a folder or an ordinary zip file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from palate.errors import (
    CacheFailed,
    InvalidStore,
    ModelNotFound,
    PalateError,
    RemoteFailed,
    SaveFailed,
    StoreFailed,
    VersionNotFound,
)
from palate.locations import Location, locate, locate_file, scheme_of
from palate.storage import MODEL_FILE, check_manifest, is_foreign_zip, read_manifest, stage_in_cache, survey, unpack_zip
from palate.store._finding import ARTIFACTS, Found, describe_found, find_models, found_at
from palate.store._names import check_name
from palate.store._naming import allowed_name, choose_names
from palate.store._store import Store
from palate.store._versions import Version

__all__ = ["Imported", "Refused", "import_models"]

# What is wrong then is wrong for every model.
_FATAL: Final = (StoreFailed, InvalidStore, RemoteFailed, CacheFailed, SaveFailed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A model that was not imported.

    Attributes:
        source: where it is.
        reason: why.
    """

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the models that were to be imported.

    Attributes:
        added: the versions that are new.
        present: the versions that were there already, with the same digest under the same name.
        refused: what was not imported.
    """

    added: tuple[Version, ...]
    present: tuple[Version, ...] = ()
    refused: tuple[Refused, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "added": [version.to_dict() for version in self.added],
            "present": [version.to_dict() for version in self.present],
            "refused": [{"source": one.source, "reason": one.reason} for one in self.refused],
        }


def import_models(store: Store, source: str | PathLike[str], *, name: str | None = None) -> Imported:
    """Add what is at *source* to a store: a model, or all models in a folder or an ordinary zip file, in any depth.

    Models are called as in MLflow's registry, where the folder tells that, else as they were logged, else as their
    folders; where that makes two the same, more of their paths is put in front. A model that is there already, under
    the same name with the same digest, is not added again: what was broken off can be repeated.

    Args:
        store: where to.
        source: a model directory, a model in one file, any other URI that opens a model, or a folder, such as MLflow's
            ``mlruns``, or a ``.zip`` of one.
        name: let all of them be versions of the model of this name, in the order in which they were saved.

    Returns:
        What was added. In a folder or zip one model that cannot be read does not stop the others, and is told of here.

    Raises:
        ModelNotFound: there is no model.
        InvalidArchive: it is a zip file that cannot be trusted.
        PalateError: what ``Store.add`` raises, of *source* itself if that is a model, or of the store.
    """
    if name is not None:
        check_name(name)
    intake = _Intake(store)
    path = _local_path(source)
    if path is not None and is_foreign_zip(path):
        with _unpacked(path) as folder:
            return intake.take_folder(folder, str(source), name=name, outside=path.stem)
    if path is not None and path.is_dir() and not os.path.lexists(path / MODEL_FILE):
        return intake.take_folder(path, str(source), name=name, outside=path.resolve().name)
    location = locate(source)
    intake.take(name or _name_of(location), location)
    return intake.report()


class _Intake:
    """Adds models to a store, and keeps an account of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, dict[str, Version]] = {}
        self._added: list[Version] = []
        self._present: list[Version] = []
        self._refused: list[Refused] = []

    def report(self) -> Imported:
        return Imported(added=tuple(self._added), present=tuple(self._present), refused=tuple(self._refused))

    def take(self, name: str, location: Location) -> None:
        """Add one model, unless it is there already."""
        manifest = read_manifest(location.path) or survey(location.path)
        known = self._versions(name)
        if manifest.digest in known:
            check_manifest(location.path, manifest)  # a damaged one is not what is there already
            self._present.append(known[manifest.digest])
            return
        version = self._store.add(name, location)
        known[version.digest] = version
        self._added.append(version)

    def take_folder(self, folder: Path, label: str, *, name: str | None, outside: str) -> Imported:
        """Add the models in a folder, which is called *label*; refuse those that cannot be read, and tell of them."""
        models, unreadable = find_models(folder)
        if not models and not unreadable:
            hint = f"give a folder in which, in any depth, directories hold {MODEL_FILE} files"
            raise ModelNotFound(label, reason="no model is in it", hint=hint)
        for one in unreadable:
            self._refuse(_join(label, one.path.relative_to(folder).as_posix()), one.reason)
        found = [pair for model in models if (pair := self._open(model, label)) is not None]
        names = [name] * len(found) if name else choose_names([model for model, _ in found], outside=outside)
        named = sorted(zip(names, found, strict=True), key=lambda pair: (pair[0], *_age(pair[1][0], name)))
        for chosen, (_, location) in named:
            with self._refusing(location.uri):
                self.take(chosen, location)
        return self.report()

    def _open(self, model: Found, label: str) -> tuple[Found, Location] | None:
        uri = _join(label, model.place)
        with self._refusing(uri):
            location = locate_file(model.path, uri=uri)
            return describe_found(model, location.path), replace(location, uri=uri)
        return None

    @contextmanager
    def _refusing(self, source: str) -> Iterator[None]:
        try:
            yield
        except _FATAL:
            raise
        except (PalateError, OSError) as exc:
            self._refuse(source, str(exc))

    def _refuse(self, source: str, reason: str) -> None:
        self._refused.append(Refused(source=source, reason=reason))

    def _versions(self, name: str) -> dict[str, Version]:
        if name not in self._known:
            try:
                self._known[name] = {version.digest: version for version in self._store.versions(name)}
            except VersionNotFound:
                self._known[name] = {}
        return self._known[name]


def _name_of(location: Location) -> str:
    """Return what to call one model that was named by itself.

    Raises:
        PalateError: its MLmodel cannot be read.
    """
    found = describe_found(found_at(location.path, location.path), location.path)
    if location.name is None and location.lasting is None:  # a directory
        parent = location.path.parent.name
        return choose_names([found], outside=parent if location.path.name == ARTIFACTS else location.path.name)[0]
    return allowed_name(location.title)


def _age(model: Found, name: str | None) -> tuple[int, str, str]:
    """Return what tells the order of versions: the registry's numbers, unless several of its models become one."""
    return model.number if name is None else 0, model.created, model.place


def _join(label: str, place: str) -> str:
    return label if place == "." else f"{label.rstrip('/')}/{place}"


def _local_path(source: str | PathLike[str]) -> Path | None:
    """Return the path that *source* is, if it is one; whether anything is there, others look at."""
    scheme = scheme_of(source)
    if scheme == "file":
        return Path(unquote(urlsplit(str(source)).path))
    return Path(source) if scheme is None and os.fspath(source) else None


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Unpack an ordinary zip file in the cache, for as long as it takes."""
    with stage_in_cache("import") as home:
        unpack_zip(path, home)
        yield home
