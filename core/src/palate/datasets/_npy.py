"""Arrays in files of numpy's, mapped and read in ranges of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, Final

from palate.datasets._chunks import ArrayChunk, Place
from palate.datasets._files import DataFile
from palate.datasets._units import Columns, Unit, reading
from palate.errors import InvalidData

__all__ = ["npy_rows", "npy_units"]

_MOST_DIMENSIONS: Final = 32  # numpy's own limit, before it became 64
_UNIT_BYTES: Final = 16 << 20


def _read_header(file: DataFile, opened: IO[bytes]) -> tuple[tuple[int, ...], Any]:
    """Return shape and dtype, and leave *opened* where the rows begin."""
    import numpy as np

    version = np.lib.format.read_magic(opened)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(opened)
    if any(size < 0 for size in shape) or len(shape) > _MOST_DIMENSIONS:
        raise InvalidData(file.name, reason="its header tells of no array that there can be", hint="write it again")
    if not shape or dtype.hasobject or (fortran and len(shape) > 1):
        found = "a single value" if not shape else "pickled objects" if dtype.hasobject else "its columns one by one"
        hint = "save it with numpy.save(file, numpy.ascontiguousarray(array)), rows first, of numbers or texts"
        raise InvalidData(file.name, reason=f"it holds {found}", hint=hint)
    return shape, dtype


def npy_rows(file: DataFile) -> int:
    """Return how many rows an array has. Raises InvalidData."""
    with reading(file, "npy"), file.open() as opened:
        return _read_header(file, opened)[0][0]


def npy_units(file: DataFile) -> Iterator[Unit]:
    """Yield ranges of the rows of an array. Raises InvalidData."""
    with reading(file, "npy"), file.open() as opened:
        shape, dtype = _read_header(file, opened)
        start = opened.tell()
    row_bytes = _row_bytes(shape, dtype)
    if row_bytes * shape[0] != file.size - start or (shape[0] and not row_bytes):
        reason = f"its header tells of {row_bytes * shape[0]:,} bytes, and it has {file.size - start:,}"
        raise InvalidData(file.name, reason=reason, hint="write it again; it may have been cut off")
    rows = max(_UNIT_BYTES // max(row_bytes, 1), 1)
    for number, first in enumerate(range(0, shape[0], rows)):
        stop = min(first + rows, shape[0])
        read = partial(_read, file, dtype, (stop - first, *shape[1:]), start + first * row_bytes, first)
        yield Unit(file=file.name, number=number, size=(stop - first) * row_bytes, rows=stop - first, read=read)


def _row_bytes(shape: tuple[int, ...], dtype: Any) -> int:
    return math.prod(shape[1:]) * int(dtype.itemsize)


def _read(
    file: DataFile, dtype: Any, shape: tuple[int, ...], offset: int, row: int, columns: Columns, batch_rows: int
) -> Iterator[ArrayChunk]:
    import numpy as np

    del columns  # an array has none
    opened = file.open()
    with opened:
        opened.seek(offset)
        for start in range(0, shape[0], batch_rows):
            count = min(batch_rows, shape[0] - start)
            size = count * _row_bytes(shape, dtype)
            with reading(file, "npy"):
                body = opened.read(size)
            if len(body) != size:
                raise InvalidData(file.name, reason="it ended early", hint="see that nobody writes to it meanwhile")
            # Models may write into what they are given.
            cells = np.frombuffer(bytearray(body), dtype).reshape((count, *shape[1:]))
            yield ArrayChunk(cells, Place(file.name, row + start))
