"""Named columns as a DataFrame of pandas or polars, or as a pyarrow Table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from palate._containers.arrays import object_array
from palate._containers.arrow import holds_objects, to_arrow
from palate._containers.exactness import cast_array, is_missing
from palate._containers.frames import arrow_to_frame, require_pandas
from palate._containers.kinds import is_arrow, is_dataframe, is_ndarray, is_polars, is_series, loaded_types
from palate._containers.unfit import Unfit, ask_package
from palate._outputs.arrays import is_column, refuse_endless
from palate._outputs.columns import Columns
from palate._outputs.equality import are_same, nulls_as_none
from palate._outputs.mixed_times import refuse_mixed_times
from palate._outputs.reading import arrow_items, refuse_lost_times, refuse_wrapped_times
from palate.errors import DependencyMissing

__all__ = ["to_arrow_table", "to_pandas_frame", "to_polars_frame"]


def _require(package: str, extra: str, needed_for: str) -> Any:
    try:
        return import_module(package)
    except ImportError as exc:
        raise DependencyMissing(package, needed_for=needed_for, install=f"palate[{extra}]") from exc


# -- pandas ------------------------------------------------------------------------------------------------------------


def to_pandas_frame(columns: Columns) -> Any:
    """Return a pandas DataFrame, the same object if it is one with these names.

    Cells of more than one dimension are nested lists. Integers with gaps are Int64, never floats.

    Raises:
        DependencyMissing: pandas is not installed, or pyarrow, which frames of polars and Arrow need.
        Unfit: pandas has no type for a column.
    """
    pd, frame, names = require_pandas(), columns.frame, columns.names
    if is_dataframe(frame):
        return frame if frame.columns.tolist() == names else frame.set_axis(names, axis=1)
    if frame is not None:
        return _from_arrow(to_arrow_table(columns))
    if len(columns.cells) == 1 and is_series(columns.cells[0]):
        return columns.cells[0].to_frame(names[0])
    if columns.matrix is not None and columns.matrix.dtype.kind in "biufc":
        return pd.DataFrame(columns.matrix, columns=names, copy=False)
    cells = {name: _pandas_column(pd, cells) for name, cells in zip(names, columns.split(), strict=True)}
    return ask_package("pandas", pd.DataFrame, cells, index=columns.index, copy=False)


def _from_arrow(table: Any) -> Any:
    for column in table.columns:
        refuse_lost_times(column)
    return arrow_to_frame(table)


def _pandas_column(pd: Any, cells: Any) -> Any:
    """Return a column without an index, by which pandas would align it."""
    import numpy as np

    if is_series(cells):
        return cells.array
    if not is_ndarray(cells):
        return _from_arrow(_as_table(cells)).iloc[:, 0].array
    if cells.ndim > 1:
        # Python's own times, since the items of an array of nanoseconds are integers.
        inner = cast_array(cells, np.dtype(f"{cells.dtype.kind}8[us]")) if cells.dtype.kind in "mM" else cells
        return object_array(inner.tolist())
    if cells.dtype.kind in "mM" and np.datetime_data(cells.dtype)[0] in ("ps", "fs", "as"):
        return cast_array(cells, np.dtype(f"{cells.dtype.kind}8[ns]"))  # pandas would cut them off
    return _infer(pd, cells.tolist()) if cells.dtype.kind in "OT" else cells


def _infer(pd: Any, items: list[Any]) -> Any:
    """Return values in the type that pandas has for them, if it keeps them all, otherwise as objects."""
    cells = pd.Series(items, dtype=object).array
    values = _without_gaps(items)
    gaps = {type(item) for item, value in zip(items, values, strict=True) if value is None}
    kinds = set(map(type, values)) - {type(None)}
    if len(gaps) > 1 or (kinds == {int} and float in gaps):
        return cells  # only objects tell NaN from None
    try:
        typed = pd.array(items, dtype="Int64") if kinds == {int} else pd.Series(cells).infer_objects().array
    except (OverflowError, TypeError, ValueError):  # integers that are no int64; text that is no Unicode
        return cells
    is_kept = typed.dtype.kind == "O" or are_same(values, _without_gaps(typed.tolist()))
    return typed if is_kept else cells


_NEVER_MISSING = frozenset({bool, int, str, bytes, list, tuple, dict, type(None)})


def _without_gaps(items: list[Any]) -> list[Any]:
    if set(map(type, items)) <= _NEVER_MISSING:
        return items
    return [None if is_missing(item) else item for item in items]


# -- Arrow -------------------------------------------------------------------------------------------------------------


def to_arrow_table(columns: Columns) -> Any:
    """Return a pyarrow Table, the same object if it is one with these names.

    Cells of more than one dimension are lists of a fixed size. NaN stays NaN, except among pandas' own missing values.

    Raises:
        DependencyMissing: pyarrow is not installed.
        Unfit: pyarrow has no type for a column, or none that keeps each of its values.
    """
    pa = _require("pyarrow", "parquet", "A pyarrow Table")
    if columns.frame is None or is_dataframe(columns.frame):
        arrays = [_arrow_column(pa, cells) for cells in columns.split()]
        return pa.Table.from_arrays(arrays, names=columns.names)
    table = _as_table(columns.frame)
    if table.column_names == columns.names:
        return table
    # pandas' notes in the metadata speak of the old names.
    return table.rename_columns(columns.names).replace_schema_metadata(None)


def _as_table(data: Any) -> Any:
    """Return a frame or column of polars or Arrow as a pyarrow Table. Raises Unfit."""
    if is_column(data) and not is_polars(data):
        import pyarrow as pa

        return pa.table({"": data})  # structs are one column here
    return to_arrow(data)


def _arrow_column(pa: Any, cells: Any) -> Any:
    cells = _with_nanoseconds(cells)
    if is_series(cells):
        if cells.dtype == object:
            return _objects("pyarrow", pa.array, arrow_items, _without_gaps(cells.tolist()))
        if not _is_plain(cells):
            return ask_package("pyarrow", pa.array, cells, from_pandas=True)
        cells = cells.to_numpy()
    if not is_ndarray(cells):
        return _as_table(cells).column(0)
    if cells.dtype.kind in "OTUS":  # text of numpy's own ends for pyarrow at the first NUL
        return _objects("pyarrow", pa.array, arrow_items, cells.tolist())
    values = ask_package("pyarrow", pa.array, _portable(cells.reshape(-1)))
    if 0 in cells.shape[1:]:
        kind = values.type
        for size in reversed(cells.shape[1:]):
            kind = pa.list_(kind, size)
        return pa.array(cells.tolist(), kind)
    for size in reversed(cells.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    return values


def _with_nanoseconds(cells: Any) -> Any:
    """Return objects of pandas' that have nanoseconds, which other packages cut off, as a Series of their own type."""
    if not hasattr(cells, "dtype") or cells.dtype != object or cells.ndim > 1:
        return cells
    times = loaded_types("pandas", "Timestamp", "Timedelta")
    items = cells.tolist()
    if not any(issubclass(kind, times) for kind in set(map(type, items))):
        return cells
    if not any(getattr(item, "nanosecond", 0) or getattr(item, "nanoseconds", 0) for item in items):
        return cells
    pd = require_pandas()
    return pd.Series(_infer(pd, items))


