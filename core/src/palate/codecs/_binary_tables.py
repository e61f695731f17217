"""Tables and arrays in binary forms: parquet, Arrow IPC, npy."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from tokenize import TokenError
from typing import Any, NamedTuple

from palate.codecs._decimals import refuse_body
from palate.errors import DependencyMissing, InvalidInput

__all__ = ["read_arrow", "read_npy", "read_parquet", "require_pandas", "require_pyarrow"]

# numpy reads a header as Python's own parser and, where that fails, its tokenizer do.
_NPY_ERRORS = (EOFError, MemoryError, OverflowError, RecursionError, SyntaxError, TokenError, TypeError, ValueError)


def require_pandas() -> Any:
    """Return pandas. Raises DependencyMissing."""
    try:
        import pandas as pd
    except ImportError as exc:
        raise DependencyMissing(
            "pandas", needed_for="reading a table for a model without a signature", install="palate[pandas]"
        ) from exc
    return pd


def require_pyarrow(needed_for: str) -> Any:
    """Return pyarrow. Raises DependencyMissing."""
    try:
        import pyarrow
    except ImportError as exc:
        raise DependencyMissing("pyarrow", needed_for=needed_for, install="palate[parquet]") from exc
    return pyarrow


def read_parquet(body: bytes, *, max_cells: int | None = None, max_bytes: int | None = None) -> Any:
    """Return a parquet file as a pyarrow Table.

    Args:
        body: the file.
        max_cells: how many cells it may have. A few bytes can tell of any number of equal ones.
        max_bytes: how many bytes the table may have, with each text as often as it is in it.

    Raises:
        InvalidInput: it is not parquet, or has more cells or bytes.
    """
    pyarrow = require_pyarrow("reading parquet")
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(body))
        metadata = file.metadata
        cells = metadata.num_rows * metadata.num_columns
        if max_cells is not None and cells > max_cells:
            raise refuse_body(f"it has {cells:,} cells, and {max_cells:,} are taken at once")
        table = file.read() if max_bytes is None else _read_within(file, body, max_bytes)
        table.validate(full=True)
    except InvalidInput:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as exc:
        raise refuse_body("the file is not parquet", exc) from exc
    return _refuse_valueless(table, body)


def _read_within(file: Any, body: bytes, max_bytes: int) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    _refuse_larger(sum(group.total_byte_size for group in groups), max_bytes)
    # Text is read as places in a list of texts: it is known how long it is before each is written out.
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type) or _is_binary(field.type)]
    table = parquet.ParquetFile(io.BytesIO(body), read_dictionary=texts).read()
    table.validate()
    _refuse_larger(_count_bytes(table), max_bytes)
    return table.cast(file.schema_arrow) if texts else table


def read_arrow(body: bytes, *, max_bytes: int | None = None) -> Any:
    """Return an Arrow IPC stream, or file, as a pyarrow Table that shares the memory of *body*.

    Args:
        body: the stream or the file.
        max_bytes: how many bytes the table may have: decompressed, and with each text as often as it is in it.

    Raises:
        InvalidInput: it is neither of these, or has more bytes.
    """
    pyarrow = require_pyarrow("reading Arrow")
    is_file = body.startswith(_MAGIC)
    try:
        if max_bytes is not None:
            _refuse_larger(_count_decompressed(pyarrow, body), max_bytes)
        with (pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream)(pyarrow.py_buffer(body)) as reader:
            table = reader.read_all()
        if max_bytes is not None:
            table.validate()
            _refuse_larger(_count_bytes(table), max_bytes)
        # Offsets that lead out of the buffers are found here, and not by whoever follows them.
        table.validate(full=True)
    except InvalidInput:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as exc:
        raise refuse_body("it is not an Arrow IPC stream or file", exc) from exc
    return _refuse_valueless(table, body)


def _refuse_larger(size: int, max_bytes: int | None) -> None:
    if max_bytes is not None and size > max_bytes:
        raise refuse_body(f"it has {size:,} bytes of values, and {max_bytes:,} are taken at once")


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary))


def _count_bytes(table: Any) -> int:
    """Return how many bytes a table has when each value is written out, as whoever takes its columns does."""
    return sum(_count_column(chunk) for column in table.columns for chunk in column.chunks)


def _count_column(chunk: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = chunk.type
    if pa.types.is_dictionary(kind):
        values = chunk.dictionary
        if not (pa.types.is_string(values.type) or _is_binary(values.type)):
            return len(chunk) * _widest(values)
        return pc.sum(pc.binary_length(values).take(chunk.indices)).as_py() or 0
    if pa.types.is_run_end_encoded(kind):
        return len(chunk) * _widest(chunk.values)
    if len(chunk) and (pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)):
        import numpy as np

        views = np.frombuffer(chunk.buffers()[1], "int32")[::4]  # the first of the four is the text's length
        return int(views[chunk.offset : chunk.offset + len(chunk)].sum(dtype="int64"))
    return chunk.nbytes  # type: ignore[no-any-return]


def _widest(values: Any) -> int:
    """Return how long one of the values may be."""
    try:
        return values.type.byte_width  # type: ignore[no-any-return]
    except ValueError:  # of no fixed width
        return values.nbytes  # type: ignore[no-any-return]


# -- the lengths in Arrow's messages -----------------------------------------------------------------------------------


def _count_decompressed(pyarrow: Any, body: bytes) -> int:
    """Return how many bytes the buffers of an IPC stream or file say they have when decompressed (Message.fbs)."""
    whole = pyarrow.py_buffer(body)
    if body.startswith(_MAGIC):
        messages = (pyarrow.ipc.read_message(whole.slice(place)) for place in _find_batches(body))
    else:
        messages = pyarrow.ipc.MessageReader.open_stream(whole)
    try:
        return sum(_count_message(memoryview(message.metadata), message.body) for message in messages)
    except (struct.error, IndexError, EOFError) as exc:
        raise refuse_body("it is not an Arrow IPC stream or file", exc) from exc


def _find_batches(body: bytes) -> Iterator[int]:
    """Yield where the batches of a file are, by what stands at its end (File.fbs, Footer and Block)."""
    end = len(body) - len(_MAGIC) - 4
    start = end - _number("<i", body, end)
    footer = _Table(body, start + _number("<I", body, start))
    for blocks in (2, 3):  # dictionaries, record batches
        for place in footer.items(blocks, 24):
            yield _number("<q", body, place)


_MAGIC = b"ARROW1"
_DICTIONARY, _RECORDS = 2, 3


def _count_message(metadata: memoryview, buffers: Any) -> int:
    message = _Table(metadata, _number("<I", metadata, 0))
    kind = message.number(1, "<B")
    batch = message.table(2) if kind in (_DICTIONARY, _RECORDS) else None
    if kind == _DICTIONARY and batch is not None:
        batch = batch.table(1)
    if batch is None or batch.table(3) is None:  # it is not compressed
        return 0
    values = memoryview(buffers)
    places = [_number("<q", metadata, place) for place in batch.items(2, 16) if _number("<q", metadata, place + 8)]
    return sum(max(_number("<q", values, place), 0) for place in places)


def _number(form: str, data: Any, place: int) -> int:
    if place < 0:
        raise IndexError
    found: int = struct.unpack_from(form, data, place)[0]
    return found


class _Table(NamedTuple):
    """A table of flatbuffers, whose fields are found by their number."""

    data: bytes | memoryview
    place: int

    def _field(self, number: int) -> int | None:
        fields = self.place - _number("<i", self.data, self.place)
        slot = 4 + 2 * number
        offset = _number("<H", self.data, fields + slot) if slot < _number("<H", self.data, fields) else 0
        return self.place + offset if offset else None

    def number(self, number: int, form: str) -> int:
        found = self._field(number)
        return 0 if found is None else _number(form, self.data, found)

    def table(self, number: int) -> _Table | None:
        found = self._field(number)
        return None if found is None else _Table(self.data, found + _number("<I", self.data, found))

    def items(self, number: int, size: int) -> range:
        """Return where the items of a vector are, each of so many bytes."""
        found = self._field(number)
        if found is None:
            return range(0)
        start = found + _number("<I", self.data, found)
        return range(start + 4, start + 4 + size * _number("<I", self.data, start), size)


def _refuse_valueless(table: Any, body: bytes) -> Any:
    """Return the table, unless columns without a bit for each row have more rows than *body* has bits."""
    valueless = sum(8 * column.nbytes < table.num_rows for column in table.columns)
    if table.num_rows * (valueless or not table.num_columns) > 8 * len(body):
        raise refuse_body("it tells of more rows without values than it has bits")
    return table


def read_npy(body: bytes) -> Any:
    """Return the array of a npy file, never of pickled objects. Raises InvalidInput."""
    import numpy as np

    file = io.BytesIO(body)
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
    except _NPY_ERRORS as exc:
        raise refuse_body("it is not an array in npy form", exc) from exc
    if file.read(1):
        raise refuse_body("something follows the array")
    # Items of no bytes, and rows of no columns, cost nothing here and anything later.
    if max(array.shape, default=0) > len(body):
        raise refuse_body("its shape tells of more rows than the file has bytes")
    return array
