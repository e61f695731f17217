"""One output of a model as an ndarray: arrays, tensors, sparse matrices, lists, scalars and columns of frames."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import Any

from palate._containers.arrays import object_array, tensor_array
from palate._containers.arrow import fixed_size_array
from palate._containers.exactness import is_missing
from palate._containers.kinds import (
    is_array_like,
    is_ndarray,
    is_polars,
    is_scalar,
    is_series,
    is_sparse,
    loaded_types,
    speaks_arrow,
)
from palate._containers.unfit import Unfit, ask_package
from palate._containers.wrapped import plain_values
from palate._outputs.equality import are_same
from palate._outputs.reading import arrow_items, polars_items

__all__ = ["column_array", "dimensions", "is_column", "plain_array", "refuse_endless"]


def is_column(value: object) -> bool:
    """Tell whether *value* is one column: a Series of pandas or polars, an Array or ChunkedArray of pyarrow."""
    if is_series(value) or is_polars(value):
        return not hasattr(value, "get_columns")
    return speaks_arrow(value) and hasattr(value, "null_count")


def dimensions(value: Any) -> int:
    """Return how many dimensions an array, tensor or sparse matrix has; 0 for everything else."""
    return len(value.shape) if is_ndarray(value) or is_sparse(value) or is_array_like(value) else 0


def plain_array(value: Any) -> Any:
    """Return one output as an ndarray, uncopied where it holds one already.

    Items of lists keep their types: a list that no array of numbers or truth values holds exactly becomes an array of
    objects.

    Raises:
        Unfit: numpy has no form for it, or it has masked values, which would come to light.
    """
    import numpy as np

    if is_ndarray(value):
        if np.ma.is_masked(value):
            raise Unfit("missing", "they hold masked values, which only numpy's masked arrays can show")
        return np.asarray(value)
    if is_sparse(value):
        return value.toarray()
    if isinstance(value, list | tuple):
        return _list_array(list(value))
    if isinstance(value, str | bytes):
        return np.asarray(value, dtype=object)  # numpy's own types of text drop NUL at the end
    if is_scalar(value):
        return np.asarray(value)
    if is_column(value):
        return column_array(value)
    if is_array_like(value):
        return tensor_array(value)
    raise Unfit("wrong_type", f"{type(value).__name__} is neither an array nor a table")


def _list_array(items: list[Any]) -> Any:
    import numpy as np

    refuse_endless(items)
    if any(kind.__module__ != "builtins" and not issubclass(kind, np.generic) for kind in set(map(type, items))):
        items = [plain_array(item) if dimensions(item) else item for item in items]
        if (stacked := _stack(items)) is not None:
            return stacked
    try:
        leaves = np.asarray(items, dtype=object)
        kinds = set(map(type, leaves.flat))
        # In numpy's own type each text would be as wide as the longest.
        has_text = any(issubclass(kind, str | bytes) for kind in kinds)
        numbers = leaves if has_text else np.asarray(items)
    except (ValueError, OverflowError):  # rows of unequal length
        return object_array(items)
    if numbers.shape != leaves.shape:
        return object_array(items)
    if numbers.dtype.kind in "mM":
        # The times of an array among the items are integers in leaves.
        return numbers if are_same(list(leaves.flat), list(numbers.flat)) else object_array(items)
    return numbers if _are_equal(leaves, numbers, kinds) else leaves


def _stack(items: list[Any]) -> Any:
    """Return arrays of one dtype and shape as one array; those of times as objects if not; None for all other items."""
    import numpy as np

    arrays = [item for item in items if is_ndarray(item)]
    if len(arrays) == len(items) and len({(array.dtype, array.shape) for array in arrays}) == 1:
        return np.stack(arrays)
    # Together with other items, numpy would make integers of times.
    return object_array(items) if any(array.dtype.kind in "mM" for array in arrays) else None


# As many as a numpy array can have.
_MOST_DIMENSIONS = 64


def refuse_endless(items: list[Any]) -> None:
    """Raise Unfit for lists, dicts and arrays of objects that hold themselves.

    numpy makes as many dimensions of such a list as it can, and pyarrow and polars crash over it.
    """
    level: list[Any] = [items]
    for _ in range(_MOST_DIMENSIONS):
        parts = [_parts(part) for part in level]
        kinds = set(map(type, chain.from_iterable(parts)))
        holders = {kind for kind in kinds if issubclass(kind, (list, tuple, dict, *loaded_types("numpy", "ndarray")))}
        if not holders:
            return
        # Each once, however often it is held.
        inner = {id(item): item for item in chain.from_iterable(parts) if type(item) in holders}
        level = [item for item in inner.values() if not is_ndarray(item) or item.dtype == object]
    raise Unfit("wrong_shape", f"they hold a list that holds itself, or is nested deeper than {_MOST_DIMENSIONS}")


def _parts(holder: Any) -> Collection[Any]:
    if isinstance(holder, dict):
        return holder.values()
    parts: list[Any] = holder.ravel().tolist() if is_ndarray(holder) else holder
    return parts


_EXACT = {float: "f", int: "iu", bool: "b"}


def _are_equal(leaves: Any, array: Any, kinds: set[type]) -> bool:
    """Tell whether numpy kept each number: it joins [True, 2] to integers, and [0.5, 2**53 + 1] to rounded floats."""
    if array.dtype.kind not in "biufc":
        return False
    if len(kinds) == 1:
        kind = next(iter(kinds))
        if array.dtype.kind in _EXACT.get(kind, "") or array.dtype.type is kind:
            return True
    found = array.ravel().tolist()
    if kinds <= {int, float, complex}:  # for which this is quicker
        return all(a == b or a != a for a, b in zip(leaves.flat, found, strict=True))
    return are_same(list(leaves.flat), found)


# -- columns of frames -------------------------------------------------------------------------------------------------


def column_array(column: Any) -> Any:
    """Return a column of pandas, polars or pyarrow as an ndarray, uncopied where it is one in memory.

    Missing values are NaN among floats and NaT among times, otherwise None in an array of objects. Times with a zone
    are in UTC, categories are their values.
    """
    if is_series(column):
        return _series_array(column)
    return _polars_array(column) if is_polars(column) else _arrow_array(column)


def _series_array(series: Any) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return _category_array(pd, series)
    if isinstance(series.dtype, pd.ArrowDtype):
        return _arrow_array(series.array.__arrow_array__())
    values, missing = plain_values(series)
    if series.dtype == object:
        return values
    if values.dtype == object:  # text
        return object_array([None if is_missing(value) else value for value in values])
    if missing is None or not missing.any():
        return values
    gap = np.nan if values.dtype.kind == "f" else None
    filled = values if gap is not None else values.astype(object)
    filled[missing] = gap
    return filled


def _category_array(pd: Any, series: Any) -> Any:
    import numpy as np

    values, codes = column_array(pd.Series(series.cat.categories)), series.cat.codes.to_numpy()
    if not (codes < 0).any():
        return values[codes]
    gap = {"f": np.nan, "M": "NaT", "m": "NaT"}.get(values.dtype.kind)
    # A gap has the code -1, by which numpy takes the last.
    choices = np.empty(len(values) + 1, dtype=object if gap is None else values.dtype)
    choices[:-1], choices[-1] = values, gap
    return choices[codes]


def _polars_array(series: Any) -> Any:
    import polars as pl

    kind = series.dtype
    if kind.is_nested():
        # In numpy polars has structs as rows of a matrix, and lists as arrays.
        return _polars_cells(series)
    if kind == pl.Time or (series.null_count() and not (kind.is_float() or kind.is_temporal())):
        return object_array(polars_items(series))
    return ask_package("numpy", series.to_numpy)


def _polars_cells(series: Any) -> Any:
    """Return a nested column: Arrays of numbers as an array, all else as one of objects."""
    flat, shape = series, getattr(series.dtype, "shape", ())
    for _ in shape:
        flat = flat.explode()
    if not shape or flat.null_count() or not flat.dtype.is_numeric():
        return object_array(polars_items(series))
    return flat.to_numpy().reshape(len(series), *shape)


def _arrow_array(column: Any) -> Any:
    import pyarrow as pa

    chunks, kind = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column]), column.type
    if (array := fixed_size_array(chunks)) is not None:
        return array
    if pa.types.is_dictionary(kind):  # a null among its values is none that pyarrow counts
        return _arrow_array(ask_package("numpy", chunks.cast, kind.value_type))
    if pa.types.is_nested(kind) or (column.null_count and not _shows_gaps(pa, kind)):
        return object_array(arrow_items(chunks))
    return ask_package("numpy", chunks.to_numpy)


def _shows_gaps(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_temporal(kind))
