"""Parquet, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from palate.datasets._chunks import Place, TableChunk
from palate.datasets._files import DataFile
from palate.datasets._units import Columns, Unit, reading, require_unique, with_partition

__all__ = ["parquet_columns", "parquet_rows", "parquet_units"]

_BUFFER: Final = 256 << 10  # of each column, while it is read


def _open(file: DataFile, footer: Any = None) -> Any:
    from pyarrow import parquet

    # A mapped file would count as memory of this process, and a disk that fails would end it. Unless told otherwise,
    # Arrow reads a row group as a whole, which may be gigabytes; of an object in a bucket, that is one request.
    if file.path is None:
        return parquet.ParquetFile(file.open(), metadata=footer, pre_buffer=True)
    return parquet.ParquetFile(file.path, metadata=footer, buffer_size=_BUFFER, pre_buffer=False)


def parquet_columns(file: DataFile) -> tuple[str, ...]:
    """Return the names of a file's columns. Raises InvalidData."""
    with reading(file, "parquet"), _open(file) as opened:
        return tuple(opened.schema_arrow.names)


def parquet_rows(file: DataFile) -> int:
    """Return how many rows a file has. Raises InvalidData."""
    with reading(file, "parquet"), _open(file) as opened:
        return int(opened.metadata.num_rows)


def parquet_units(file: DataFile) -> Iterator[Unit]:
    """Yield the row groups of a file; what one holds is read when it is asked for. Raises InvalidData."""
    with reading(file, "parquet"), _open(file) as opened:
        footer = opened.metadata
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    row, whole = 0, sum(group.total_byte_size for group in groups) or 1
    for number, group in enumerate(groups):
        # What the names of columns and pages take counts for the groups.
        size = file.size * group.total_byte_size // whole
        read = partial(_read, file, footer, number, row)
        yield Unit(file=file.name, number=number, size=size, rows=group.num_rows, read=read)
        row += group.num_rows


def _read(
    file: DataFile, footer: Any, number: int, row: int, columns: Columns, batch_rows: int
) -> Iterator[TableChunk]:
    import pyarrow as pa

    # Opened for each row group, as several of them may be read at once.
    with reading(file, "parquet"):
        opened = _open(file, footer)
    with opened:
        with reading(file, "parquet"):
            require_unique(file, opened.schema_arrow.names)
            names = None if columns is None else [name for name in columns if name in opened.schema_arrow.names]
            batches = opened.iter_batches(batch_rows, row_groups=[number], columns=names, use_threads=True)
        while True:
            with reading(file, "parquet"):
                batch = next(batches, None)
                if batch is None:
                    return
                rows = pa.Table.from_batches([batch])
                # Arrow takes names for paths: asked for 'a', it gives the column 'a.b' as well.
                rows = with_partition(rows if names is None else rows.select(names), file, columns)
            yield TableChunk(rows, Place(file.name, row))
            row += rows.num_rows
