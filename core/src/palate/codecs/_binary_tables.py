"""Tables and arrays in binary forms: parquet, Arrow IPC, npy."""

from __future__ import annotations

import io
from tokenize import TokenError
from typing import Any

from palate.codecs._decimals import refuse_body
from palate.errors import DependencyMissing

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


def read_parquet(body: bytes) -> Any:
    """Return a parquet file as a pyarrow Table. Raises InvalidInput."""
    pyarrow = require_pyarrow("reading parquet")
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(body))
        table.validate(full=True)
    except (pyarrow.ArrowException, OSError, ValueError) as exc:
        raise refuse_body("the file is not parquet", exc) from exc
    return table


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
