"""Which files a path, a pattern, a folder or an address means, in a fixed order."""

from __future__ import annotations

import glob
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote

from palate.codecs import DataFormat, format_of
from palate.errors import DataNotFound, InvalidData
from palate.remote import Bucket

__all__ = ["DataFile", "LocalFile", "RemoteFile", "find_files"]

_S3: Final = "s3://"
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
Partition = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile(ABC):
    """A file of rows.

    Attributes:
        name: its path or address.
        size: in bytes.
        version: what changes when its content does, as far as anybody can tell without reading it.
        partition: columns that the names of its folders say, as in ``year=2026/part-0.parquet``.
    """

    name: str
    size: int
    version: str
    partition: Partition

    @abstractmethod
    def open(self) -> IO[bytes]:
        """Open it to be read from any place. Raises OSError, or RemoteFailed."""

    @property
    @abstractmethod
    def path(self) -> Path | None:
        """Where it is on this machine; None for one that is elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile(DataFile):
    """A file on this machine."""

    def open(self) -> IO[bytes]:
        return Path(self.name).open("rb")

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

    @property
    def path(self) -> None:
        return None


def find_files(inputs: Sequence[str | Path], format: DataFormat | None) -> tuple[list[DataFile], DataFormat]:
    """Return the files that *inputs* mean, each once, and their format.

    A folder means all files in it and in its folders, but for those whose names begin with a dot or an underscore, as
    Spark and Hive read folders.

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
    return _with_typed_partitions(files), format or _common_format(files)


def _common_format(files: Sequence[DataFile]) -> DataFormat:
    first = format_of(files[0].name)
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
        found = [file for match in sorted(glob.glob(given, recursive=True)) for file in _matching(Path(match))]
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
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            if not _is_hidden(name):
                path = Path(parent, name)
                yield _local(path, _partition_of(path.relative_to(folder).parts[:-1]))


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _local(path: Path, partition: Partition) -> LocalFile:
    try:
        found = path.stat()
    except OSError as exc:
        raise DataNotFound(str(path), reason=exc.strerror or str(exc)) from exc
    version = f"{found.st_mtime_ns}"
    return LocalFile(name=str(path), size=found.st_size, version=version, partition=partition)


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
        yield RemoteFile(
            name=f"{bucket.uri}/{entry.key}",
            size=entry.size,
            version=entry.modified.isoformat(),
            partition=_partition_of(entry.key.split("/")[:-1]),
            bucket=bucket,
            key=entry.key,
        )


# -- columns in the names of folders -----------------------------------------------------------------------------------


def _partition_of(folders: Sequence[str]) -> Partition:
    pairs = (unquote(folder).partition("=") for folder in folders if "=" in folder)
    return {name: None if value == _NO_VALUE else value for name, _, value in pairs if name}


def _with_typed_partitions(files: list[DataFile]) -> list[DataFile]:
    """Return the files with whole numbers for values where all values of a column are such."""
    names = {name for file in files for name in file.partition}
    if not names:
        return files
    for file in files:
        if missing := names.difference(file.partition):
            reason = f"its folders do not tell {', '.join(sorted(missing))}, and those of others do"
            raise InvalidData(file.name, reason=reason, hint="give the folder above all of them")
    whole = {name for name in names if all(_is_whole(file.partition[name]) for file in files)}
    return [
        replace(
            file,
            partition={
                name: int(value) if name in whole and value is not None else value
                for name, value in file.partition.items()
            },
        )
        for file in files
    ]


def _is_whole(value: str | int | None) -> bool:
    """Tell whether a value is a number as a number is written, which 007 is not."""
    return value is None or str(value) == "0" or (str(value).lstrip("-").isdecimal() and str(int(value)) == str(value))
