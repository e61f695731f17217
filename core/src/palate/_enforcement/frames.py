"""Any container that columns can come in, as a pandas DataFrame."""

from __future__ import annotations

from datetime import date
from importlib import import_module
from types import ModuleType
from typing import Any

from palate._enforcement.columns import from_arrow_types
from palate._enforcement.containers import (
    framework_tensor,
    is_arrow,
    is_dataframe,
    is_ndarray,
    is_polars,
    is_scalar,
    is_series,
    is_sparse,
)
from palate._enforcement.exactness import Unfit
from palate.errors import DependencyMissing
from palate.schema import Array, ColSpec, FieldType, Object, SparkVector

__all__ = ["arrow_to_frame", "require_pandas", "to_arrow", "to_frame"]

_HINT = "pass a DataFrame, a dict of columns, or a list of records"


def require_pandas() -> ModuleType:
    """Return pandas. Raises DependencyMissing."""
    try:
        return import_module("pandas")
    except ImportError as exc:
        raise DependencyMissing("pandas", needed_for="A model with columns", install="palate[pandas]") from exc


def to_frame(data: Any, columns: tuple[ColSpec, ...]) -> Any:
    """Return *data* as a DataFrame, the same object if it is one.

    Raises:
        Unfit: when no rows and columns can be made of it.
        DependencyMissing: when pandas, or pyarrow for polars, is not installed.
    """
    if is_dataframe(data):
        return data
    pd = require_pandas()
    try:
        return _build(pd, data, columns)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, NotImplementedError) as exc:
        if isinstance(exc, Unfit):
            raise
        # pandas' own text may show the caller's values.
        raise Unfit("wrong_shape", f"no rows and columns could be made of this {type(data).__name__}; {_HINT}") from exc


def _build(pd: Any, data: Any, columns: tuple[ColSpec, ...]) -> Any:
    if isinstance(data, list) and len(columns) == 1 and columns[0].name is None and _are_cells(data, columns[0].type):
        return pd.DataFrame({0: pd.Series(data, dtype=object)})
    if is_series(data) or is_ndarray(data) or isinstance(data, list):
        return pd.DataFrame(data)
    if isinstance(data, dict):
        return _from_dict(pd, data, columns)
    if is_polars(data) or is_arrow(data):
        return arrow_to_frame(to_arrow(data))
    if is_scalar(data):
        return pd.DataFrame([data])
    if is_sparse(data):
        raise Unfit("wrong_type", "needs columns, got a sparse matrix; pass pandas.DataFrame.sparse.from_spmatrix(...)")
    if framework_tensor(data):
        raise Unfit("wrong_type", "needs columns, got a tensor; convert it to a DataFrame with these column names")
    raise Unfit("wrong_type", f"needs columns, got {type(data).__name__}; {_HINT}")


def _are_cells(data: list[Any], kind: FieldType) -> bool:
    """Tell whether each item is one cell of a column of arrays, nested as deeply as those, and not a row of cells."""
    depth = 0
    while isinstance(kind, Array):
        kind, depth = kind.items, depth + 1
    return depth > 0 and bool(data) and all(_depth(item) == depth for item in data)


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        value, depth = (value[0] if value else None), depth + 1
    return depth


def to_arrow(data: Any) -> Any:
    """Return a polars or pyarrow frame or series as a pyarrow Table. Raises DependencyMissing."""
    if is_arrow(data):
        import pyarrow as pa

        return pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
    try:
        return (data if hasattr(data, "get_columns") else data.to_frame()).to_arrow()
    except ImportError as exc:
        raise DependencyMissing("pyarrow", needed_for="A polars frame", install="palate[parquet]") from exc


def arrow_to_frame(table: Any) -> Any:
    """Return a pyarrow Table as a DataFrame in which no integer became a float."""
    require_pandas()
    holes = any(column.null_count for column in table.columns)
    return table.to_pandas(types_mapper=from_arrow_types().get if holes else None, maps_as_pydicts="strict")


def _from_dict(pd: Any, data: dict[Any, Any], columns: tuple[ColSpec, ...]) -> Any:
    if any(isinstance(spec.type, Array | Object | SparkVector) for spec in columns) or _is_row(data, columns):
        return pd.DataFrame([data])
    return pd.DataFrame({name: _as_column(value) for name, value in data.items()})


def _is_row(data: dict[Any, Any], columns: tuple[ColSpec, ...]) -> bool:
    """Tell whether a dict is one row; MLflow takes a list of str for one cell, not for a column."""
    values = data.values()
    if any(_is_zero_dimensional(value) for value in values):
        return all(_is_zero_dimensional(value) for value in values)
    if not all(_is_cell(value) or _is_text_list(value) for value in values):
        return False
    # In these a list can be no cell, so that it can only be meant as a column.
    typed = {spec.name for spec in columns if spec.type in ("integer", "long", "float", "double", "datetime")}
    return not any(isinstance(value, list) and name in typed for name, value in data.items())


def _is_cell(value: object) -> bool:
    return value is None or is_scalar(value) or isinstance(value, date)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_zero_dimensional(value: Any) -> bool:
    return is_ndarray(value) and value.shape == ()


def _as_column(value: Any) -> Any:
    # pandas refuses an array with several dimensions as a column; a column of lists can at least be named in the error.
    return value.tolist() if is_ndarray(value) and value.ndim > 1 else value
