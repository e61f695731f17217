"""Named columns as a DataFrame of pandas or polars, or as a pyarrow Table."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from palate._containers.arrow import to_arrow
from palate._containers.exactness import cast_array, is_missing
from palate._containers.frames import arrow_to_frame, require_pandas
from palate._containers.kinds import is_arrow, is_dataframe, is_polars, is_series
from palate._containers.unfit import Unfit, ask_package
from palate._outputs.arrays import refuse_endless
from palate._outputs.columns import Columns
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
        return arrow_to_frame(to_arrow_table(columns))
    if len(columns.cells) == 1 and is_series(columns.cells[0]):
        return columns.cells[0].to_frame(names[0])
    if columns.matrix is not None and columns.matrix.dtype.kind in "biufc":
        return pd.DataFrame(columns.matrix, columns=names, copy=False)
    cells = {name: _pandas_column(pd, cells) for name, cells in zip(names, columns.split(), strict=True)}
    return ask_package("pandas", pd.DataFrame, cells, copy=False)


def _pandas_column(pd: Any, array: Any) -> Any:
    if array.ndim > 1:
        return pd.Series(array.tolist(), dtype=object)
    if array.dtype.kind not in "OT":
        return array
    items = array.tolist()
    kinds = {type(item) for item in items if not is_missing(item)}
    if kinds == {int}:
        return _whole_numbers(pd, items)
    cells = pd.Series(items, dtype=object)
    # pandas would join integers and floats to floats, which may round.
    return cells if int in kinds else cells.infer_objects()


def _whole_numbers(pd: Any, items: list[Any]) -> Any:
    try:
        return pd.array(items, dtype="Int64")
    except OverflowError:
        return pd.Series(items, dtype=object)


# -- Arrow -------------------------------------------------------------------------------------------------------------


def to_arrow_table(columns: Columns) -> Any:
    """Return a pyarrow Table, the same object if it is one with these names.

    Cells of more than one dimension are lists of a fixed size. NaN stays NaN, except among pandas' own missing values.

    Raises:
        DependencyMissing: pyarrow is not installed.
        Unfit: pyarrow has no type for a column.
    """
    pa = _require("pyarrow", "parquet", "A pyarrow Table")
    if columns.frame is None or is_dataframe(columns.frame):
        arrays = [_arrow_column(pa, cells) for cells in columns.split()]
        return pa.Table.from_arrays(arrays, names=columns.names)
    table = to_arrow(columns.frame)
    if table.column_names == columns.names:
        return table
    # pandas' notes in the metadata speak of the old names.
    return table.rename_columns(columns.names).replace_schema_metadata(None)


def _arrow_column(pa: Any, cells: Any) -> Any:
    if is_series(cells):
        if not _is_plain(cells):
            if cells.dtype == object:
                refuse_endless(cells.tolist())
            return ask_package("pyarrow", pa.array, cells, from_pandas=True)
        cells = cells.to_numpy()
    if cells.dtype.kind in "OT":
        return ask_package("pyarrow", pa.array, _finite_list(cells), from_pandas=True)
    values = ask_package("pyarrow", pa.array, _portable(cells.reshape(-1)))
    if 0 in cells.shape[1:]:
        kind = values.type
        for size in reversed(cells.shape[1:]):
            kind = pa.list_(kind, size)
        return pa.array(cells.tolist(), kind)
    for size in reversed(cells.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    return values


def _finite_list(array: Any) -> list[Any]:
    items: list[Any] = array.tolist()
    refuse_endless(items)
    return items


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
        return cast_array(array, np.dtype(f"{array.dtype.kind}8[{known}]"))
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


_COARSE = ("Y", "M", "W", "D", "h", "m", "s")

# -- polars ------------------------------------------------------------------------------------------------------------


def to_polars_frame(columns: Columns) -> Any:
    """Return a polars DataFrame, the same object if it is one with these names.

    Cells of more than one dimension are of the type Array. NaN stays NaN, except among pandas' own missing values.

    Raises:
        DependencyMissing: polars is not installed, or pyarrow, which pandas' nullable and categorical columns need.
        Unfit: polars has no type for a column.
    """
    pl = _require("polars", "polars", "A polars DataFrame")
    if is_polars(columns.frame) and columns.frame.columns == columns.names:
        return columns.frame
    if is_arrow(columns.frame):
        return ask_package("polars", pl.from_arrow, to_arrow_table(columns))
    pairs = zip(columns.names, columns.split(), strict=True)
    frame = pl.DataFrame([_polars_column(pl, name, cells) for name, cells in pairs])
    if unknown := [name for name, kind in frame.schema.items() if kind == pl.Object]:
        raise Unfit("wrong_type", f"polars has no type for the values of {', '.join(unknown[:10])}")
    return frame


def _polars_column(pl: Any, name: str, cells: Any) -> Any:
    if is_polars(cells):
        return cells.alias(name)
    if is_series(cells):
        if not _is_plain(cells):
            return _polars_from_series(pl, name, cells)
        cells = cells.to_numpy()
    return ask_package("polars", pl.Series, name, _finite_list(cells) if cells.dtype.kind in "OT" else _portable(cells))


def _polars_from_series(pl: Any, name: str, series: Any) -> Any:
    import pandas as pd

    if series.dtype == object or isinstance(series.dtype, pd.StringDtype):
        items = [None if is_missing(item) else item for item in _finite_list(series)]
        return ask_package("polars", pl.Series, name, items)
    _require("pyarrow", "parquet", f"A column of the type {series.dtype}")
    return ask_package("polars", pl.from_pandas, series.rename(name))
