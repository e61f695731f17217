"""Any number of files, or a table in memory, as one sequence of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from palate.codecs import DataFormat, delimiter_of
from palate.datasets._arrow import arrow_columns, arrow_units
from palate.datasets._chunks import ArrayChunk, Chunk, Place, TableChunk
from palate.datasets._csv import csv_columns, csv_units
from palate.datasets._files import DataFile, find_files
from palate.datasets._json_lines import json_columns, json_units
from palate.datasets._npy import npy_rows, npy_units
from palate.datasets._parquet import parquet_columns, parquet_rows, parquet_units
from palate.datasets._units import Columns, Unit, require_pyarrow, require_unique
from palate.errors import InvalidData, InvalidOption
from palate.schema import Schema

__all__ = ["STREAMED_FORMATS", "Dataset", "open_dataset"]

STREAMED_FORMATS: Final[tuple[DataFormat, ...]] = ("parquet", "arrow", "csv", "jsonl", "npy")
"""The formats that are read piece by piece; a JSON document can only be read as a whole."""

_BATCH_ROWS: Final = 65_536
_MEMORY: Final = "the table"


class Dataset(ABC):
    """Rows from wherever, read in order and no more of them at once than asked for.

    Attributes:
        description: what people call it.
        columns: the names of its columns, as its first file has them; None where they have none.
        size: how many bytes there are to read, by which progress is told.
    """

    description: str
    columns: tuple[str, ...] | None
    size: int

    @property
    @abstractmethod
    def rows(self) -> int | None:
        """How many rows there are; None where only reading all of them tells."""

    @property
    @abstractmethod
    def fingerprint(self) -> tuple[tuple[str, int, str], ...]:
        """What tells it from another, or from itself after a change: name, size and version of each file."""

    @abstractmethod
    def find_changed(self) -> str | None:
        """Return the name of a file that is no longer what it was when it was found; None if all are."""

    @property
    def untyped(self) -> frozenset[str]:
        """The columns whose values are texts because nothing tells their type."""
        return frozenset()

    @abstractmethod
    def units(self) -> Iterator[Unit]:
        """Yield the parts that are read at once, in order. Raises InvalidData."""

    def chunks(self, columns: Columns = None, *, batch_rows: int = _BATCH_ROWS) -> Iterator[Chunk]:
        """Yield all rows in order.

        Args:
            columns: the columns to read, of which those that are not there are left out; None for all.
            batch_rows: how many rows a chunk has at most.

        Raises:
            InvalidData: a file cannot be read.
        """
        for unit in self.units():
            yield from unit.read(columns, batch_rows)


def open_dataset(
    inputs: Any,
    *,
    format: DataFormat | None = None,
    delimiter: str | None = None,
    schema: Schema | None = None,
    texts: Collection[str] = (),
) -> Dataset:
    """Find rows.

    Args:
        inputs: a path, a pattern, a folder, an address (``s3://bucket/folder``), or several of them; folders named as
            ``year=2026`` give a column of that name. Or a table of pandas, polars or pyarrow, or an array of numpy.
        format: what the files are, where their names do not tell.
        delimiter: between the cells of csv; by default a comma, or a tab in files called .tsv.
        schema: of a model's inputs, by which text is read: a cell is of its column's type and never guessed. Of columns
            that are not in it, the first rows tell the type.
        texts: columns of csv that are not in the schema, and stay the texts that they are, whatever the first rows say.

    Raises:
        DataNotFound: nothing is there.
        InvalidData: it is of no known format, or of several.
        InvalidOption: *inputs* is none of these.
        DependencyMissing: pyarrow is not installed; for ``s3:``, palate[remote].
        RemoteFailed: the server failed.
    """
    if isinstance(inputs, str | Path):
        return _Files([inputs], format, delimiter, schema, texts)
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(given, str | Path) for given in inputs):
        return _Files(inputs, format, delimiter, schema, texts)
    return _Memory(_rows_of(inputs))


class _Files(Dataset):
    """Files of one format."""

    def __init__(
        self,
        inputs: Sequence[str | Path],
        format: DataFormat | None,
        delimiter: str | None,
        schema: Schema | None,
        texts: Collection[str],
    ) -> None:
        require_pyarrow()
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise InvalidOption("delimiter", reason=f"{delimiter!r:.60} is not one character", hint="give one")
        self.files, self.format = find_files(inputs, format, schema)
        if self.format not in STREAMED_FORMATS:
            reason = f"{self.format} is read as a whole, not piece by piece"
            raise InvalidData(self.files[0].name, reason=reason, hint=f"give one of {', '.join(STREAMED_FORMATS)}")
        self._delimiter = delimiter
        self._schema = schema
        self._texts = frozenset(texts)
        self.size = sum(file.size for file in self.files)
        self.description = _describe(inputs, len(self.files))
        self.columns = self._find_columns()

    @property
    def rows(self) -> int | None:
        count = {"parquet": parquet_rows, "npy": npy_rows}.get(self.format)
        return None if count is None else sum(map(count, self.files))

    @property
    def untyped(self) -> frozenset[str]:
        if self.format != "csv":
            return frozenset()
        declared = {str(field.name) for field in self._schema or ()}
        return self._texts - declared - {name for file in self.files for name in file.partition}

    @property
    def fingerprint(self) -> tuple[tuple[str, int, str], ...]:
        return tuple((file.name, file.size, file.version) for file in self.files)

    def find_changed(self) -> str | None:
        return next((file.name for file in self.files if file.has_changed()), None)

    def units(self) -> Iterator[Unit]:
        for file in self.files:
            yield from self._units_of(file)

    def _units_of(self, file: DataFile) -> Iterator[Unit]:
        match self.format:
            case "parquet":
                return parquet_units(file)
            case "arrow":
                return arrow_units(file)
            case "csv":
                return csv_units(file, schema=self._schema, delimiter=self._separator(file), texts=self._texts)
            case "jsonl":
                return json_units(file, schema=self._schema)
            case _:
                return npy_units(file)

    def _find_columns(self) -> tuple[str, ...] | None:
        file = self.files[0]
        readers: dict[str, Callable[[DataFile], tuple[str, ...] | None]] = {
            "parquet": parquet_columns,
            "arrow": arrow_columns,
            "csv": partial(csv_columns, delimiter=self._separator(file)),
            "jsonl": json_columns,
        }
        read = readers.get(self.format)
        found = read(file) if read is not None else None
        if found is None:
            return None
        require_unique(file, found)
        return (*found, *(name for name in file.partition if name not in found))

    def _separator(self, file: DataFile) -> str:
        return self._delimiter or delimiter_of(file.name)


def _describe(inputs: Sequence[str | Path], count: int) -> str:
    named = str(inputs[0]) if len(inputs) == 1 else f"{inputs[0]} and {len(inputs) - 1} more"
    return named if count == 1 else f"{named} ({count} files)"


class _Memory(Dataset):
    """A table or an array that is there already."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self.columns = tuple(rows.column_names) if hasattr(rows, "column_names") else None
        self.size = rows.nbytes
        self.description = f"{_MEMORY} of {len(rows):,} rows"

    @property
    def rows(self) -> int:
        return len(self._rows)

    @property
    def fingerprint(self) -> tuple[tuple[str, int, str], ...]:
        return ((_MEMORY, self.size, str(id(self._rows))),)

    def find_changed(self) -> None:
        return None

    def units(self) -> Iterator[Unit]:
        yield Unit(file=_MEMORY, number=0, size=self.size, rows=self.rows, read=self._read)

    def _read(self, columns: Columns, batch_rows: int) -> Iterator[Chunk]:
        rows = self._rows
        if self.columns is not None and columns is not None:
            rows = rows.select([name for name in columns if name in self.columns])
        for start in range(0, len(rows), batch_rows):
            place = Place(_MEMORY, start)
            if self.columns is None:
                yield ArrayChunk(rows[start : start + batch_rows], place)
            else:
                yield TableChunk(rows.slice(start, batch_rows), place)


def _rows_of(given: Any) -> Any:
    """Return a pyarrow Table, or an array of numpy's."""
    import numpy as np

    if isinstance(given, np.ndarray):
        if given.ndim:
            return given
        raise _no_rows(given)
    pa = require_pyarrow()
    if isinstance(given, pa.Table):
        return given
    try:
        if hasattr(given, "iloc") and hasattr(given, "columns"):
            return pa.Table.from_pandas(given, preserve_index=False).replace_schema_metadata()
        if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
            return pa.table(given)
        if isinstance(given, dict):
            return pa.table(given)
    except (pa.ArrowException, TypeError, ValueError) as exc:
        hint = "give each column values of one type"
        raise InvalidData(_MEMORY, reason=str(exc).splitlines()[0].rstrip("."), hint=hint) from exc
    raise _no_rows(given)


def _no_rows(given: object) -> InvalidOption:
    hint = "give paths, a table of pandas, polars or pyarrow, or an array of numpy with rows"
    return InvalidOption("data", reason=f"it is a {type(given).__name__}", hint=hint)
