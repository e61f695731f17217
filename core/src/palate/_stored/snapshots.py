"""What a model predicted, as JSON with which a later prediction is compared.

A snapshot says what a prediction holds, not which class held it: the widths of numbers, pandas' ways to hold text and
missing values, and the units of datetimes change between releases that predict the same. It is never turned back into
a prediction, so that a stored one, which may be hostile, is nothing but text and numbers to compare with.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from palate._containers.exactness import cast_array
from palate._containers.kinds import (
    is_arrow,
    is_dataframe,
    is_ndarray,
    is_numpy_scalar,
    is_polars,
    is_series,
    is_sparse,
)
from palate._containers.unfit import Unfit
from palate._containers.wrapped import plain_values
from palate.errors import InvalidExample, Problem

__all__ = ["JSON", "Document", "snapshot", "tolerance_of"]

JSON: TypeAlias = Any
Document: TypeAlias = dict[str, Any]

_MAX_DEPTH = 64
# (rtol, atol) by the bytes of a float: what other BLAS libraries, CPUs and releases make of the same sum.
_TOLERANCES = {2: (1e-2, 1e-3), 4: (1e-4, 1e-6), 8: (1e-7, 1e-9)}
_HOLDS = {
    "b": "booleans",
    "i": "integers",
    "u": "integers",
    "f": "numbers",
    "c": "complex numbers",
    "U": "text",
    "T": "text",
    "S": "bytes",
    "M": "datetimes",
    "m": "durations",
}
_TEXTS: dict[type, Callable[[Any], str]] = {  # datetime before date, which it is a subclass of
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    datetime: lambda value: str(value.isoformat()),
    date: date.isoformat,
    time: time.isoformat,
    timedelta: str,
    Decimal: str,
}
# The bytes of the floats of polars and Arrow; Arrow's float is the one of 32 bits.
_FLOATS = {"halffloat": 2, "double": 8, "Float16": 2, "Float32": 4, "Float64": 8, "float": 4}


def snapshot(value: object) -> JSON:
    """Return what *value* holds, as JSON data without NaN or infinity.

    Raises:
        InvalidExample: it holds something that has no plain form; the message names the type.
    """
    return _snapshot(value, 0)


def tolerance_of(document: JSON) -> tuple[float, float]:
    """Return the relative and absolute tolerance that the least exact floats in a snapshot call for."""
    return _TOLERANCES[min(_float_sizes(document), default=8)]


def _float_sizes(document: JSON) -> set[int]:
    if isinstance(document, list):
        return set().union(*(_float_sizes(item) for item in document if isinstance(item, list | dict)))
    if not isinstance(document, dict):
        return set()
    if "bytes" in document:
        return {min(document["bytes"], 8)}
    return set() if document.get("holds", "objects") != "objects" else _float_sizes(list(document.values()))


def _unsupported(what: str) -> InvalidExample:
    return InvalidExample([Problem((), "wrong_type", f"{what} cannot be stored as JSON")])


def _snapshot(value: Any, depth: int) -> JSON:
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth > _MAX_DEPTH:  # it is cyclic
        raise _unsupported(f"a value nested deeper than {_MAX_DEPTH}")
    if isinstance(value, list):
        return _items(value, depth)
    if isinstance(value, tuple):
        return {"kind": "tuple", "items": _items(value, depth)}
    if isinstance(value, dict):
        # Pairs keep keys that are not text.
        return {"kind": "dict", "items": [_items(pair, depth) for pair in value.items()]}
    if is_ndarray(value):
        return {"kind": "array", "shape": list(value.shape), **_block(value, depth)}
    if is_dataframe(value) or is_series(value):
        return _pandas(value, depth)
    if is_polars(value) or is_arrow(value):
        return _table(value, depth)
    return _sparse(value) if is_sparse(value) else _scalar(value, depth)


def _items(values: Iterable[Any], depth: int) -> list[JSON]:
    return [_snapshot(value, depth + 1) for value in values]


def _scalar(value: Any, depth: int) -> JSON:
    import numpy

    if is_numpy_scalar(value) and value.dtype.kind in "biuUS":
        return _snapshot(value.item(), depth + 1)
    if is_numpy_scalar(value) or isinstance(value, float | complex):
        return {"kind": "scalar", **_block(numpy.asarray(value), depth)}
    if type(value).__name__ in ("NaTType", "NAType"):
        return {"kind": type(value).__name__.removesuffix("Type"), "value": None}
    for kind, text in _TEXTS.items():
        if isinstance(value, kind):
            return {"kind": kind.__name__, "value": text(value)}
    raise _unsupported(f"a value of the type {type(value).__module__}.{type(value).__qualname__}")


# -- arrays ------------------------------------------------------------------------------------------------------------


def _block(array: Any, depth: int) -> Document:
    """Return what an array holds, and its items in a row."""
    flat, kind = array.reshape(-1), array.dtype.kind
    if kind == "O":
        items = _items(flat.tolist(), depth)
        is_text = bool(items) and all(isinstance(item, str) for item in items)
        return {"holds": "text" if is_text else "objects", "data": items}
    if kind not in _HOLDS:
        raise _unsupported(f"an array of the dtype {array.dtype}")
    block: Document = {"holds": _HOLDS[kind]}
    if kind in "fc":
        block["bytes"] = array.dtype.itemsize // (2 if kind == "c" else 1)
    return {**block, "data": _flat_items(flat, kind)}


def _flat_items(flat: Any, kind: str) -> list[Any]:
    import numpy

    if kind == "c":
        return [list(pair) for pair in zip(_flat_items(flat.real, "f"), _flat_items(flat.imag, "f"), strict=True)]
    if kind == "f":
        with numpy.errstate(over="ignore"):
            numbers = flat.astype(numpy.float64)
        items = list(numbers.tolist())
        return items if numpy.isfinite(numbers).all() else list(map(_number, items))
    if kind in "mM":
        flat, missing = _in_common_unit(flat), numpy.isnat(flat)
        told = numpy.datetime_as_string(flat) if kind == "M" else flat.astype(numpy.int64)
        return [None if gone else item for item, gone in zip(told.tolist(), missing, strict=True)]
    if kind == "S":
        return [item.decode("latin-1") for item in flat.tolist()]
    return list(flat.tolist())


def _number(value: float) -> float | str:
    # JSON has no words for infinity and NaN; float() and numpy read these.
    return value if math.isfinite(value) else repr(value)


def _in_common_unit(moments: Any) -> Any:
    """Return datetimes or durations in nanoseconds; in a coarser unit, or their own, where these do not reach."""
    import numpy

    for unit in ("ns", "us", "s"):
        try:
            return cast_array(moments, numpy.dtype(f"{moments.dtype.kind}8[{unit}]"))
        except Unfit:
            continue
    return moments


def _sparse(value: Any) -> Document:
    if len(value.shape) != 2:
        raise _unsupported("a sparse array that is no matrix")
    matrix = value.tocsr(copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    places = {"ends": matrix.indptr.tolist(), "columns": matrix.indices.tolist()}
    shape = [int(size) for size in matrix.shape]
    return {"kind": "sparse matrix", "shape": shape, "places": places, **_block(matrix.data, 0)}


# -- frames ------------------------------------------------------------------------------------------------------------


def _pandas(value: Any, depth: int) -> Document:
    is_frame = hasattr(value, "columns")
    labels = list(value.index)
    series = [value.iloc[:, position] for position in range(value.shape[1])] if is_frame else [value]
    return {
        "kind": "pandas DataFrame" if is_frame else "pandas Series",
        "rows": len(labels),
        "index": None if labels == list(range(len(labels))) else _items(labels, depth),
        "columns": [_pandas_column(column, depth) for column in series],
    }


def _pandas_column(column: Any, depth: int) -> Document:
    missing = column.isna().to_numpy(dtype=bool)
    block = _block(plain_values(column[~missing])[0], depth)
    if hasattr(column.dtype, "categories"):
        block["categories"] = True
    return {"name": _snapshot(column.name, depth), **block, "data": _with_gaps(block["data"], missing.tolist())}


def _with_gaps(present: list[Any], missing: list[bool]) -> list[Any]:
    rest = iter(present)
    return [None if gone else next(rest) for gone in missing]


def _table(value: Any, depth: int) -> Document:
    """Return a frame of polars or Arrow by its columns."""
    if is_arrow(value):
        kind, columns = "Arrow table", zip(value.schema.names, value.columns, strict=True)
        parts = [(name, str(column.type), column.to_pylist()) for name, column in columns]
    else:
        kind = f"polars {type(value).__name__}"
        series = value.get_columns() if hasattr(value, "get_columns") else [value]
        parts = [(column.name, str(column.dtype), column.to_list()) for column in series]
    documents = [_table_column(name, kind, items, depth) for name, kind, items in parts]
    return {"kind": kind, "rows": len(value), "index": None, "columns": documents}


def _table_column(name: str, kind: str, items: list[Any], depth: int) -> Document:
    import numpy

    present = [item for item in items if item is not None]
    size = next((size for word, size in _FLOATS.items() if word in kind), None)
    if kind in _FLOATS:
        block = _block(numpy.array(present, dtype=f"f{size}"), depth)
    else:
        block = {"holds": _table_contents(kind), "data": _items(present, depth)}
        if size is not None:  # lists of floats
            block["bytes"] = size
    return {"name": name, **block, "data": _with_gaps(block["data"], [item is None for item in items])}


def _table_contents(kind: str) -> str:
    """Return a type's name without its width, in the words that arrays have for it."""
    word = kind.lower().rstrip("0123456789").replace("uint", "int").replace("large_", "")
    return {"int": "integers", "bool": "booleans", "boolean": "booleans", "string": "text"}.get(word, word)
