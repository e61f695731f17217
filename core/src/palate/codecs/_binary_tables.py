"""Tables and arrays in binary forms: parquet, Arrow IPC, npy."""

from __future__ import annotations

import io
from tokenize import TokenError
from typing import Any

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


def read_parquet(body: bytes, *, max_cells: int | None = None) -> Any:
    """Return a parquet file as a pyarrow Table.

    Args:
        body: the file.
        max_cells: how many cells it may have. A few bytes can tell of any number of equal ones.

    Raises:
        InvalidInput: it is not parquet, or has more cells.
    """
    pyarrow = require_pyarrow("reading parquet")
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(body))
        cells = file.metadata.num_rows * file.metadata.num_columns
        if max_cells is not None and cells > max_cells:
            raise refuse_body(f"it has {cells:,} cells, and {max_cells:,} are taken at once")
        table = file.read()
        table.validate(full=True)
    except InvalidInput:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as exc:
        raise refuse_body("the file is not parquet", exc) from exc
    return _refuse_valueless(table, body)


def read_arrow(body: bytes) -> Any:
    """Return an Arrow IPC stream, or file, as a pyarrow Table that shares the memory of *body*. Raises InvalidInput."""
    pyarrow = require_pyarrow("reading Arrow")
    is_file = body.startswith(b"ARROW1")
    try:
        with (pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream)(pyarrow.py_buffer(body)) as reader:
            table = reader.read_all()
        # Offsets that lead out of the buffers are found here, and not by whoever follows them.
        table.validate(full=True)
    except (pyarrow.ArrowException, OSError, ValueError) as exc:
        raise refuse_body("it is not an Arrow IPC stream or file", exc) from exc
    return _refuse_valueless(table, body)


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