def _objects(package: str, make: Callable[[list[Any]], Any], read: Callable[[Any], list[Any]], items: list[Any]) -> Any:
    """Return Python objects as a column of a package. Raises Unfit where what it reads back is not the same."""
    refuse_endless(items)
    values = nulls_as_none(items)
    if package == "pyarrow":
        refuse_mixed_times(values)
    column = ask_package(package, make, values)
    if not are_same(values, read(column)):
        message = f"{package} has one type for all values of a column, and none that keeps each of these"
        raise Unfit("wrong_value", message)
    return column


def _is_plain(series: Any) -> bool:
    """Tell whether a pandas column is an ndarray of numbers, truth values or times."""
    import numpy as np

    return isinstance(series.dtype, np.dtype) and series.dtype.kind in "biufcmM"


def _portable(array: Any) -> Any:
    """Return an array in the byte order and the units of time that every package knows. Raises Unfit."""
    import numpy as np

    if array.dtype.kind in "mM":
        unit, _ = np.datetime_data(array.dtype)
        days = array.dtype.kind == "M" and unit in ("Y", "M", "W", "D")
        known = "D" if days else unit if unit in ("ms", "us", "ns") else "ms" if unit in _COARSE else "ns"
        cast = cast_array(array, np.dtype(f"{array.dtype.kind}8[{known}]"))
        # Both Arrow and polars count days in 32 bits.
        if days and not ((np.abs(cast.astype(np.int64)) < 2**31) | np.isnat(cast)).all():
            raise Unfit("wrong_value", "they hold days too far from 1970")
        return cast
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


