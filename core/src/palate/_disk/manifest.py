"""The files of a model directory, held against its MANIFEST.json, whose digest over them is the model's identity.

A digest detects accidents. Against an attacker it helps only when it was pinned somewhere else, or signed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from palate._disk.durable import replace_file, write_new
from palate._disk.manifest_document import (
    ALGORITHM,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    FileDigest,
    Manifest,
    parse_manifest,
)
from palate._disk.paths import MODEL_FILE, list_files, open_plain, read_small
from palate._disk.stamps import Stamp, stamp_of
from palate.errors import ModelChanged, SaveFailed, UnsafePath

__all__ = [
    "MAX_SIGNATURE_BYTES",
    "SIGNATURE_FILE",
    "Elsewhere",
    "Seal",
    "accept",
    "check_content",
    "check_manifest",
    "read_manifest",
    "survey",
    "write_manifest",
]

# A signature is of the files that the manifest lists and of the manifest, so it is none of them.
SIGNATURE_FILE: Final = "model.sig"
MAX_SIGNATURE_BYTES: Final = 64 * 2**20  # it lists each file once more

_WHILE_READ: Final = "It was changed while it was being loaded."
# MLflow's registry drops this file into every directory that it downloads.
_REGISTRY_FILE: Final = "registered_model_meta"
# Python writes it beside code that stock MLflow imports; what Palate imports of a model is compiled from source.
_BYTE_CODE: Final = re.compile(r"code/(?:[^/]+/)*__pycache__/[^/]+\.pyc")
_REGISTRY_FILE_LIMIT: Final = 64 * 2**10
_REWRITTEN: Final = (
    "Only MLmodel differs: MLflow rewrites it in set_signature() and when a model passes through its registry."
)


# -- sealing -----------------------------------------------------------------------------------------------------------


class Elsewhere(Protocol):
    """Files of a model that are not in its directory, where empty ones stand for them.

    Attributes:
        names: what they are called there.
    """

    @property
    def names(self) -> Collection[str]: ...

    def measure(self, name: str) -> FileDigest:
        """Hash a file."""

    def stamp(self) -> Stamp:
        """Return what changes when one of them is written to."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Proof that a directory held exactly its manifest's files, and what it takes to see that it still does.

    Loaders open files by name, after they were checked. Whoever swaps a file in between, even for a moment, leaves
    another inode or change time behind; ``recheck`` after loading sees that.

    Attributes:
        root: the directory.
        manifest: what was checked.
        added_by_mlflow: files that MLflow left there and the manifest does not list: its registry's note, byte code.
    """

    root: Path
    manifest: Manifest
    added_by_mlflow: tuple[str, ...]
    _stamps: Mapping[str, Stamp] = field(repr=False)
    _elsewhere: tuple[Elsewhere, Stamp] | None = field(repr=False, default=None)

    def recheck(self) -> None:
        """Raise ModelChanged (or UnsafePath) if anything in the directory was touched since it was checked."""
        if self._elsewhere is not None:
            files, stamp = self._elsewhere
            if files.stamp() != stamp:
                raise ModelChanged(str(self.root), changed=sorted(files.names), cause=_WHILE_READ)
        now = _stamps(self.root, list_files(self.root))
        touched = sorted(name for name, stamp in self._stamps.items() if now.get(name, stamp) != stamp)
        missing, extra = sorted(self._stamps.keys() - now.keys()), sorted(now.keys() - self._stamps.keys())
        if touched or missing or extra:
            raise ModelChanged(str(self.root), changed=touched, missing=missing, extra=extra, cause=_WHILE_READ)


def _stamps(root: Path, names: list[str]) -> dict[str, Stamp]:
    """Stamp files, and their directories: moving one away and back leaves the files in it as they were."""
    directories = {"."}
    for name in names:
        steps = name.split("/")[:-1]
        directories.update("/".join(steps[:count]) + "/" for count in range(1, len(steps) + 1))
    stamps = {}
    for name in (*names, *directories):
        try:
            stamps[name] = stamp_of(os.lstat(root / name))
        except OSError:
            continue  # gone since it was listed: the caller finds it missing
    return stamps


# -- writing -----------------------------------------------------------------------------------------------------------


def write_manifest(root: Path) -> Manifest:
    """Hash every file under *root*, force each to disk, and write MANIFEST.json, which must not exist yet.

    Raises:
        UnsafePath: for a link, a special file or an unsafe name in the directory.
        OSError: if the disk refuses.
    """
    if os.path.lexists(root / SIGNATURE_FILE):
        raise UnsafePath(SIGNATURE_FILE, field="The flavor", reason="which is the name of a model's signature")
    manifest = survey(root, sync=True)
    write_new(root / MANIFEST_FILE, manifest.to_json().encode())
    return manifest


def accept(root: Path) -> Manifest:
    """Replace MANIFEST.json by one for the files that are there now, in one step.

    Raises:
        UnsafePath: for a link, a special file or an unsafe name in the directory.
        SaveFailed: if the disk refuses; the old manifest is then still there.
    """
    # The old one, and what an earlier attempt may have left, are not part of the model.
    temporary = root / f".{MANIFEST_FILE}.new"
    try:
        temporary.unlink(missing_ok=True)
        manifest = survey(root, sync=True)
        replace_file(root / MANIFEST_FILE, manifest.to_json().encode(), temporary=temporary)
    except OSError as exc:
        raise SaveFailed(str(root / MANIFEST_FILE), cause=exc) from exc
    return manifest


def survey(root: Path, *, sync: bool = False) -> Manifest:
    """Hash every file under *root* but the manifest and a signature; with *sync*, force each to disk.

    Raises:
        UnsafePath: for a link, a special file or an unsafe name in the directory.
        OSError: if the disk refuses.
    """
    names = [name for name in list_files(root) if name not in (MANIFEST_FILE, SIGNATURE_FILE)]
    return Manifest(tuple(_measure(root, name, sync=sync)[0] for name in names))


def _measure(root: Path, name: str, *, sync: bool) -> tuple[FileDigest, Stamp]:
    """Hash a file; with *sync*, force it to disk while it is open."""
    with open(open_plain(root / name), "rb", buffering=0) as file:
        before = stamp_of(os.fstat(file.fileno()))
        sha256 = hashlib.file_digest(file, ALGORITHM).hexdigest()
        if sync:
            os.fsync(file.fileno())
        after = stamp_of(os.fstat(file.fileno()))
    if before != after:
        raise ModelChanged(str(root), changed=[name], cause="It was written to while it was being read.")
    return FileDigest(name, before[2], sha256), after


# -- reading -----------------------------------------------------------------------------------------------------------


def read_manifest(root: Path) -> Manifest | None:
    """Read MANIFEST.json under *root*; None if there is none, as in directories saved by MLflow.

    Raises:
        InvalidModelFile: with every problem found in it.
        UnsafePath: if it is a link or anything but an ordinary file.
    """
    path = root / MANIFEST_FILE
    if not os.path.lexists(path):
        return None
    return parse_manifest(read_small(path, MAX_MANIFEST_BYTES))


# -- checking ----------------------------------------------------------------------------------------------------------


def check_content(root: Path, manifest: Manifest, name: str, content: bytes) -> None:
    """Raise ModelChanged if *content*, read just now from *root*, is not what *manifest* lists."""
    if {file.name: file.sha256 for file in manifest.files}.get(name) != hashlib.sha256(content).hexdigest():
        check_manifest(root, manifest)  # tells of every file, and what may have changed it
        raise ModelChanged(str(root), changed=[name], cause=_WHILE_READ)


def check_manifest(root: Path, manifest: Manifest, elsewhere: Elsewhere | None = None) -> Seal:
    """Hash every file under *root*, or *elsewhere*; return a Seal if they are exactly those that *manifest* lists.

    Raises:
        ModelChanged: with everything that is changed, missing or not listed.
        UnsafePath: for a link, a special file or an unsafe name in the directory.
    """
    present = list_files(root)
    stamps = _stamps(root, present)
    aside = (elsewhere, elsewhere.stamp()) if elsewhere is not None else None
    listed = {file.name: file for file in manifest.files}
    unlisted = [name for name in present if name not in listed and name != MANIFEST_FILE]
    added = tuple(name for name in unlisted if _is_registry_file(stamps.get(name), name) or _BYTE_CODE.fullmatch(name))
    expected = {*added, *(name for name in unlisted if _is_signature(stamps.get(name), name))}
    missing = [name for name in listed if name not in stamps]
    changed = [
        name for name, file in listed.items() if name in stamps and not _is_intact(root, file, stamps[name], elsewhere)
    ]
    extra = [name for name in unlisted if name not in expected]
    if changed or missing or extra:
        cause = _REWRITTEN if changed == [MODEL_FILE] and not missing and not extra else ""
        raise ModelChanged(str(root), changed=changed, missing=missing, extra=extra, cause=cause)
    return Seal(root, manifest, added, stamps, aside)


def _is_signature(stamp: Stamp | None, name: str) -> bool:
    return name == SIGNATURE_FILE and stamp is not None and stamp[2] <= MAX_SIGNATURE_BYTES


def _is_registry_file(stamp: Stamp | None, name: str) -> bool:
    return name == _REGISTRY_FILE and stamp is not None and stamp[2] <= _REGISTRY_FILE_LIMIT


def _is_intact(root: Path, file: FileDigest, stamp: Stamp, elsewhere: Elsewhere | None) -> bool:
    if elsewhere is not None and file.name in elsewhere.names:
        return elsewhere.measure(file.name) == file
    if stamp[2] != file.size:
        return False
    try:
        measured, seen = _measure(root, file.name, sync=False)
    except (OSError, UnsafePath, ModelChanged):
        return False
    # The stamp was taken by name and the hash from an open file; both must be of the same file.
    return measured == file and seen == stamp
