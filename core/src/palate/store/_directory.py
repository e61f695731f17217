"""A store in a plain folder, which a person can read with ``ls``.

A version is a folder ``<name>/<number>`` with ``version.json`` and the model directory ``model`` in it. It is made in a
hidden stage beside it, and takes its number by one rename, which fails if somebody else has taken it meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from palate.errors import InvalidStore, ModelNotFound, PalateError, StoreFailed
from palate.storage import (
    Manifest,
    copy_model,
    open_stage,
    read_manifest,
    rename_new,
    sweep_stages,
    sync_directory,
    write_new,
)
from palate.store._documents import VersionRecord, dump
from palate.store._names import is_version
from palate.store._place import Describe, Document

__all__ = ["DirectoryPlace"]

_MAX_DOCUMENT: Final = 16 << 20
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
_LOCK: Final = ".lock"
_MODEL: Final = "model"
_VERSION_FILE: Final = "version.json"
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NO_FILE: Final = frozenset({errno.ELOOP, errno.ENXIO})  # a link, or a socket


class DirectoryPlace:
    """A folder as the place of a store; see ``Place``.

    Args:
        root: the folder, which is made when something is written to it first.
        lock_seconds: how long to wait for another process that replaces a document.
    """

    def __init__(self, root: Path, *, lock_seconds: float = 30.0) -> None:
        self._root, self._lock_seconds = root, lock_seconds

    @property
    def uri(self) -> str:
        """Return the path of the folder."""
        return str(self._root)

    @property
    def is_local(self) -> bool:
        """Return True."""
        return True

    @property
    def is_open_to_all(self) -> bool:
        """Whether anybody on this machine may write to it."""
        try:
            return bool(os.stat(self._root).st_mode & stat.S_IWOTH)
        except OSError:
            return False

    def read(self, key: str) -> Document | None:
        """Return a document; None if there is none."""
        try:
            descriptor = os.open(self._root / key, _READ)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            if exc.errno in _NO_FILE:
                raise InvalidStore(str(self._root / key), reason="it is no ordinary file") from exc
            raise self._failure(exc) from exc
        try:
            with self._telling():
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise InvalidStore(str(self._root / key), reason="it is no ordinary file")
                content = os.read(descriptor, min(status.st_size, _MAX_DOCUMENT) + 1)
        finally:
            os.close(descriptor)
        return Document(content, hashlib.sha256(content).hexdigest())

    def create(self, key: str, content: bytes) -> bool:
        """Write a document that must not exist yet; return whether it did not."""
        with self._written_aside(key, content) as written:
            try:
                rename_new(written, self._root / key)
            except FileExistsError:
                return False
            target = self._root / key
            self._sync_or_undo(target.parent, target, written)
        return True

    def replace(self, key: str, content: bytes, tag: str) -> bool:
        """Write a document anew if it still has that tag; return whether it had."""
        target = self._root / key
        with self._locked(target.parent), self._written_aside(key, content) as written:
            current = self.read(key)
            if current is None or current.tag != tag:
                return False
            os.rename(written, target)
            try:
                sync_directory(target.parent)
            except BaseException:
                write_new(written, current.content)
                os.rename(written, target)
                raise
        return True

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""
        return [entry.name for entry in self._entries(folder) if entry.is_dir(follow_symlinks=False)]

    def documents(self, folder: str) -> list[str]:
        """Return the names of the documents in a folder, and of what else is no folder: reading that is an error."""
        return [entry.name for entry in self._entries(folder) if not entry.is_dir(follow_symlinks=False)]

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Return a hidden folder for a model that is to be added, which is removed afterwards."""
        with self._telling(), open_stage(self._root / name, "save") as home:
            yield home

    def prepare(self) -> None:
        """Do nothing: folders are made when something is written to them."""

    def add(
        self, name: str, source: Path, describe: Describe, *, signature: bytes | None = None, move: bool = False
    ) -> int:
        """Copy, or move, the model directory *source* as the next version of a model; return its number."""
        folder = self._root / name
        with self._telling(source), open_stage(folder, "version") as home:
            version = home / "version"
            version.mkdir()
            manifest = _sealed(source) if move else _copy(source, version / _MODEL, signature)
            write_new(version / _VERSION_FILE, dump(describe(manifest, _MODEL)))
            if move:
                os.rename(source, version / _MODEL)  # now that it has been looked at where it was
            for directory, _, _ in os.walk(version, topdown=False):
                sync_directory(directory)
            number = self._take_number(version, name)
            self._sync_or_undo(folder, folder / str(number), version)
        return number

    def find(self, name: str, number: int, record: VersionRecord) -> Path | None:
        """Return the directory with the files of a version; None if they are gone."""
        if record.model != _MODEL:
            key = f"{name}/{number}/{_VERSION_FILE}"
            raise InvalidStore(str(self._root / key), reason=f"'model' is {record.model!r:.80}, not {_MODEL!r}")
        directory = self._root / name / str(number) / _MODEL
        return directory if directory.is_dir() and not directory.is_symlink() else None

    def remove_files(self, name: str, number: int, record: VersionRecord) -> bool:
        """Remove the files of a version whose record says that they are deleted; return whether they were there."""
        directory = self.find(name, number, record)
        if directory is None:
            return False
        with self._telling(), open_stage(self._root / name, "deleted") as home:
            try:
                os.rename(directory, home / _MODEL)  # from here on nobody sees half of it
            except FileNotFoundError:
                return False  # somebody else has removed them
            self._sync_or_undo(directory.parent, home / _MODEL, directory)
        return True

    def collect(self, name: str) -> list[str]:
        """Remove the stages under a model's name, and beside it, whose makers were killed; return where they were."""
        places = [self._root, self._root / name, *(self._root / name / folder for folder in self.folders(name))]
        return [str(stage) for place in places for stage in sweep_stages(place)]

    # -- how ---------------------------------------------------------------------------------------------------------

    def _take_number(self, version: Path, name: str) -> int:
        """Give a finished version the next number that is free."""
        number = max((int(folder) for folder in self.folders(name) if is_version(folder)), default=0) + 1
        while True:
            try:
                os.rename(version, self._root / name / str(number))
            except OSError as exc:
                if exc.errno not in _TAKEN:
                    raise
                number += 1
            else:
                return number

    def _sync_or_undo(self, folder: Path, new: Path, old: Path) -> None:
        """Force a rename, as the folder shows it, to disk; where that fails, take it back."""
        try:
            sync_directory(folder)
        except BaseException:
            os.rename(new, old)
            raise

    @contextmanager
    def _written_aside(self, key: str, content: bytes) -> Iterator[Path]:
        """Write a document in a stage beside its place, and yield where it is."""
        target = self._root / key
        with self._telling(), open_stage(target.parent, target.name) as home:
            write_new(home / "new", content)
            yield home / "new"

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Let one process at a time replace documents in a folder."""
        with self._telling():
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            with self._telling():
                self._wait_for(descriptor, folder)
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, folder: Path) -> None:
        until = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() > until:
                    seconds = f"{self._lock_seconds:g} seconds"
                    reason = f"another process has had the lock '{folder / _LOCK}' for {seconds}"
                    hint = "see what that process does, and try again"
                    raise StoreFailed(self.uri, reason=reason, hint=hint) from exc
                time.sleep(0.005)
            else:
                return

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._root / folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            return []
        except NotADirectoryError as exc:
            if not folder:
                reason, hint = "it is no folder", "name an empty folder, or one that is a store"
                raise InvalidStore(self.uri, reason=reason, hint=hint) from exc
            return []
        except OSError as exc:
            raise self._failure(exc) from exc

    @contextmanager
    def _telling(self, source: Path | None = None) -> Iterator[None]:
        """Turn the disk's refusals into errors that say whose they are."""
        try:
            yield
        except PalateError:
            raise
        except OSError as exc:
            named = exc.filename
            if source is not None and isinstance(named, str) and Path(named).is_relative_to(source):
                raise ModelNotFound(str(source), reason=f"'{named}' cannot be read ({exc.strerror})") from exc
            raise self._failure(exc) from exc

    def _failure(self, exc: OSError) -> StoreFailed:
        named = f" ({exc.filename})" if isinstance(exc.filename, str) else ""
        return StoreFailed(self.uri, reason=f"{exc.strerror or exc}{named}")


def _copy(source: Path, target: Path, signature: bytes | None) -> Manifest:
    target.mkdir()
    return copy_model(source, target, signature=signature)


def _sealed(source: Path) -> Manifest:
    manifest = read_manifest(source)
    assert manifest is not None, "it was saved a moment ago"
    return manifest