_COARSE = ("Y", "M", "W", "D", "h", "m", "s")

# -- polars ------------------------------------------------------------------------------------------------------------


def to_polars_frame(columns: Columns) -> Any:
    """Return a polars DataFrame, the same object if it is one with these names.

    Cells of more than one dimension are of the type Array. NaN stays NaN, except among pandas' own missing values.

    Raises:
        DependencyMissing: polars is not installed, or pyarrow, which pandas' nullable and categorical columns need.
        Unfit: polars has no type for a column, or none that keeps each of its values.
    """
    pl = _require("polars", "polars", "A polars DataFrame")
    if is_polars(columns.frame) and columns.frame.columns == columns.names:
        return columns.frame
    if is_arrow(columns.frame):
        return _polars_from_arrow(pl, to_arrow_table(columns))
    pairs = zip(columns.names, columns.split(), strict=True)
    frame = pl.DataFrame([_polars_column(pl, name, cells) for name, cells in pairs])
    if unknown := [name for name, kind in frame.schema.items() if holds_objects(kind)]:
        raise Unfit("wrong_type", f"polars has no type for the values of {', '.join(unknown[:10])}")
    return frame


def _polars_column(pl: Any, name: str, cells: Any) -> Any:
    if is_polars(cells):
        return cells.alias(name)
    cells = _with_nanoseconds(cells)
    if is_series(cells):
        if not _is_plain(cells):
            return _polars_from_series(pl, name, cells)
        cells = cells.to_numpy()
    if not is_ndarray(cells):
        return _polars_from_arrow(pl, _as_table(cells)).to_series().alias(name)
    if cells.dtype.kind in "OT":
        return _polars_objects(pl, name, cells.tolist())
    return ask_package("polars", pl.Series, name, _portable(cells))


def _polars_from_arrow(pl: Any, table: Any) -> Any:
    for column in table.columns:
        refuse_wrapped_times(column)
    return ask_package("polars", pl.from_arrow, table)


def _polars_objects(pl: Any, name: str, items: list[Any]) -> Any:
    # Python has no nanoseconds, so that those that polars keeps count as changed.
    return _objects("polars", partial(pl.Series, name), lambda series: ask_package("Python", series.to_list), items)


def _polars_from_series(pl: Any, name: str, series: Any) -> Any:
    import pandas as pd

    if series.dtype == object or isinstance(series.dtype, pd.StringDtype):
        return _polars_objects(pl, name, _without_gaps(series.tolist()))
    if isinstance(series.dtype, pd.PeriodDtype | pd.IntervalDtype):
        raise Unfit("wrong_type", f"polars has no type for the values of {name}")
    _require("pyarrow", "parquet", f"A column of the type {series.dtype}")
    return ask_package("polars", pl.from_pandas, series.rename(name))
