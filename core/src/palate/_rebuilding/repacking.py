"""Wheels of what is installed here, packed anew, so that a model's environment has the very same Palate in it.

A regular install is packed from its list of files; one in place (editable) from the packages in its source folder. The
same files give the same bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._environment.dependencies import metadata_field
from palate._environment.installed import describe_distribution
from palate._environment.requirements import normalise_name
from palate.errors import EnvironmentFailed

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["PackedWheel", "pack_distribution"]

# What an installer writes for itself; the list is made anew.
_INSTALLERS_OWN: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "RECORD.jws", "RECORD.p7s"})
_PLAIN_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: palate\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can say
_BYTECODE: Final = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedWheel:
    """A wheel in memory: of the distribution *name*, to be written under *file_name*."""

    name: str
    file_name: str
    content: bytes
    sha256: str


def pack_distribution(distribution: Distribution) -> PackedWheel:
    """Pack an installed distribution.

    Raises:
        EnvironmentFailed: a file of it cannot be read, or nothing of it can be found.
    """
    name, version = metadata_field(distribution, "Name"), metadata_field(distribution, "Version")
    step = f"pack {name} {version} as it is installed here"
    try:
        files = dict(_contents(distribution, name, version))
    except OSError as exc:
        raise EnvironmentFailed(step, output=[str(exc)], hint=f"reinstall {name}") from exc
    stem = _stem(name, version)
    if all(".dist-info/" in file for file in files):
        raise EnvironmentFailed(step, output=["none of its modules was found"], hint=f"reinstall {name}")
    content = _zip(files, f"{stem}.dist-info/RECORD")
    return PackedWheel(
        name=normalise_name(name),
        file_name=f"{stem}-{_tag(files[f'{stem}.dist-info/WHEEL'].decode())}.whl",
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _stem(name: str, version: str) -> str:
    """Return what the names of a wheel and of the folder in it begin with."""
    return f"{normalise_name(name).replace('-', '_')}-{version.replace('-', '_')}"


def _tag(wheel: str) -> str:
    """Return the tag of a file name, which is the short form of those that WHEEL lists."""
    tags = [line.split("-") for line in re.findall(r"^Tag:\s*([^-\s]+-[^-\s]+-[^-\s]+)\s*$", wheel, re.MULTILINE)]
    return "-".join(".".join(sorted({tag[part] for tag in tags})) for part in range(3)) if tags else "py3-none-any"


def _contents(distribution: Distribution, name: str, version: str) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name in the wheel and its bytes."""
    info = f"{_stem(name, version)}.dist-info"
    listed = [row[0] for row in csv.reader(io.StringIO(distribution.read_text("RECORD") or "")) if row]
    for file in listed:
        folder, _, inner = file.partition("/")
        if folder.endswith(".dist-info") and inner and inner not in _INSTALLERS_OWN and "__pycache__" not in inner:
            yield f"{info}/{inner}", _read(distribution, file)
    yield f"{info}/METADATA", (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").encode()
    yield f"{info}/WHEEL", (distribution.read_text("WHEEL") or _PLAIN_WHEEL).encode()
    if points := distribution.read_text("entry_points.txt"):
        yield f"{info}/entry_points.txt", points.encode()
    if describe_distribution(distribution).origin == "editable":
        yield from _source_files(distribution, name)
    else:
        # Scripts, which lie outside, are made anew from the entry points.
        outside = ("..", "/")
        for file in listed:
            if not file.startswith(outside) and ".dist-info/" not in file and not file.endswith(_BYTECODE):
                yield file, _read(distribution, file)


def _read(distribution: Distribution, file: str) -> bytes:
    return Path(str(distribution.locate_file(file))).read_bytes()


def _source_files(distribution: Distribution, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the modules of a distribution that is installed in place: those that its metadata names."""
    for module in sorted(_top_modules(distribution, name)):
        spec = PathFinder.find_spec(module)
        if spec is None:
            continue
        if spec.submodule_search_locations:
            for folder in spec.submodule_search_locations:
                yield from _folder_files(Path(folder), module)
        elif spec.origin and spec.has_location:
            yield Path(spec.origin).name, Path(spec.origin).read_bytes()


def _top_modules(distribution: Distribution, name: str) -> set[str]:
    points = distribution.entry_points
    named = {point.value.partition(":")[0].partition(".")[0].strip() for point in points}
    return named | {re.sub(r"[-.]+", "_", name)} | set((distribution.read_text("top_level.txt") or "").split())


def _folder_files(folder: Path, module: str) -> Iterator[tuple[str, bytes]]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for file in sorted(files):
            if not file.endswith(_BYTECODE):
                path = Path(place, file)
                yield f"{module}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _zip(files: Mapping[str, bytes], record: str) -> bytes:
    rows = io.StringIO()
    csv.writer(rows, lineterminator="\n").writerows([*_rows(files), (record, "", "")])
    buffer = io.BytesIO()
    # Stored, because another zlib would compress to other bytes.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [*sorted(files.items()), (record, rows.getvalue().encode())]:
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _rows(files: Mapping[str, bytes]) -> Iterable[tuple[str, str, int]]:
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        yield name, f"sha256={digest}", len(content)
