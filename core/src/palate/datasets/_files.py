"""Which files a path, a pattern, a folder or an address means, in a fixed order."""

from __future__ import annotations

import glob
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final, NoReturn
from urllib.parse import unquote

from palate.codecs import DataFormat, format_of
from palate.errors import DataNotFound, InvalidData
from palate.remote import Bucket
from palate.schema import FieldType, Schema

__all__ = ["DataFile", "LocalFile", "RemoteFile", "find_files"]

_S3: Final = "s3://"
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst", ".zip")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")  # as whole numbers are written, which 007 is not
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
Partition = Mapping[str, str | int | float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile(ABC):
    """A file of rows.

    Attributes:
        name: its path or address.
        size: in bytes.
        version: what changes when its content does, as far as anybody can tell without reading it.
        partition: columns that the names of its folders say, as in ``year=2026/part-0.parquet``.
        partition_types: what Arrow calls their types, which are the same for all files.
    """

    name: str
    size: int
    version: str
    partition: Partition
    partition_types: Mapping[str, str] = field(default_factory=dict)

    @abstractmethod
    def open(self) -> IO[bytes]:
        """Open it to be read from any place. Raises OSError, or RemoteFailed."""

    @abstractmethod
    def has_changed(self) -> bool:
        """Tell whether it is no longer what it was when it was found. Raises RemoteFailed."""

    @property
    @abstractmethod
    def path(self) -> Path | None:
        """Where it is on this machine; None for one that is elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile(DataFile):
    """A file on this machine."""

    def open(self) -> IO[bytes]:
        return Path(self.name).open("rb")

    def has_changed(self) -> bool:
        try:
            found = os.stat(self.name)
        except OSError:
            return True
        return (found.st_size, _version_of(found)) != (self.size, self.version)

    @property
    def path(self) -> Path:
        return Path(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile(DataFile):
    """An object in a bucket.

    Attributes:
        bucket: a ``palate.remote.Bucket``.
        key: of the object in it.
    """

    bucket: Bucket
    key: str

    def open(self) -> IO[bytes]:
        return self.bucket.open(self.key)

    def has_changed(self) -> bool:
        return self.bucket.stat(self.key) != (self.size, self.version)

    @property
    def path(self) -> None:
        return None


def find_files(
    inputs: Sequence[str | Path], format: DataFormat | None, schema: Schema | None
) -> tuple[list[DataFile], DataFormat]:
    """Return the files that *inputs* mean, each once, and their format.

    A folder means all files in it and in its folders, but for those whose names begin with a dot or an underscore, as
    Spark and Hive read folders; what a link leads to is in it, too, unless that is there anyhow.

    Raises:
        DataNotFound: nothing is there.
        InvalidData: their names tell different formats, or none.
        DependencyMissing, RemoteFailed: see ``palate.remote.Bucket``.
    """
    found: dict[str, DataFile] = {}
    for given in inputs:
        for file in _expand(str(given)):
            found.setdefault(file.name, file)
    files = list(found.values())
    if not files:
        raise DataNotFound(", ".join(map(str, inputs)), reason="nothing was given")
    return _with_typed_partitions(files, schema), format or _common_format(files)


def _common_format(files: Sequence[DataFile]) -> DataFormat:
    first = format_of(files[0].name)
    if first is None and files[0].name.lower().endswith(_COMPRESSED):
        raise InvalidData(files[0].name, reason="it is compressed", hint="unpack it, or compress inside of parquet")
    if first is None:
        raise InvalidData(files[0].name, reason="its name does not tell its format", hint="say which it is (--format)")
    for file in files:
        if (other := format_of(file.name)) != first:
            reason = f"it is {other or 'of no known format'}, and '{files[0].name}' is {first}"
            raise InvalidData(file.name, reason=reason, hint="give files of one format, or say which it is (--format)")
    return first


def _expand(given: str) -> Iterator[DataFile]:
    if given.startswith(_S3):
        yield from _expand_address(given)
        return
    if os.path.isdir(given):
        found = list(_walk(Path(given)))
        if not found:
            raise DataNotFound(given, reason="the folder has no files")
        yield from found
    elif os.path.exists(given):
        yield _local(Path(given), {})
    elif glob.has_magic(given):
        matches = sorted(glob.glob(given, recursive=True))
        if not _is_hidden(os.path.basename(given)):
            matches = [match for match in matches if not _is_hidden(os.path.basename(match))]
        found = [file for match in matches for file in _matching(Path(match))]
        if not found:
            raise DataNotFound(given, reason="no file matches the pattern")
        yield from found
    else:
        raise DataNotFound(given, reason="there is no such file")


def _matching(match: Path) -> Iterator[DataFile]:
    if match.is_dir():
        yield from _walk(match)
    else:
        yield _local(match, _partition_of(match.parts[:-1]))


def _walk(folder: Path) -> Iterator[DataFile]:
    top = os.path.realpath(folder)
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in list(folders):
            path = os.path.join(parent, name)
            if os.path.islink(path) and (_leads_into(path, top) or os.path.realpath(path) in seen):
                folders.remove(name)
            seen.add(os.path.realpath(path))
        for name in sorted(names):
            path = os.path.join(parent, name)
            if not _is_hidden(name) and not (os.path.islink(path) and _leads_into(path, top)):
                yield _local(Path(path), _partition_of(Path(path).relative_to(folder).parts[:-1]))


def _leads_into(link: str, top: str) -> bool:
    """Tell whether a link leads to what is in a folder under its own name, so that it would be read twice."""
    if not os.path.exists(link):
        return False
    real = os.path.realpath(link)
    return real == top or real.startswith(os.path.join(top, "")) or top.startswith(os.path.join(real, ""))


def _refuse_folder(exc: OSError) -> NoReturn:
    raise DataNotFound(str(exc.filename), reason=exc.strerror or str(exc)) from exc


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _local(path: Path, partition: Partition) -> LocalFile:
    try:
        found = path.stat()
    except OSError as exc:
        raise DataNotFound(str(path), reason=exc.strerror or str(exc)) from exc
    if not stat.S_ISREG(found.st_mode):  # a pipe is read once, and may never begin to speak
        raise DataNotFound(str(path), reason="it is no ordinary file")
    return LocalFile(name=str(path), size=found.st_size, version=_version_of(found), partition=partition)


def _version_of(found: os.stat_result) -> str:
    return str(found.st_mtime_ns)


# -- buckets -----------------------------------------------------------------------------------------------------------


def _expand_address(given: str) -> Iterator[DataFile]:
    if glob.has_magic(given):
        raise DataNotFound(given, reason="there are no patterns of addresses", hint="name the folder, or each object")
    place, _, name = given.rpartition("/")
    if name and place.startswith(_S3):  # else it is the bucket itself
        bucket = Bucket(place)
        found = bucket.stat(name)
        if found is not None:
            size, version = found
            yield RemoteFile(name=given, size=size, version=version, partition={}, bucket=bucket, key=name)
            return
    bucket = Bucket(given.rstrip("/"))
    entries = sorted(bucket.entries(), key=lambda entry: entry.key)
    files = [entry for entry in entries if entry.size and not any(map(_is_hidden, entry.key.split("/")))]
    if not files:
        raise DataNotFound(given, reason="neither an object nor a folder with some is there")
    for entry in files:
        found = (entry.size, entry.tag) if entry.tag else bucket.stat(entry.key)
        if found is None:
            raise DataNotFound(f"{bucket.uri}/{entry.key}", reason="it was removed just now")
        yield RemoteFile(
            name=f"{bucket.uri}/{entry.key}",
            size=found[0],
            version=found[1],
            partition=_partition_of(entry.key.split("/")[:-1]),
            bucket=bucket,
            key=entry.key,
        )


# -- columns in the names of folders -----------------------------------------------------------------------------------


def _partition_of(folders: Sequence[str]) -> Partition:
    pairs = (folder.partition("=") for folder in folders if "=" in folder)
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, _, value in pairs if name}


def _with_typed_partitions(files: list[DataFile], schema: Schema | None) -> list[DataFile]:
    """Return the files with values as the signature says of a column; else whole numbers, where all values are such."""
    names = {name for file in files for name in file.partition}
    if not names:
        return files
    for file in files:
        if missing := names.difference(file.partition):
            reason = f"its folders do not tell {', '.join(sorted(missing))}, and those of others do"
            raise InvalidData(file.name, reason=reason, hint="give the folder above all of them")
    declared = {str(spec.name): spec.type for spec in schema.columns} if schema is not None else {}
    types = {name: _type_of([file.partition[name] for file in files], declared.get(name)) for name in names}
    return [
        replace(
            file,
            partition={name: _read_as(types[name], value) for name, value in file.partition.items()},
            partition_types=types,
        )
        for file in files
    ]


def _type_of(values: Sequence[str | int | float | None], declared: FieldType | None) -> str:
    told = [str(value) for value in values if value is not None]
    if declared in ("float", "double") and all(_NUMBER.fullmatch(value) for value in told):
        return "float64"
    is_whole = told and all(_WHOLE.fullmatch(value) for value in told)
    return "int64" if is_whole and declared != "string" else "string"


def _read_as(kind: str, value: str | int | float | None) -> str | int | float | None:
    if value is None or kind == "string":
        return value
    return int(value) if kind == "int64" else float(value)
