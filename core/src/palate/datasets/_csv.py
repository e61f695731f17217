"""csv in blocks. Arrow reads them where it reads each cell as ``palate.codecs`` does, which reads the others."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from palate.codecs import read_csv
from palate.datasets._blocks import count_records, has_stray_marks, read_blocks, split_records
from palate.datasets._chunks import Chunk, Place, missing_column
from palate.datasets._files import DataFile
from palate.datasets._text_types import from_texts, possible_types
from palate.datasets._units import Columns, Unit, require_unique, with_partition
from palate.errors import InvalidData, InvalidInput, Problem
from palate.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["csv_columns", "csv_units"]

# What Arrow reads as palate.codecs does wherever it reads it at all; it has no time zones and no base64.
_ARROW_TYPES: Final = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
}
_USUAL_HEADER: Final = 1 << 20  # what is split to find the first record; a block would take long
_ARROW_BLOCK: Final = 1 << 20  # what Arrow parses at once, in each of its threads
_TRUE, _FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]
# It also reads hexadecimal numbers, and not-a-numbers with a payload as C writes them.
_ONLY_ARROW: Final = (b"0x", b"0X", b"n(", b"N(")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How the blocks of one file are read.

    Attributes:
        file: which file.
        header: its first line, with the line's end.
        names: the names in it.
        types: Arrow's types, of the columns that it reads.
        guessed: those of them that the first rows tell, and not the signature.
        delimiter: between cells.
        schema: of the model's inputs.
    """

    file: DataFile
    header: bytes
    names: tuple[str, ...]
    types: Mapping[str, Any]
    guessed: frozenset[str]
    delimiter: str
    schema: Schema | None

    def parse(self, block: bytes, columns: Columns) -> pa.Table:
        """Return some columns of a block. Raises ArrowException where Arrow cannot read one as it should."""
        from pyarrow import csv as arrow_csv

        wanted = set(self.names if columns is None else columns)
        included = [name for name in self.names if name in wanted]
        quoted = b'"' in block
        table = arrow_csv.read_csv(
            io.BytesIO(block),
            read_options=arrow_csv.ReadOptions(
                column_names=list(self.names), block_size=len(block) + 1 if quoted else _ARROW_BLOCK
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=quoted),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=included,
                column_types={name: self._read_as(name) for name in included if name in self.types},
                null_values=[""],
                true_values=_TRUE,
                false_values=_FALSE,
                strings_can_be_null=True,
            ),
        )
        return with_partition(self._to_types(table), self.file, columns)

    def _read_as(self, name: str) -> Any:
        import pyarrow as pa

        if name in self.guessed:
            return pa.string()
        # As palate.codecs does: to the nearest double, and from there to the nearest float.
        return pa.float64() if pa.types.is_float32(self.types[name]) else self.types[name]

    def _to_types(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        for place, name in enumerate(table.column_names):
            if name in self.guessed:
                table = table.set_column(place, name, from_texts(table.column(place), self.types[name]))
            elif name in self.types and pa.types.is_float32(self.types[name]):
                table = table.set_column(place, name, _to_singles(table.column(place)))
        return table


def _to_singles(wide: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    narrow = wide.cast(pa.float32(), safe=False)
    if not pc.is_inf(narrow).equals(pc.is_inf(wide)):
        raise pa.ArrowInvalid("too large for a float")
    return narrow


class _CsvChunk(Chunk):
    """Records of csv: the text, and the table that Arrow made of it, where it did."""

    def __init__(self, form: _Form, block: bytes, place: Place, line: int, columns: Columns) -> None:
        self._form = form
        self._block = block
        self._line = line
        self._columns = columns
        self._records: list[bytes] | None = None
        self.place = place
        self._table = self._parse()

    def _parse(self) -> pa.Table | None:
        import pyarrow as pa

        form = self._form
        chosen = set(form.names if self._columns is None else self._columns)
        wanted = [name for name in form.names if name in chosen]
        if not all(name in form.types for name in wanted) or any(mark in self._block for mark in _ONLY_ARROW):
            return None
        if not form.delimiter.isascii() or has_stray_marks(self._block, delimiter=form.delimiter):
            return None
        try:
            return form.parse(self._block, self._columns)
        except pa.ArrowException:
            return None

    def __len__(self) -> int:
        return self._table.num_rows if self._table is not None else len(self._split())

    def inputs(self, names: Sequence[str] | None) -> Any:
        if self._table is not None:
            there = self._table.column_names
            return self._table if names is None else self._table.select([name for name in names if name in there])
        try:
            text = (self._form.header + self._block).decode()
        except UnicodeDecodeError as exc:
            raise InvalidInput([Problem((), "wrong_value", "the rows are not UTF-8 text")]) from exc
        before = self._line - 1 - _count_lines(self._form.header)
        data = read_csv(text, self._form.schema, self._form.delimiter, lines_before=before)
        if isinstance(data, dict):
            data.update(
                {name: [value] * len(self) for name, value in self._form.file.partition.items() if name not in data}
            )
            return data if names is None else {name: data[name] for name in names if name in data}
        return data

    def column(self, name: str) -> pa.ChunkedArray:
        import pyarrow as pa

        if name not in self._form.names and name not in self._form.file.partition:
            raise missing_column(name, self._form.names)
        if self._table is not None and name in self._table.column_names:
            return self._table.column(name)
        try:
            return self._form.parse(self._block, [name]).column(name)
        except pa.ArrowException as exc:
            message = self._find_ragged() or f"holds a cell that is no {self._form.types.get(name, 'text')}"
            if name in self._form.guessed:
                message += ", which those of the first rows are"
            raise InvalidInput([Problem(("inputs", name), "wrong_value", message)]) from exc

    def _find_ragged(self) -> str | None:
        """Return what is wrong with the first record that has other cells than there are names; None if none has."""
        for row, record in enumerate(self._split()):
            try:
                cells = len(_first_row(record.decode(errors="replace"), self._form.delimiter))
            except csv.Error as exc:
                return f"is in a row that is no csv (row {row}: {exc})"
            if cells != len(self._form.names):
                return f"is in a row of {cells} cells (row {row}), and the header has {len(self._form.names)}"
        return None

    def slice(self, start: int, stop: int) -> _CsvChunk:
        records = self._split()
        line = self._line + sum(_count_lines(record) for record in records[:start])
        place = Place(self.place.file, self.place.row + start)
        return _CsvChunk(self._form, b"".join(records[start:stop]), place, line, self._columns)

    def record(self, row: int) -> Any:
        text = self._split()[row].decode(errors="replace").strip("\r\n")
        try:
            cells = _first_row(text, self._form.delimiter)
        except (csv.Error, StopIteration):
            return text
        return dict(zip(self._form.names, cells, strict=True)) if len(cells) == len(self._form.names) else text

    def _split(self) -> list[bytes]:
        if self._records is None:
            self._records = split_records(self._block, delimiter=self._form.delimiter)
        return self._records


def _first_row(text: str, delimiter: str) -> list[str]:
    """Return the first row that is no blank line. Raises csv.Error, StopIteration."""
    return next(filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))


def csv_columns(file: DataFile, delimiter: str) -> tuple[str, ...]:
    """Return the names in a file's first line. Raises InvalidData."""
    with closing(read_blocks(file, "csv", delimiter=delimiter)) as blocks:
        return _take_header(file, next(blocks, b""), delimiter)[1]


def csv_units(file: DataFile, *, schema: Schema | None, delimiter: str, texts: Collection[str] = ()) -> Iterator[Unit]:
    """Yield the blocks of a file, which are read as they are yielded; *texts* are never guessed. Raises InvalidData."""
    form: _Form | None = None
    row, line = 0, 1
    for number, block in enumerate(read_blocks(file, "csv", delimiter=delimiter)):
        body = block
        if form is None:
            header, names = _take_header(file, block, delimiter)
            body = block[len(header) :]
            form = _form_of(file, header, names, body, schema, delimiter, texts)
            line += _count_lines(header)
        read = partial(_read, form, body, row, line)
        rows = count_records(body, delimiter=delimiter)
        yield Unit(file=file.name, number=number, size=len(block), rows=rows, read=read)
        row += rows
        line += _count_lines(body)


def _read(form: _Form, body: bytes, row: int, line: int, columns: Columns, batch_rows: int) -> Iterator[Chunk]:
    chunk = _CsvChunk(form, body, Place(form.file.name, row), line, columns)
    rows = len(chunk)
    if rows <= batch_rows:
        if rows:
            yield chunk
        return
    for start in range(0, rows, batch_rows):
        yield chunk.slice(start, min(start + batch_rows, rows))


def _take_header(file: DataFile, block: bytes, delimiter: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the first record of a block, with its line's end, and the names in it. Raises InvalidData."""
    records = split_records(block[:_USUAL_HEADER], delimiter=delimiter)
    if len(records) < 2:  # it may be cut
        records = split_records(block, delimiter=delimiter)
    hint = "give it a first line with the names of its columns"
    if not records:
        raise InvalidData(file.name, reason="it is empty", hint=hint)
    header = block[: len(records[0])]
    try:
        names = _first_row(records[0].decode(), delimiter)
    except (csv.Error, UnicodeDecodeError) as exc:
        raise InvalidData(file.name, reason="its first line is no csv in UTF-8", hint=hint) from exc
    require_unique(file, names)
    return header, tuple(names)


# -- types -------------------------------------------------------------------------------------------------------------


def _form_of(
    file: DataFile,
    header: bytes,
    names: tuple[str, ...],
    body: bytes,
    schema: Schema | None,
    delimiter: str,
    kept: Collection[str],
) -> _Form:
    """Return how a file is read: the signature's columns as it says, others as the cells of the first rows are."""
    import pyarrow as pa

    types: dict[str, Any] = {}
    declared: set[str] = set()
    if schema is not None and not schema.is_tensor:
        for index, spec in enumerate(schema.columns):
            name = str(index if spec.name is None else spec.name)
            declared.add(name)
            if isinstance(spec.type, str) and spec.type in _ARROW_TYPES and spec.name == name:
                types[name] = pa.type_for_alias(_ARROW_TYPES[spec.type])
    others = [name for name in names if name not in declared]
    texts = {name: pa.string() for name in others}
    if schema is not None and schema.is_tensor:
        texts = {}  # palate.codecs knows how its cells are read
    form = _Form(
        file=file,
        header=header,
        names=names,
        types={**types, **texts},
        guessed=frozenset(),
        delimiter=delimiter,
        schema=schema,
    )
    if not texts or not delimiter.isascii() or has_stray_marks(body, delimiter=delimiter):
        return form
    try:
        table = form.parse(body, others)
    except pa.ArrowException:  # whoever reads the rows says what is wrong with them
        return form
    guessed = {name: _type_of(table.column(name)) for name in others if name not in {*file.partition, *kept}}
    return replace(form, types={**form.types, **guessed}, guessed=frozenset(guessed))


def _type_of(texts: pa.ChunkedArray) -> pa.DataType:
    import pyarrow as pa

    possible = possible_types(texts) if texts.null_count < len(texts) else ()
    return pa.type_for_alias(possible[0]) if possible else pa.string()


def _count_lines(block: bytes) -> int:
    """Return how many lines end in a block, as Python's reader of csv counts them."""
    return block.count(b"\n") + (block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else 0)
