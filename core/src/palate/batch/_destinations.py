"""Where predictions go: one file, a folder of files, or the same in a bucket. All of it appears at once, at the end."""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate.batch._pieces import narrow_texts, read_pieces, unify_schemas
from palate.batch._replacing import drop, replace_folder
from palate.batch._stage import Mark, Stage
from palate.batch._writing import check_schema, write_rows
from palate.batch.errors import OutputExists, WriteFailed
from palate.codecs import DataFormat, format_of
from palate.datasets import STREAMED_FORMATS
from palate.errors import InvalidOption, PalateError
from palate.remote import Bucket
from palate.storage import sync_directory, user_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Destination", "choose_destination", "writing"]

_S3: Final = "s3://"
_REJECTS: Final = ".errors.jsonl"
_MADE: Final = "output"
_REPLACED: Final = "replaced"
_SUCCESS: Final = "_SUCCESS"
# What batch jobs write: ours, Spark's, Ray's and Dask's.
_OF_JOBS: Final = re.compile(
    r"\.?(part[-.][0-9]+|[0-9]+_[0-9]+_[0-9]+)[\w.-]*\.(parquet|pq|arrow|csv|jsonl|npy)(\.crc)?"
    r"|\.?_SUCCESS(\.crc)?|_metadata|_common_metadata"
)
_UPLOADING: Final = "uploading"
_LONGEST_NAME: Final = 200  # in bytes, of the 255 that file systems take


