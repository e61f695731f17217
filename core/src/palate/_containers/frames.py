"""Any container that columns can come in, as a pandas DataFrame.

Numbers of an array or an Arrow table are not copied where they are many: the frame is read-only memory of the caller's,
of which pandas makes a copy when the model writes into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib import import_module
from types import ModuleType
from typing import Any

from palate._containers.arrays import tensor_array
from palate._containers.arrow import to_arrow, without_nested_views
from palate._containers.exactness import is_missing
from palate._containers.kinds import (
    is_array_like,
    is_dataframe,
    is_lazy,
    is_ndarray,
    is_scalar,
    is_series,
    is_sparse,
    speaks_arrow,
)
from palate._containers.nameless import COLUMNS_HINT, refuse_nameless
from palate._containers.nested_cells import exact_cells, needs_exact_cells
from palate._containers.rounding import restore_integers
from palate._containers.sharing import guard, shares_safely
from palate._containers.unfit import Unfit, ask_package, refusals
from palate._containers.wrapped import from_arrow_types
from palate.errors import DependencyMissing
from palate.schema import NUMBERS, Array, ColSpec, FieldType, Object, SparkVector

__all__ = ["arrow_to_frame", "refuse_query", "require_pandas", "to_frame"]

# To share memory and guard it takes as long as to copy this many bytes, of an array or of each column of a table:
# benchmarks/thresholds.py.
_SHARE_FROM = 150_000


def require_pandas() -> ModuleType:
    """Return pandas. Raises DependencyMissing."""
    try:
        return import_module("pandas")
    except ImportError as exc:
        raise DependencyMissing("pandas", needed_for="A model with columns", install="palate[pandas]") from exc


def to_frame(data: Any, columns: tuple[ColSpec, ...]) -> Any:
    """Return *data* as a DataFrame, the same object if it is one.

    A stream, an iterator or an array of another package hands its data out itself. What it raises meanwhile passes as
    it is, but for the errors by which an array says that numpy has no form for it (see ``tensor_array``).

    Raises:
        Unfit: when no rows and columns can be made of it.
        DependencyMissing: when pandas, or pyarrow for polars, is not installed.
    """
    if is_dataframe(data):
        return data
    refuse_nameless(data, columns)
    pd = require_pandas()
    if isinstance(data, list) and len(columns) == 1 and columns[0].name is None and _are_cells(data, columns[0].type):
        return pd.DataFrame({0: pd.Series(data, dtype=object)})
    if is_ndarray(data):
        return _array_to_frame(pd, data)
    if is_series(data):
        return pd.DataFrame(data)
    if isinstance(data, list):
        rows = _fill_rows(data)
        return restore_integers(_make_frame(pd, rows, data), rows, columns)
    if isinstance(data, dict):
        return _from_dict(pd, data, columns)
    if speaks_arrow(data):
        return arrow_to_frame(_needed(to_arrow(data), columns))
    if is_scalar(data):
        return pd.DataFrame([data])
    if is_sparse(data):
        hint = "pass pandas.DataFrame.sparse.from_spmatrix(...)"
        raise Unfit("wrong_type", "needs columns, got a sparse matrix", hint=hint)
    refuse_query(data)
    if is_array_like(data):
        return _array_to_frame(pd, tensor_array(data))
    raise Unfit("wrong_type", f"needs columns, got {type(data).__name__}", hint=COLUMNS_HINT)


def _make_frame(pd: Any, cells: Any, given: object, *, copy: bool | None = None) -> Any:
    """Return the DataFrame that pandas makes of *cells*, which were made of *given*. Raises Unfit."""
    try:
        return pd.DataFrame(cells, copy=copy)
    except refusals() as exc:
        # pandas' own text may show the caller's values.
        message = f"no rows and columns could be made of this {type(given).__name__}"
        raise Unfit("wrong_shape", message, hint=COLUMNS_HINT) from exc


def _fill_rows(data: list[Any]) -> list[Any]:
    """Return rows with None where some end early. pandas does so too, but warns since 3.1.

    Where the first row is a list, a tuple or an array, pandas takes whatever has a length for a row.
    """
    if not data or not (isinstance(data[0], list | tuple) or is_ndarray(data[0])):
        return data
    rows = data
    if isinstance(data[0], tuple):  # among tuples, pandas takes what is missing for a row of one cell
        rows = [(row,) if is_missing(row) else row for row in data]
    if not all(map(_has_length, rows)):
        return data
    longest = max(map(len, rows))
    if all(len(row) == longest for row in rows):
        return data
    return [(*row, *[None] * (longest - len(row))) for row in rows]


def _has_length(row: Any) -> bool:
    return row.ndim == 1 if is_ndarray(row) else hasattr(row, "__len__")


def _are_cells(data: list[Any], kind: FieldType) -> bool:
    """Tell whether each item is one cell of a column of arrays, nested as deeply as those, and not a row of cells."""
    depth = 0
    while isinstance(kind, Array):
        kind, depth = kind.items, depth + 1
    return depth > 0 and bool(data) and all(_depth(item, depth) == depth for item in data)


def _depth(value: Any, most: int) -> int:
    """Return how deeply lists are nested; what holds itself is one deeper than the most that was asked for."""
    depth = 0
    while isinstance(value, list) and depth <= most:
        value, depth = (value[0] if value else None), depth + 1
    return depth + (value.ndim if is_ndarray(value) else 0)


def refuse_query(data: object) -> None:
    """Raise Unfit for a frame that holds a query and no data."""
    if is_lazy(data):
        raise Unfit("wrong_type", "needs data, got a LazyFrame, which is a query", hint="collect() it")


def _needed(table: Any, columns: tuple[ColSpec, ...]) -> Any:
    """Return a Table without the columns that no schema names, which may be many and slow to make."""
    given, names = table.column_names, [spec.name for spec in columns]
    if given == names or not all(isinstance(name, str) for name in names) or table.schema.pandas_metadata:
        return table  # text may stand for a column with a number; pandas' index may be among the columns
    if {spec.name for spec in columns if spec.required}.difference(given):
        return table  # the error tells which columns there are instead
    known = set(names)
    return table.select([place for place, name in enumerate(given) if name in known])


# -- memory of the caller's --------------------------------------------------------------------------------------------


def arrow_to_frame(table: Any) -> Any:
    """Return a pyarrow Table as a DataFrame in which no integer became a float.

    Columns of numbers without gaps, in one chunk, are shared and not copied where pandas copies on write; short ones of
    one type are copied into one block, which is quicker.

    Raises:
        Unfit: pandas has no form for a column, such as a map that holds a key twice.
        DependencyMissing: pandas is not installed.
    """
    import pyarrow.types

    pd = require_pandas()
    types = table.schema.types
    gaps = {column.type for column in table.columns if column.null_count}
    if not gaps and _is_small_matrix(table, types):
        return _stacked(pd, table)
    _check_text(table, types)
    dtypes = {kind: dtype for kind, dtype in from_arrow_types().items() if kind in gaps} if gaps else {}
    if any(map(pyarrow.types.is_nested, set(types))):
        table = without_nested_views(table)
        # pandas takes these as they are, for us to make cells of.
        dtypes |= {column.type: pd.ArrowDtype(column.type) for column in table.columns if needs_exact_cells(column)}
    share, mapper = shares_safely(), dtypes.get if dtypes else None
    frame = ask_package("pandas", table.to_pandas, types_mapper=mapper, maps_as_pydicts="strict", split_blocks=share)
    for position, dtype in enumerate(frame.dtypes.tolist() if dtypes else ()):
        if isinstance(dtype, pd.ArrowDtype):
            cells = exact_cells(frame.iloc[:, position].array.__arrow_array__())
            frame.isetitem(position, pd.Series(cells, index=frame.index, dtype=object))
    return guard(frame) if share else frame


def _check_text(table: Any, types: list[Any]) -> None:
    """Raise Unfit for text that is none: pandas looks at it when somebody reads a cell, and shows it then."""
    import pyarrow as pa

    texts = {kind for kind in set(types) if str(kind) in ("string", "large_string", "string_view")}
    for place, kind in enumerate(types if texts else ()):
        if kind in texts:
            try:
                table.column(place).validate(full=True)
            except pa.ArrowInvalid as exc:
                message = f"the column {table.column_names[place]!r:.60} holds text that is not UTF-8"
                raise Unfit("wrong_value", message, hint="pass it as binary") from exc


def _is_small_matrix(table: Any, types: list[Any]) -> bool:
    """Tell whether a Table is one matrix of numbers, and its columns short."""
    import pyarrow.types as kinds

    if not types or not (kinds.is_integer(types[0]) or kinds.is_floating(types[0])):
        return False
    if table.num_rows * types[0].bit_width // 8 >= _SHARE_FROM:
        return False
    return all(kind == types[0] for kind in types) and b"pandas" not in (table.schema.metadata or {})


def _stacked(pd: Any, table: Any) -> Any:
    import numpy as np

    matrix = np.stack([column.to_numpy() for column in table.columns])
    return pd.DataFrame(matrix.T, columns=table.column_names, copy=False)


def _array_to_frame(pd: Any, array: Any) -> Any:
    import numpy as np

    if isinstance(array, np.ma.MaskedArray):
        array = _unmasked(array)
    if array.dtype.kind not in "biuf" or array.nbytes < _SHARE_FROM or not shares_safely():
        return _make_frame(pd, array, array, copy=True)
    shared = array.view()
    shared.flags.writeable = False
    return guard(_make_frame(pd, shared, array, copy=False))


def _unmasked(array: Any) -> Any:
    """Return a masked array as a plain one, with NaN for what a mask hides. Raises Unfit."""
    import numpy as np

    if not np.ma.is_masked(array):
        return np.asarray(array)
    if array.dtype.kind != "f":
        raise Unfit("missing", f"holds masked values, which {array.dtype} cannot show", hint="fill them with filled()")
    return array.filled(np.nan)


# -- dicts -------------------------------------------------------------------------------------------------------------


def _from_dict(pd: Any, data: dict[Any, Any], columns: tuple[ColSpec, ...]) -> Any:
    if any(isinstance(spec.type, Array | Object | SparkVector) for spec in columns) or _is_row(data, columns):
        return _make_frame(pd, [data], data)
    cells = {name: _as_column(pd, value) for name, value in data.items()}
    return restore_integers(_make_frame(pd, cells, data), cells, columns)


# In these a list can be no cell, so that it can only be meant as a column.
_NEVER_LISTS = NUMBERS | {"datetime"}


def _is_row(data: dict[Any, Any], columns: tuple[ColSpec, ...]) -> bool:
    """Tell whether a dict is one row; MLflow takes a list of str for one cell, not for a column."""
    values = data.values()
    if any(_is_zero_dimensional(value) for value in values):
        return all(_is_zero_dimensional(value) for value in values)
    if not all(_is_cell(value) or _is_text_list(value) for value in values):
        return False
    typed = {spec.name for spec in columns if spec.type in _NEVER_LISTS}
    typed |= {str(name) for name in typed}  # by which a column with a number for its name may be meant
    return not any(isinstance(value, list) and name in typed for name, value in data.items())


def _is_cell(value: object) -> bool:
    return value is None or is_scalar(value) or isinstance(value, date)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_zero_dimensional(value: Any) -> bool:
    return is_ndarray(value) and value.shape == ()


def _as_column(pd: Any, value: Any) -> Any:
    import numpy as np

    if isinstance(value, Iterator):
        value = list(value)  # what is read once is read before it is looked at for integers
    if isinstance(value, list) and not value:
        return pd.Series([], dtype=object)  # pandas would make floats of it, which are no text
    if speaks_arrow(value):
        return arrow_to_frame(to_arrow(value)).iloc[:, 0].array  # without an index, by which pandas would align it
    array = tensor_array(value) if is_array_like(value) else value
    if isinstance(array, np.ma.MaskedArray):
        return _unmasked(array)
    # pandas refuses an array with several dimensions as a column; a column of lists can at least be named in the error.
    return array.tolist() if is_ndarray(array) and array.ndim > 1 else array
