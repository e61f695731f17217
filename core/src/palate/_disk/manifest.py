"""MANIFEST.json: every file's name, size and sha256, and the digest over them, which is the model's identity.

The digest is the sha256 of what ``sha256sum`` prints for the files in the order of their names, so that anybody can
check it without Palate, inside the model directory::

    find . -type f ! -name MANIFEST.json -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum

A digest detects accidents. Against an attacker it helps only when it was pinned somewhere else, or signed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from palate._disk.format import MANIFEST_FORMAT
from palate._disk.paths import MODEL_FILE, list_files, name_problem, open_plain, read_small
from palate._disk.strict_json import parse_json
from palate.errors import InvalidModelFile, ModelChanged, PalateError, Problem, ProblemKind, SaveFailed, UnsafePath

__all__ = [
    "FileDigest",
    "Manifest",
    "Seal",
    "accept",
    "check_manifest",
    "read_manifest",
    "sync_directory",
    "write_manifest",
]

MANIFEST_FILE: Final = "MANIFEST.json"
_ALGORITHM: Final = "sha256"
_MAX_BYTES: Final = 64 * 2**20  # 100,000 files with names of 500 bytes
_MAX_BRACKETS: Final = 300_000  # one for each file, and some in their names
_MAX_PROBLEMS: Final = 1000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_SIZE: Final = 2**63 - 1

_WHILE_READ: Final = "It was changed while it was being loaded."
# MLflow's registry drops this file into every directory that it downloads.
_REGISTRY_FILE: Final = "registered_model_meta"
# Python writes it beside code that stock MLflow imports; what Palate imports of a model is compiled from source.
_BYTE_CODE: Final = re.compile(r"code/(?:[^/]+/)*__pycache__/[^/]+\.pyc")
_REGISTRY_FILE_LIMIT: Final = 64 * 2**10
_REWRITTEN: Final = (
    "Only MLmodel differs: MLflow rewrites it in set_signature() and when a model passes through its registry."
)


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One file of a model: its path relative to the directory, its size in bytes, and its sha256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a model directory other than the manifest itself, sorted by name."""

    files: tuple[FileDigest, ...]

    @property
    def digest(self) -> str:
        """The model's identity, in hex."""
        return _digest(self.files)

    def check_content(self, root: Path, name: str, content: bytes) -> None:
        """Raise ModelChanged if *content*, read just now from *root*, is not what the manifest lists."""
        if {file.name: file.sha256 for file in self.files}.get(name) != hashlib.sha256(content).hexdigest():
            check_manifest(root, self)  # tells of every file, and what may have changed it
            raise ModelChanged(str(root), changed=[name], cause=_WHILE_READ)

    def to_json(self) -> str:
        """Return the text of MANIFEST.json; the same files always give the same text."""
        document = {
            "format": MANIFEST_FORMAT,
            "algorithm": _ALGORITHM,
            "digest": self.digest,
            "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in self.files],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _digest(files: tuple[FileDigest, ...]) -> str:
    lines = (f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# -- sealing -----------------------------------------------------------------------------------------------------------

Stamp = tuple[int, int, int, int, int]


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


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

    def recheck(self) -> None:
        """Raise ModelChanged (or UnsafePath) if anything in the directory was touched since it was checked."""
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
            stamps[name] = _stamp(os.lstat(root / name))
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
    manifest = _survey(root)
    _write_new(root / MANIFEST_FILE, manifest.to_json())
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
        manifest = _survey(root)
        try:
            _write_new(temporary, manifest.to_json())
            os.rename(temporary, root / MANIFEST_FILE)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(root)
    except PalateError:
        raise
    except OSError as exc:
        raise SaveFailed(str(root / MANIFEST_FILE), cause=exc) from exc
    return manifest


def _survey(root: Path) -> Manifest:
    names = [name for name in list_files(root) if name != MANIFEST_FILE]
    return Manifest(tuple(_measure(root, name, sync=True)[0] for name in names))


def _measure(root: Path, name: str, *, sync: bool) -> tuple[FileDigest, Stamp]:
    """Hash a file; with *sync*, force it to disk while it is open."""
    with open(open_plain(root / name), "rb", buffering=0) as file:
        before = _stamp(os.fstat(file.fileno()))
        sha256 = hashlib.file_digest(file, _ALGORITHM).hexdigest()
        if sync:
            os.fsync(file.fileno())
        after = _stamp(os.fstat(file.fileno()))
    if before != after:
        raise ModelChanged(str(root), changed=[name], cause="It was written to while it was being read.")
    return FileDigest(name, before[2], sha256), after


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb", buffering=0) as file:
        left = memoryview(text.encode())
        while left:
            left = left[file.write(left) :]
        os.fsync(descriptor)


def sync_directory(path: str | Path) -> None:
    """Force a directory's entries to disk, where the file system can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # What CIFS and some FUSE file systems say of directories; their renames are durable, or nothing there is.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


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
    return _Reader().manifest(_read_json(read_small(path, _MAX_BYTES)))


def _read_json(content: bytes) -> object:
    if content.count(b"[") + content.count(b"{") > _MAX_BRACKETS:
        # 64 MiB of "[]," would become gigabytes of lists.
        raise InvalidModelFile([Problem((), "wrong_value", "lists more than 100,000 files")], source=MANIFEST_FILE)
    try:
        return parse_json(content, max_bytes=_MAX_BYTES)
    except ValueError as exc:
        problem = Problem((), "wrong_value", f"is not JSON: {exc!s:.200}")
        raise InvalidModelFile([problem], source=MANIFEST_FILE) from exc


class _Reader:
    """Collects problems while it narrows JSON to a Manifest."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, where: tuple[str | int, ...], kind: ProblemKind, message: str) -> None:
        self.problems.append(Problem(where, kind, message))
        if len(self.problems) >= _MAX_PROBLEMS:
            self.finish()  # millions of them would fill the memory

    def finish(self) -> None:
        if self.problems:
            raise InvalidModelFile(self.problems, source=MANIFEST_FILE)

    def manifest(self, document: object) -> Manifest:
        if not isinstance(document, dict):
            self.refuse((), "wrong_type", "must be a mapping")
            self.finish()
            return Manifest(())
        self.head(document)
        listing = document.get("files")
        if not isinstance(listing, list):
            self.refuse(("files",), "wrong_type", "must be a list")
            listing = []
        files = tuple(entry for index, item in enumerate(listing) if (entry := self.entry(item, ("files", index))))
        self.names([file.name for file in files])
        self.finish()
        manifest = Manifest(tuple(sorted(files, key=lambda file: file.name)))
        if manifest.digest != document["digest"]:
            self.refuse(("digest",), "wrong_value", "is not the digest of the files listed")
        self.finish()
        return manifest

    def head(self, document: dict[str, Any]) -> None:
        number = document.get("format")
        if type(number) is not int or number < 1:
            self.refuse(("format",), "wrong_type", "must be a positive integer")
        elif number > MANIFEST_FORMAT:
            message = f"is {number}, from a newer Palate; this one reads up to {MANIFEST_FORMAT}: upgrade palate"
            self.refuse(("format",), "wrong_value", message)
            self.finish()
        if document.get("algorithm") != _ALGORITHM:
            self.refuse(("algorithm",), "wrong_value", f"must be '{_ALGORITHM}'")
        if not _is_sha256(document.get("digest")):
            self.refuse(("digest",), "wrong_value", "must be a sha256 in hex")
        if unknown := sorted(document.keys() - {"format", "algorithm", "digest", "files"}):
            self.refuse((), "extra", f"unknown key(s): {', '.join(unknown):.100}")

    def entry(self, item: object, where: tuple[str | int, ...]) -> FileDigest | None:
        if not isinstance(item, dict) or set(item) != {"name", "size", "sha256"}:
            self.refuse(where, "wrong_type", "must be a mapping of name, size and sha256")
            return None
        name, size, sha256 = item["name"], item["size"], item["sha256"]
        if not isinstance(name, str) or not _is_plain_name(name):
            self.refuse((*where, "name"), "wrong_value", f"{name!r:.60} is not a relative path inside the model")
        elif type(size) is not int or not 0 <= size <= _MAX_SIZE:
            self.refuse((*where, "size"), "wrong_value", "must be a number of bytes")
        elif not _is_sha256(sha256):
            self.refuse((*where, "sha256"), "wrong_value", "must be a sha256 in hex")
        else:
            return FileDigest(name, size, sha256)
        return None

    def names(self, names: list[str]) -> None:
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            self.refuse(("files",), "wrong_value", f"listed twice: {', '.join(twice):.200}")
        if MANIFEST_FILE in names:
            self.refuse(("files",), "wrong_value", f"{MANIFEST_FILE} cannot list itself")


def _is_plain_name(name: str) -> bool:
    return name_problem(name) is None and not {"", "."} & set(name.split("/"))


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


# -- checking ----------------------------------------------------------------------------------------------------------


def check_manifest(root: Path, manifest: Manifest) -> Seal:
    """Hash every file under *root* and return a Seal if they are exactly those that *manifest* lists.

    Raises:
        ModelChanged: with everything that is changed, missing or not listed.
        UnsafePath: for a link, a special file or an unsafe name in the directory.
    """
    present = list_files(root)
    stamps = _stamps(root, present)
    listed = {file.name: file for file in manifest.files}
    unlisted = [name for name in present if name not in listed and name != MANIFEST_FILE]
    added = tuple(name for name in unlisted if _is_registry_file(stamps.get(name), name) or _BYTE_CODE.fullmatch(name))
    missing = [name for name in listed if name not in stamps]
    changed = [name for name, file in listed.items() if name in stamps and not _is_intact(root, file, stamps[name])]
    extra = [name for name in unlisted if name not in added]
    if changed or missing or extra:
        cause = _REWRITTEN if changed == [MODEL_FILE] and not missing and not extra else ""
        raise ModelChanged(str(root), changed=changed, missing=missing, extra=extra, cause=cause)
    return Seal(root, manifest, added, stamps)


def _is_registry_file(stamp: Stamp | None, name: str) -> bool:
    return name == _REGISTRY_FILE and stamp is not None and stamp[2] <= _REGISTRY_FILE_LIMIT


def _is_intact(root: Path, file: FileDigest, stamp: Stamp) -> bool:
    if stamp[2] != file.size:
        return False
    try:
        measured, seen = _measure(root, file.name, sync=False)
    except (OSError, UnsafePath, ModelChanged):
        return False
    # The stamp was taken by name and the hash from an open file; both must be of the same file.
    return measured == file and seen == stamp
