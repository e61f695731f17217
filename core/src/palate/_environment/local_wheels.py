"""Wheel files that distributions were installed from: no index has to have them, so they come with the model."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._environment.installed import Package
from palate._environment.lock import WHEELS_FOLDER

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["LocalWheel", "find_wheel"]

_MAX_RECORD_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWheel:
    """A wheel file that is the one its distribution was installed from.

    Attributes:
        name: the normalised name of the distribution.
        path: where the file lies on this machine.
        sha256: what is in it.
    """

    name: str
    path: Path
    sha256: str

    @property
    def place(self) -> str:
        """The path that its copy has in a model directory."""
        return f"{WHEELS_FOLDER}/{self.path.name}"


def find_wheel(package: Package, distribution: Distribution) -> LocalWheel | str:
    """Return the wheel that *package* was installed from, or why it cannot be had any more.

    With the hash that installers record it is the same file; uv records none, and then the list of files in the wheel
    has to be the one of the installed files.
    """
    path = package.wheel
    if path is None or not path.is_file():
        return "which is gone"
    if not _is_named_after(path, package):
        return "whose name is that of another package or version"
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        same = sha256 == package.sha256 if package.sha256 else _installs_the_same(path, distribution)
    except (OSError, ValueError) as exc:
        return f"which cannot be read ({exc!s:.200})"
    return LocalWheel(name=package.name, path=path, sha256=sha256) if same else "which has changed since"


def _is_named_after(path: Path, package: Package) -> bool:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from packaging.version import InvalidVersion, Version

    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        same = (name, version) == (package.name, Version(package.version))
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return same and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", path.name) is not None


def _installs_the_same(path: Path, distribution: Distribution) -> bool:
    """Tell whether each file of the wheel is installed with the same hash."""
    inside = _record_of(path)
    installed = _hashes(distribution.read_text("RECORD") or "")
    # What lies in a .data folder is installed elsewhere, and scripts are rewritten on the way.
    compared = {name: digest for name, digest in inside.items() if ".data/" not in name}
    return bool(compared) and all(installed.get(name) == digest for name, digest in compared.items())


def _record_of(path: Path) -> dict[str, str]:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(path) as archive:
            records = [info for info in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", info.filename)]
            if len(records) != 1 or records[0].file_size > _MAX_RECORD_BYTES:
                raise ValueError("it has no RECORD of its files")
            return _hashes(archive.read(records[0]).decode("utf-8"))
    except BadZipFile as exc:
        raise ValueError("it is no wheel") from exc


def _hashes(record: str) -> dict[str, str]:
    rows = csv.reader(io.StringIO(record))
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1]}