class Destination(ABC):
    """A place for the output.

    Attributes:
        output: what it is called.
        format: of the files.
        stage_folder: where the job keeps what it has done so far.
        rejects: where bad rows go, unless the caller says.
    """

    output: str
    format: DataFormat
    stage_folder: Path
    rejects: str

    @abstractmethod
    def check_free(self, *, overwrite: bool) -> None:
        """Raise OutputExists where something is that would be lost."""

    def restore(self) -> None:
        """Drop what a job that was killed had half made, and put back what it had moved away. Raises OSError."""
        drop(self.stage_folder / _MADE)

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Tell whether a file or an object is what will be replaced, or in it."""

    @abstractmethod
    def publish(self, stage: Stage, schema: pa.Schema, *, overwrite: bool) -> None:
        """Let the output appear, made of what the stage has. Raises WriteFailed, OutputExists, RemoteFailed."""

    def write_file(self, path: Path, stage: Stage, marks: Sequence[tuple[int, Mark]], schema: pa.Schema) -> None:
        """Write the predictions of some parts. Raises OSError, and what ``write_rows`` raises."""
        pieces = [piece for part, mark in marks for piece in stage.pieces(part, mark)]
        rows = sum(mark.rows for _, mark in marks)
        write_rows(path, self.format, schema, read_pieces(pieces, schema), rows=rows)

    def find_schema(self, stage: Stage, empty: pa.Schema, texts: Collection[str]) -> pa.Schema:
        """Return the columns of the output, which are those of *empty* where there are no rows.

        Of the columns *texts* nothing told the type but what is in them.

        Raises:
            UnsupportedOutput: predictions of different rows have no type in common.
            InvalidOption: the format has no form for them.
        """
        pieces = [piece for part, mark in stage.parts for piece in stage.pieces(part, mark)]
        schema = narrow_texts(unify_schemas(pieces), pieces, texts) if pieces else empty
        check_schema(self.format, schema)
        return schema


def choose_destination(output: str | Path, format: DataFormat | None) -> Destination:
    """Return the place that *output* names: a file if its name has the ending of a format, else a folder.

    Raises:
        InvalidOption: the format is none that can be written row by row.
    """
    text = os.fspath(output)
    told = format_of(text)
    chosen = format or told or "parquet"
    if chosen not in STREAMED_FORMATS:
        reason = f"{chosen} cannot be written piece by piece"
        raise InvalidOption("output_format", reason=reason, hint=f"choose one of {', '.join(STREAMED_FORMATS)}")
    is_file = told is not None and not Path(text).is_dir()
    if text.startswith(_S3):
        return (_BucketFile if is_file else _BucketFolder)(text, chosen)
    return (_File if is_file else _Folder)(text, chosen)


@contextmanager
def writing(output: str) -> Iterator[None]:
    """Turn what the disk says in the block into WriteFailed."""
    try:
        yield
    except PalateError:  # some of which are OSErrors as well
        raise
    except OSError as exc:
        raise WriteFailed(output, cause=exc) from exc


class _File(Destination):
    """One file; what was there is replaced, in the last moment."""

    def __init__(self, output: str, format: DataFormat) -> None:
        self.output = output
        self.format = format
        self._path = Path(output).absolute()
        self.stage_folder = _stage_beside(self._path)
        self.rejects = f"{output}{_REJECTS}"

    def check_free(self, *, overwrite: bool) -> None:
        del overwrite  # as with cp, a file may always be replaced
        if self._path.exists() and not self._path.is_file():
            raise OutputExists(self.output, what="no ordinary file")

    def holds(self, name: str) -> bool:
        return os.path.realpath(name) == os.path.realpath(self._path)

    def publish(self, stage: Stage, schema: pa.Schema, *, overwrite: bool) -> None:
        del overwrite
        made = stage.folder / _MADE
        with writing(self.output):
            drop(made)
            self.write_file(made, stage, stage.parts, schema)
            made.replace(self._path)
            sync_directory(self._path.parent)


class _Folder(Destination):
    """A folder with a file for each part."""

    def __init__(self, output: str, format: DataFormat) -> None:
        self.output = output
        self.format = format
        self._path = Path(os.path.abspath(output))  # without dots, as it is the name beside which things are put
        self.stage_folder = _stage_beside(self._path)
        self.rejects = f"{output.rstrip('/')}{_REJECTS}"

    def check_free(self, *, overwrite: bool) -> None:
        is_empty = self._path.is_dir() and not any(self._path.iterdir())
        if not is_empty and self._path.exists() and (not overwrite or not self._path.is_dir()):
            raise OutputExists(self.output, what="a folder with files" if self._path.is_dir() else "a file")
        if os.path.ismount(self._path):
            raise InvalidOption("output", reason=f"'{self.output}' is a mount point", hint="name a folder in it")
        if self._path.is_dir():
            _require_replaceable(self.output, os.listdir(self._path))

    def restore(self) -> None:
        super().restore()
        old = self.stage_folder / _REPLACED
        if old.is_dir() and not os.path.lexists(self._path):
            old.rename(self._path)

    def holds(self, name: str) -> bool:
        real, own = os.path.realpath(name), os.path.realpath(self._path)
        return real == own or real.startswith(os.path.join(own, ""))

    def publish(self, stage: Stage, schema: pa.Schema, *, overwrite: bool) -> None:
        made = stage.folder / _MADE
        with writing(self.output):
            drop(made)
            made.mkdir()
            _write_parts(self, made, stage, schema)
            sync_directory(made)
            self.check_free(overwrite=overwrite)
            replace_folder(self._path, made, aside=stage.folder / _REPLACED)


def _stage_beside(path: Path) -> Path:
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.parent / f".{name}.palate-batch"


def _require_replaceable(output: str, names: Iterable[str]) -> None:
    """Raise InvalidOption where a folder has what is no job's output, such as somebody's only copy of something."""
    for name in names:
        if not _OF_JOBS.fullmatch(name):
            reason = f"'{output}' has '{name:.100}' in it, which no job has written"
            raise InvalidOption("output", reason=reason, hint="name a folder in it, or remove it yourself")


def _write_parts(place: Destination, folder: Path, stage: Stage, schema: pa.Schema) -> list[Path]:
    """Write a file for each part that has rows; one without any, if none has, as it has the names of the columns."""
    parts = [[(part, mark)] for part, mark in stage.parts if mark.rows] or [[]]
    written = []
    for number, marks in enumerate(parts):
        written.append(folder / f"part-{number:05}.{place.format}")
        place.write_file(written[-1], stage, marks, schema)
    return written


# -- buckets -----------------------------------------------------------------------------------------------------------


def _local_stage(output: str) -> Path:
    """Return where this machine keeps what a job for an address has done so far."""
    folder = user_folder(os.environ, "XDG_STATE_HOME", "~/.local/state", instead="XDG_STATE_HOME")
    return folder / "batch" / hashlib.sha256(output.encode()).hexdigest()[:32]


class _BucketFile(Destination):
    """One object, which is uploaded whole."""

    def __init__(self, output: str, format: DataFormat) -> None:
        self.output = output
        self.format = format
        place, _, self._key = output.rpartition("/")
        self._bucket = Bucket(place)
        self.stage_folder = _local_stage(output)
        self.rejects = f"{Path(self._key).name}{_REJECTS}"

    def check_free(self, *, overwrite: bool) -> None:
        del overwrite  # as a file, it may always be replaced
        self._bucket.stat(self._key)  # tells at once, and not at the end, whether the server can be asked

    def holds(self, name: str) -> bool:
        return name == self.output

    def publish(self, stage: Stage, schema: pa.Schema, *, overwrite: bool) -> None:
        del overwrite
        made = stage.folder / _MADE
        with writing(self.output):
            drop(made)
            self.write_file(made, stage, stage.parts, schema)
        self._bucket.upload(self._key, made)


class _BucketFolder(Destination):
    """Objects below a prefix; ``_SUCCESS``, which comes last, says that all are there, as with Spark and Hadoop."""

    def __init__(self, output: str, format: DataFormat) -> None:
        self.output = output.rstrip("/")
        self.format = format
        self._bucket = Bucket(self.output)
        self.stage_folder = _local_stage(self.output)
        self.rejects = f"{self.output.rpartition('/')[2]}{_REJECTS}"

    def check_free(self, *, overwrite: bool) -> None:
        if (self.stage_folder / _UPLOADING).exists():  # what is there is an interrupted job's own
            return
        names = [entry.key for entry in self._bucket.entries()]
        if names and not overwrite:
            raise OutputExists(self.output, what="a folder with objects")
        _require_replaceable(self.output, names)

    def holds(self, name: str) -> bool:
        return name.startswith(f"{self.output}/")

    def publish(self, stage: Stage, schema: pa.Schema, *, overwrite: bool) -> None:
        made = stage.folder / _MADE
        with writing(self.output):
            drop(made)
            made.mkdir()
            written = _write_parts(self, made, stage, schema)
            (made / _SUCCESS).touch()
            self.check_free(overwrite=overwrite)
            (stage.folder / _UPLOADING).touch()
        self._bucket.remove(_SUCCESS)  # first, as from here on not all is there
        names = {path.name for path in written}
        for entry in list(self._bucket.entries()):
            if entry.key not in names:
                self._bucket.remove(entry.key)
        for path in (*written, made / _SUCCESS):
            self._bucket.upload(path.name, path)
