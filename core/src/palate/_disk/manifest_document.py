"""The document MANIFEST.json: what it lists, how it is written, and how it is read from strangers.

The digest is the sha256 of what ``sha256sum`` prints for the files in the order of their names, so that anybody can
check it without Palate, inside the model directory::

    find . -type f ! -name MANIFEST.json -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from palate._disk.format import MANIFEST_FORMAT
from palate._disk.paths import name_problem
from palate._disk.strict_json import parse_json
from palate.errors import InvalidModelFile, Problem, ProblemKind

__all__ = ["ALGORITHM", "MANIFEST_FILE", "MAX_MANIFEST_BYTES", "FileDigest", "Manifest", "parse_manifest"]

MANIFEST_FILE: Final = "MANIFEST.json"
MAX_MANIFEST_BYTES: Final = 64 * 2**20  # 100,000 files with names of 500 bytes
ALGORITHM: Final = "sha256"
_MAX_BRACKETS: Final = 300_000  # one for each file, and some in their names
_MAX_PROBLEMS: Final = 1000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_SIZE: Final = 2**63 - 1


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

    def to_json(self) -> str:
        """Return the text of MANIFEST.json; the same files always give the same text."""
        document = {
            "format": MANIFEST_FORMAT,
            "algorithm": ALGORITHM,
            "digest": self.digest,
            "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in self.files],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _digest(files: tuple[FileDigest, ...]) -> str:
    lines = (f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def parse_manifest(content: bytes) -> Manifest:
    """Return what the text of a MANIFEST.json says.

    Raises:
        InvalidModelFile: with every problem found in it.
    """
    return _Reader().manifest(_read_json(content))


def _read_json(content: bytes) -> object:
    try:
        return parse_json(content, max_bytes=MAX_MANIFEST_BYTES, max_brackets=_MAX_BRACKETS)
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
        if document.get("algorithm") != ALGORITHM:
            self.refuse(("algorithm",), "wrong_value", f"must be '{ALGORITHM}'")
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
