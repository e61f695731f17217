"""The numpy arrays in what pandas wraps around them: nullable, Arrow-backed, sparse and zoned columns."""

from __future__ import annotations

from functools import cache
from typing import Any

from palate._containers.arrow import without_nested_views
from palate._containers.exactness import cast_array, is_missing
from palate._containers.nested_cells import exact_cells, needs_exact_cells
from palate._containers.unfit import Unfit, ask_package

__all__ = ["cast_with_gaps", "from_arrow", "from_arrow_types", "is_blank", "plain_values"]


def plain_values(series: Any) -> tuple[Any, Any]:
    """Return a Series as a numpy array, and which items are missing where the array itself cannot say it."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return plain_values(from_arrow(series))
    if isinstance(dtype, pd.CategoricalDtype) and len(dtype.categories):
        return _plain_categories(series)
    if isinstance(dtype, pd.SparseDtype):
        return series.sparse.to_dense().to_numpy(), None
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), None
    if isinstance(dtype, pd.StringDtype):
        return series.to_numpy(dtype=object), None
    numpy_dtype = getattr(dtype, "numpy_dtype", None)  # Int64, Float32, boolean and their kin
    if numpy_dtype is None:
        return series.to_numpy(), None
    missing = series.array.isna()
    return series.array.to_numpy(dtype=numpy_dtype, na_value=numpy_dtype.type(0), copy=True), missing


def _plain_categories(series: Any) -> tuple[Any, Any]:
    """Return the values behind the codes: pandas would make floats of integers where a code is missing."""
    import pandas as pd

    values, absent = plain_values(pd.Series(series.cat.categories))
    codes = series.cat.codes.to_numpy()
    gaps = codes == -1
    taken = values.take(codes)
    if values.dtype.kind in "iub":
        return taken, gaps if absent is None else gaps | absent.take(codes)
    taken[gaps] = None  # NaN among floats, NaT among times
    return taken, None if absent is None else gaps | absent.take(codes)


def cast_with_gaps(values: Any, missing: Any, dtype: Any) -> Any:
    """Return *values* as *dtype*, with NaN where they are missing. Raises Unfit."""
    import numpy as np

    if values.dtype == object and dtype.kind == "f":
        missing = np.fromiter(map(is_missing, values), bool, count=len(values))
    if missing is None or not missing.any():
        return cast_array(values, dtype)
    if dtype.kind != "f":
        raise Unfit(
            "missing", f"needs {dtype}, got {int(missing.sum())} missing value(s); fill them in before the call"
        )
    filled = np.full(len(values), np.nan, dtype=dtype)
    filled[~missing] = cast_array(values[~missing], dtype)
    return filled


def is_blank(series: Any) -> bool:
    """Tell whether a Series has cells, all of them missing, and none a time: its dtype then says nothing of its type.

    pandas gives a column without values float64, polars text, and Arrow null.
    """
    if series.dtype.kind in "mM" or not len(series):
        return False
    # One look at the first cell spares the others, mostly.
    return is_missing(series.iloc[0]) and bool(series.isna().all())


@cache
def from_arrow_types() -> dict[Any, Any]:
    """Return the pandas dtypes that hold Arrow's integers and truth values together with missing ones."""
    import pandas as pd
    import pyarrow as pa

    names = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    integers = {getattr(pa, name.lower())(): pd.api.types.pandas_dtype(name) for name in names}
    return {**integers, pa.bool_(): pd.BooleanDtype()}


def from_arrow(series: Any) -> Any:
    """Return a Series backed by Arrow as pandas holds such values itself, on the same index. Raises Unfit."""
    import pandas as pd
    import pyarrow as pa

    given = series.array.__arrow_array__()
    table = without_nested_views(pa.table([given], [""]))
    column = table.column(0)
    if needs_exact_cells(column):
        return pd.Series(exact_cells(column), index=series.index, dtype=object, name=series.name)
    mapper = from_arrow_types().get if given.null_count else None
    plain = ask_package("pandas", column.to_pandas, types_mapper=mapper, maps_as_pydicts="strict")
    return plain.set_axis(series.index).rename(series.name)
