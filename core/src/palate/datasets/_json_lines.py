"""JSON, one record in each line, in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from palate.codecs import parse_text, read_rows
from palate.datasets._blocks import read_blocks, split_records
from palate.datasets._chunks import Chunk, Place
from palate.datasets._files import DataFile
from palate.datasets._units import Columns, Unit
from palate.errors import InvalidInput, Problem
from palate.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["json_columns", "json_units"]


class _JsonChunk(Chunk):
    """Lines of JSON, which are read when somebody wants what is in them."""

    def __init__(self, file: DataFile, lines: Sequence[bytes], place: Place, schema: Schema | None) -> None:
        self._file = file
        self._lines = lines
        self._schema = schema
        self._rows: list[Any] | None = None
        self.place = place

    def __len__(self) -> int:
        return len(self._lines)

    def inputs(self, names: Sequence[str] | None) -> Any:
        rows = self._read()
        if names is not None and self._schema is not None and self._schema.is_named:
            self._require_columns(rows, self._schema)
            known = set(names)
            rows = [{k: v for k, v in row.items() if k in known} if isinstance(row, dict) else row for row in rows]
        return read_rows(rows, self._schema)

    def _require_columns(self, rows: Sequence[Any], schema: Schema) -> None:
        """Raise InvalidInput where a record lacks a column, which among others would be taken for a missing value."""
        needed = {str(spec.name) for spec in schema if spec.required}
        problems = [
            Problem(("inputs", name), "missing", f"row {self.place.row + row} does not have it")
            for row, record in enumerate(rows)
            if isinstance(record, dict)
            for name in sorted(needed.difference(record))
        ]
        if problems:
            raise InvalidInput(problems)

    def column(self, name: str) -> pa.ChunkedArray:
        import pyarrow as pa

        rows = self._read()
        if any(not isinstance(row, dict) for row in rows):
            raise InvalidInput([Problem(("inputs", name), "wrong_type", "is asked for of a line that is no object")])
        try:  # where a record does not have it, it is missing, whatever the others in the chunk have
            return pa.chunked_array([pa.array([row.get(name) for row in rows])])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as exc:
            message = "holds values that have no type in common"
            raise InvalidInput([Problem(("inputs", name), "wrong_type", message)]) from exc

    def slice(self, start: int, stop: int) -> _JsonChunk:
        place = Place(self.place.file, self.place.row + start)
        chunk = _JsonChunk(self._file, self._lines[start:stop], place, self._schema)
        chunk._rows = None if self._rows is None else self._rows[start:stop]
        return chunk

    def record(self, row: int) -> Any:
        try:
            return parse_text(self._lines[row].decode(), "the line")
        except (InvalidInput, UnicodeDecodeError):
            return self._lines[row].decode(errors="replace").rstrip("\r\n")

    def _read(self) -> list[Any]:
        if self._rows is None:
            try:
                texts = [line.decode() for line in self._lines]
            except UnicodeDecodeError as exc:
                raise InvalidInput([Problem((), "wrong_value", "the rows are not UTF-8 text")]) from exc
            rows = [parse_text(text, f"row {self.place.row + row}") for row, text in enumerate(texts)]
            for found in rows:
                if isinstance(found, dict):
                    for name, value in self._file.partition.items():
                        found.setdefault(name, value)
            self._rows = rows
        return self._rows


def json_columns(file: DataFile) -> tuple[str, ...] | None:
    """Return the names in a file's first record; None where that is no object, or where there is none.

    Raises:
        InvalidData: the file cannot be read.
    """
    with closing(read_blocks(file, "jsonl", delimiter=None)) as blocks:
        lines = split_records(next(blocks, b""), delimiter=None)
    first = _JsonChunk(file, lines[:1], Place(file.name, 0), None).record(0) if lines else None
    return tuple(map(str, first)) if isinstance(first, dict) else None


def json_units(file: DataFile, *, schema: Schema | None) -> Iterator[Unit]:
    """Yield the blocks of a file, which are read as they are yielded. Raises InvalidData."""
    row = 0
    for number, block in enumerate(read_blocks(file, "jsonl", delimiter=None)):
        lines = split_records(block, delimiter=None)
        read = partial(_read, file, lines, row, schema)
        yield Unit(file=file.name, number=number, size=len(block), rows=len(lines), read=read)
        row += len(lines)


def _read(
    file: DataFile, lines: Sequence[bytes], row: int, schema: Schema | None, columns: Columns, batch_rows: int
) -> Iterator[Chunk]:
    del columns  # a line is read as a whole
    for start in range(0, len(lines), batch_rows):
        yield _JsonChunk(file, lines[start : start + batch_rows], Place(file.name, row + start), schema)
