"""Rows of Arrow's as files: parquet, Arrow, csv, JSON lines, npy; one table after the other, in constant memory."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from palate.batch._first_line import first_line
from palate.codecs import DataFormat, plain
from palate.errors import InvalidOption

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_schema", "write_rows"]

_ROW_GROUP: Final = 1 << 20


def write_rows(path: Path, format: DataFormat, schema: pa.Schema, tables: Iterable[pa.Table], *, rows: int) -> None:
    """Write a new file, and force it to disk.

    Args:
        path: where; nothing may be there.
        format: what the file is.
        schema: of all tables.
        tables: the rows.
        rows: how many there will be.

    Raises:
        OSError: the disk refuses.
        InvalidOption: the format has no form for a column.
        UnsupportedOutput: what *tables* raises.
    """
    import pyarrow as pa

    with path.open("xb") as file:
        try:
            _WRITERS[format](file, schema, tables, rows)
        except pa.ArrowException as exc:
            reason = f"{format} has no form for a column: {first_line(exc)}"
            hint = f"write another of {', '.join(_WRITERS)}"
            raise InvalidOption("output_format", reason=reason, hint=hint) from exc
        file.flush()
        os.fsync(file.fileno())


def check_schema(format: DataFormat, schema: pa.Schema | Sequence[pa.Field]) -> None:
    """Raise InvalidOption where a format has no form for such columns."""
    import pyarrow as pa

    if format == "csv":
        nested = [field.name for field in schema if pa.types.is_nested(field.type)]
        if nested:
            reason = f"the column '{nested[0]:.60}' holds lists or records, which csv cannot"
            raise InvalidOption("output_format", reason=reason, hint="write parquet, arrow or jsonl")
    if format == "npy":
        other = [f.name for f in schema if not (pa.types.is_floating(f.type) or _is_whole(f.type))]
        if other:
            reason = f"the column '{other[0]:.60}' is no number, and npy holds one array of numbers"
            raise InvalidOption("output_format", reason=reason, hint="write parquet, arrow, csv or jsonl")
        kinds = {field.type for field in schema}
        if len(kinds) > 1 and kinds & {pa.int64(), pa.uint64()}:
            reason = "whole numbers of 64 bits and others have no type of array in common"
            raise InvalidOption("output_format", reason=reason, hint="write parquet, arrow, csv or jsonl")


def _is_whole(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _write_parquet(file: IO[bytes], schema: pa.Schema, tables: Iterable[pa.Table], rows: int) -> None:
    from pyarrow import parquet

    del rows
    with parquet.ParquetWriter(file, schema) as writer:
        for table in _gather(tables, _ROW_GROUP):
            writer.write_table(table, row_group_size=_ROW_GROUP)


def _gather(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Put tables together until they have so many rows, as small row groups are slow to read."""
    import pyarrow as pa

    gathered, count = list[Any](), 0
    for table in tables:
        gathered.append(table)
        count += table.num_rows
        if count >= rows:
            yield pa.concat_tables(gathered)
            gathered, count = [], 0
    if gathered:
        yield pa.concat_tables(gathered)


def _write_arrow(file: IO[bytes], schema: pa.Schema, tables: Iterable[pa.Table], rows: int) -> None:
    import pyarrow as pa

    del rows
    with pa.ipc.new_file(file, schema) as writer:
        for table in tables:
            writer.write_table(table)


def _write_csv(file: IO[bytes], schema: pa.Schema, tables: Iterable[pa.Table], rows: int) -> None:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    del rows
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(schema.names)  # Arrow would quote every name
    file.write(header.getvalue().encode())
    options = arrow_csv.WriteOptions(include_header=False)
    for table in tables:
        body = pa.BufferOutputStream()
        arrow_csv.write_csv(_as_texts(table), body, options)
        file.write(body.getvalue())


def _as_texts(table: pa.Table) -> pa.Table:
    """Return a table whose cells Arrow writes as ``palate.codecs`` reads them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            texts = [None if cell is None else base64.b64encode(cell).decode() for cell in column.to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    if table.num_columns == 1 and table.column(0).null_count:
        # Written as nothing, a missing value would be a blank line, which is no row; in quotation marks it is one.
        texts = pc.fill_null(table.column(0).cast(pa.string()), "")
        table = pa.table({table.column_names[0]: texts})
    return table


def _write_json_lines(file: IO[bytes], schema: pa.Schema, tables: Iterable[pa.Table], rows: int) -> None:
    del schema, rows
    for table in tables:
        # By the batch, as a list of Python's objects takes many times the memory.
        for batch in table.to_batches(max_chunksize=10_000):
            lines = (json.dumps(plain(record), ensure_ascii=False) for record in batch.to_pylist())
            file.write("".join(f"{line}\n" for line in lines).encode())


def _write_npy(file: IO[bytes], schema: pa.Schema, tables: Iterable[pa.Table], rows: int) -> None:
    import numpy as np

    dtypes = [field.type.to_pandas_dtype() for field in schema]
    dtype = np.result_type(*dtypes)
    shape = (rows,) if len(schema) == 1 else (rows, len(schema))
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for table in tables:
        columns = [_numbers(column, dtype) for column in table.columns]
        file.write(np.ascontiguousarray(columns[0] if len(columns) == 1 else np.stack(columns, axis=1)).data)


def _numbers(column: pa.ChunkedArray, dtype: Any) -> Any:
    if column.null_count and dtype.kind != "f":
        reason = "predictions are missing, for which an array of whole numbers has no value"
        raise InvalidOption("output_format", reason=reason, hint="write parquet, arrow, csv or jsonl")
    return column.to_numpy().astype(dtype, copy=False)


_WRITERS: Final[dict[DataFormat, Callable[[IO[bytes], Any, Iterable[Any], int], None]]] = {
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "csv": _write_csv,
    "jsonl": _write_json_lines,
    "npy": _write_npy,
}
