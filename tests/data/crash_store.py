"""Do one thing to a store and exit; the tests kill this process, and fail its system calls, at every point.

argv: the directory of the package ``palate``, what to do, the folder that it is done in, and optionally "in-place".
The store is the folder's ``store``; the model that is added or packed its ``m``, which in one file is ``m.palate``.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

# Only the modules under test, not the whole package with its dependencies: a run must take milliseconds.
for name in ("palate", "palate.store"):
    package = types.ModuleType(name)
    package.__path__ = [os.path.join(sys.argv[1], *name.split(".")[1:])]
    sys.modules[name] = package

import ctypes  # noqa: E402, F401  (these are imported on the way)
import shutil  # noqa: E402
import uuid  # noqa: E402

from palate._archive.reading import is_archive, open_archive  # noqa: E402
from palate._archive.unpacking import read_listing, unpack_into  # noqa: E402
from palate._archive.writing import write_archive  # noqa: E402
from palate._disk.manifest import read_manifest, write_manifest  # noqa: E402
from palate._disk.manifest_document import Manifest  # noqa: E402
from palate._disk.staging import stage, stage_file  # noqa: E402
from palate.errors import PalateError  # noqa: E402
from palate.store._aliases import Aliases  # noqa: E402
from palate.store._directory import DirectoryPlace  # noqa: E402
from palate.store._documents import AliasHistory, AliasMove, Notes, VersionRecord, dump, now_after  # noqa: E402
from palate.store._notes import NoteBook  # noqa: E402
from palate.store._policy import mark_store  # noqa: E402
from palate.store._upkeep import delete_version  # noqa: E402

NAME = "iris"


def mark(name: str) -> None:
    """Leave a trace that strace shows."""
    try:
        os.stat(f"/PALATE-MARK-{name}")
    except OSError:
        return


def write_model(path: Path) -> None:
    """Write a small model with a file in a folder, as a flavor would."""
    (path / "data").mkdir()
    (path / "data" / "model.bin").write_bytes(b"model" * 5000)
    (path / "MLmodel").write_text("flavors: {}\n")


def describe(manifest: Manifest, where: str) -> VersionRecord:
    """Return the record of a version, as a store writes it."""
    size = sum(file.size for file in manifest.files)
    facts = {"digest": manifest.digest, "size": size, "files": len(manifest.files), "model": where}
    return VersionRecord(id=uuid.uuid4().hex, added=now_after(None), by="tester", source="m", **facts)


def write_lines(path: Path, text: bytes) -> None:
    """Write a file in its place, line by line."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb", buffering=0) as file:
        for line in text.splitlines(keepends=True):
            file.write(line)


class Deeds:
    """What can be done to a store, as ``Store`` does it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = DirectoryPlace(folder / "store")

    def add(self) -> None:
        """Add the model as the next version."""
        mark_store(self._place)
        self._place.add(NAME, self._folder / "m", describe)

    def save(self) -> None:
        """Save a model into the store."""
        mark_store(self._place)
        with self._place.scratch(NAME) as scratch:
            with stage(scratch / "model") as staging:
                write_model(staging.path)
                write_manifest(staging.path)
                staging.publish()
            self._place.add(NAME, scratch / "model", describe, move=True)

    def alias(self) -> None:
        """Let an alias lead to version 2."""
        Aliases(self._place, NAME).move("champion", 2, None, by="tester", reason=None)

    def annotate(self) -> None:
        """Describe the model."""
        NoteBook(self._place).change(NAME, description="new", tags={"a": "new"})

    def delete(self) -> None:
        """Delete version 1."""
        delete_version(self._place, NAME, 1, by="tester", reason=None)

    def pack(self) -> None:
        """Write the model as one file."""
        with stage_file(self._folder / "packed.palate", overwrite=True, is_model=is_archive) as staging:
            write_archive(self._folder / "m", staging.path, read_manifest(self._folder / "m"))
            staging.publish()

    def unpack(self) -> None:
        """Write the model in one file as a directory."""
        with stage(self._folder / "unpacked") as staging:
            with open_archive(self._folder / "m.palate") as archive:
                unpack_into(archive, staging.path, read_listing(archive))
            staging.publish()


class DeedsInPlace(Deeds):
    """The same, done as somebody would who does not think of failures; the harness must find that out."""

    def add(self) -> None:
        """Add the model in its place."""
        version = self._folder / "store" / NAME / "3"
        shutil.copytree(self._folder / "m", version / "model")
        manifest = read_manifest(version / "model")
        assert manifest is not None
        (version / "version.json").write_bytes(dump(describe(manifest, "model")))

    save = add

    def alias(self) -> None:
        """Write the history of the alias anew, in its place."""
        history = AliasHistory(moves=(AliasMove(version=2, digest=None, time=now_after(None), by="tester"),))
        write_lines(self._folder / "store" / NAME / "aliases" / "champion.json", dump(history))

    def annotate(self) -> None:
        """Write the notes anew, in their place."""
        tags = {"a": "new", "b": "old", "c": "", "d": "", "e": ""}
        write_lines(self._folder / "store" / NAME / "notes.json", dump(Notes(description="new", tags=tags)))

    def delete(self) -> None:
        """Remove the files of the version, one after the other."""
        shutil.rmtree(self._folder / "store" / NAME / "1" / "model")
        super().delete()

    def pack(self) -> None:
        """Write the file in its place."""
        write_archive(self._folder / "m", self._folder / "packed.palate", read_manifest(self._folder / "m"))

    def unpack(self) -> None:
        """Unpack in the place."""
        (self._folder / "unpacked").mkdir()
        with open_archive(self._folder / "m.palate") as archive:
            unpack_into(archive, self._folder / "unpacked", read_listing(archive))


deeds = (DeedsInPlace if sys.argv[4:] == ["in-place"] else Deeds)(Path(sys.argv[3]))
try:
    mark("BEGIN")
    getattr(deeds, sys.argv[2])()
    mark("END")
except PalateError as exc:
    print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
    sys.exit(3)
