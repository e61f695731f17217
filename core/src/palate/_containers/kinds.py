"""What kind of container is this? Asked without importing the package it comes from.

Whoever holds a DataFrame has imported pandas, so a package that is not in ``sys.modules`` cannot have made the object.
"""

from __future__ import annotations

import sys
from numbers import Number
from types import ModuleType
from typing import Any, TypeGuard

__all__ = [
    "framework_tensor",
    "has_names",
    "is_array_like",
    "is_arrow",
    "is_dataframe",
    "is_foreign_table",
    "is_lazy",
    "is_ndarray",
    "is_numpy_scalar",
    "is_pandas_array",
    "is_polars",
    "is_scalar",
    "is_series",
    "is_sparse",
    "is_tabular",
    "loaded_types",
    "speaks_arrow",
]


def loaded_types(module: str, *names: str) -> tuple[type, ...]:
    """Return the classes of a module by their names; those that are not loaded are left out."""
    package: ModuleType | None = sys.modules.get(module)
    # A module that is being imported by another thread is there, but its names may not be yet.
    return tuple(kind for name in names if isinstance(kind := getattr(package, name, None), type))


def is_dataframe(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a pandas DataFrame."""
    return isinstance(data, loaded_types("pandas", "DataFrame"))


def is_series(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a pandas Series."""
    return isinstance(data, loaded_types("pandas", "Series"))


def is_pandas_array(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is an Index of pandas, or an array of its own, as a Categorical is."""
    return isinstance(
        data, (*loaded_types("pandas", "Index"), *loaded_types("pandas.api.extensions", "ExtensionArray"))
    )


def is_polars(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a polars DataFrame or Series (a LazyFrame holds no data yet)."""
    return isinstance(data, loaded_types("polars", "DataFrame", "Series"))


def is_arrow(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a pyarrow Table or RecordBatch."""
    return isinstance(data, loaded_types("pyarrow", "Table", "RecordBatch"))


def is_lazy(data: object) -> bool:
    """Tell whether *data* is a polars LazyFrame: a query, whose data nobody has computed yet."""
    return isinstance(data, loaded_types("polars", "LazyFrame"))


def speaks_arrow(data: object) -> TypeGuard[Any]:
    """Tell whether *data* hands itself out through Arrow's PyCapsule interface and is not a container of pandas'.

    These are frames and columns of polars, pyarrow, DuckDB, nanoarrow and any other package, known here or not.
    """
    kind = type(data)
    if not (hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__")):
        return False
    return not (is_dataframe(data) or is_series(data))


def is_foreign_table(data: object) -> bool:
    """Tell whether *data* speaks Arrow and is of a package not known here; a stream may be read only once."""
    return speaks_arrow(data) and not (is_arrow(data) or is_polars(data))


def is_tabular(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a frame or series of any of the packages known here."""
    return is_dataframe(data) or is_series(data) or is_polars(data) or is_arrow(data)


def is_ndarray(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a numpy array."""
    return isinstance(data, loaded_types("numpy", "ndarray"))


def is_numpy_scalar(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a scalar of numpy's own; numpy.float64 is a Python float as well."""
    return isinstance(data, loaded_types("numpy", "generic"))


def is_sparse(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is a scipy sparse matrix or sparse array."""
    return isinstance(data, loaded_types("scipy.sparse", "spmatrix", "sparray"))


def has_names(data: object) -> bool:
    """Tell whether *data* is a dict, a list of dicts, or a structured array: values that are found by name."""
    if is_ndarray(data):
        return data.dtype.names is not None
    return isinstance(data, dict) or (isinstance(data, list) and bool(data) and isinstance(data[0], dict))


def is_scalar(data: object) -> bool:
    """Tell whether *data* is one number, text, bytes or numpy scalar; to numpy, None and dates are no scalars."""
    return isinstance(data, (str, bytes, Number, *loaded_types("numpy", "generic")))


def is_array_like(data: object) -> TypeGuard[Any]:
    """Tell whether *data* is an array of another package than numpy: torch, TensorFlow, JAX and whoever speaks DLPack.

    Much else answers to numpy too: frames, and what pandas and numpy have of their own, are none.
    """
    kind = type(data)
    if not (hasattr(kind, "__array__") or hasattr(kind, "__dlpack__")):
        return False
    own = is_ndarray(data) or is_numpy_scalar(data) or is_pandas_array(data)
    return not (own or is_tabular(data) or speaks_arrow(data))


def framework_tensor(data: object) -> str | None:
    """Return "torch" or "tensorflow" when *data* is an array of that framework."""
    if not hasattr(data, "__array__"):
        return None
    packages = (kind.__module__.partition(".")[0] for kind in type(data).__mro__)
    return next((package for package in packages if package in ("torch", "tensorflow")), None)
