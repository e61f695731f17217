"""Arrow IPC, files and streams, a record batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from palate.datasets._chunks import Place, TableChunk
from palate.datasets._files import DataFile
from palate.datasets._units import Columns, Unit, reading, require_unique, with_partition

__all__ = ["arrow_columns", "arrow_units"]

_MAGIC: Final = b"ARROW1"


def _open(file: DataFile) -> tuple[Any, Any]:
    """Return the source, and a reader of it: one of a file, whose batches have numbers, or of a stream."""
    import pyarrow as pa

    source = pa.memory_map(str(file.path)) if file.path is not None and file.size else pa.PythonFile(file.open(), "r")
    try:
        is_file = source.read(len(_MAGIC)) == _MAGIC
        source.seek(0)
        return source, (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source)
    except BaseException:
        source.close()
        raise


def arrow_columns(file: DataFile) -> tuple[str, ...]:
    """Return the names of a file's columns. Raises InvalidData."""
    with reading(file, "arrow"):
        source, reader = _open(file)
        with source:
            return tuple(reader.schema.names)


def arrow_units(file: DataFile) -> Iterator[Unit]:
    """Yield the record batches of a file or a stream. Raises InvalidData."""
    with reading(file, "arrow"):
        source, reader = _open(file)
    count = getattr(reader, "num_record_batches", None)  # which a stream does not tell
    row, done = 0, 0
    with source:
        for number, batch in enumerate(_batches(file, reader, count)):
            at = source.tell()
            size = max(at - done, 0) if count is None else file.size // count
            done = at
            read = partial(_read, file, batch, row)
            yield Unit(file=file.name, number=number, size=size, rows=batch.num_rows, read=read)
            row += batch.num_rows


def _batches(file: DataFile, reader: Any, count: int | None) -> Iterator[Any]:
    number = 0
    while count is None or number < count:
        with reading(file, "arrow"):
            try:
                batch = reader.read_next_batch() if count is None else reader.get_batch(number)
            except StopIteration:
                return
            # Offsets that lead out of the buffers are found here, and not by whoever follows them.
            batch.validate(full=True)
        yield batch
        number += 1


def _read(file: DataFile, batch: Any, row: int, columns: Columns, batch_rows: int) -> Iterator[TableChunk]:
    import pyarrow as pa

    require_unique(file, batch.schema.names)
    names = None if columns is None else [name for name in columns if name in batch.schema.names]
    rows = pa.Table.from_batches([batch if names is None else batch.select(names)])
    for start in range(0, rows.num_rows, batch_rows):
        part = with_partition(rows.slice(start, batch_rows), file, columns)
        yield TableChunk(part, Place(file.name, row + start))
