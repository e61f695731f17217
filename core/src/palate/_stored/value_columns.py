"""Arrow tables and polars frames as JSON, by way of their columns' physical values, and back."""

from __future__ import annotations

import importlib
from typing import Any

from palate._stored.value_arrays import Codec, Document, malformed, member, unsupported
from palate.errors import DependencyMissing, PalateError

__all__ = ["decode_arrow", "decode_polars", "encode_arrow", "encode_polars"]

_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
# A type's name, and the integers that dates and times are stored as.
_ARROW: dict[str, str | None] = {
    **dict.fromkeys(["bool", "float", "double", "string", "large_string", "binary", "large_binary", *_INTEGERS]),
    "date32[day]": "int32",
    **{f"timestamp[{unit}]": "int64" for unit in ("s", "ms", "us", "ns")},
}
_POLARS: dict[str, str | None] = {
    **dict.fromkeys(["Boolean", "Float32", "Float64", "String", "Binary"]),
    **dict.fromkeys([name.replace("int", "Int").replace("uI", "UI") for name in _INTEGERS]),
    "Date": "Int32",
    **{f"Datetime {unit}": "Int64" for unit in ("ms", "us", "ns")},
}


def _import(package: str, what: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as exc:
        raise DependencyMissing(package, needed_for=f"Reading {what}") from exc


def _columns(document: Document) -> list[Document]:
    columns: list[Document] = member(document, "columns", list)
    if not all(isinstance(column, dict) and isinstance(column.get("name"), str) for column in columns):
        raise malformed("a frame's columns have names")
    return columns


# -- Arrow -------------------------------------------------------------------------------------------------------------


def encode_arrow(table: Any, encode: Codec) -> Document:
    """Write a pyarrow Table or RecordBatch. Raises InvalidExample for types without a plain form."""
    columns = []
    for name, column in zip(table.schema.names, table.columns, strict=True):
        kind = _arrow_type(column.type, name)
        physical = _ARROW[kind] if isinstance(kind, str) else None
        values = (column.cast(physical) if physical else column).to_pylist()
        columns.append({"name": name, "type": kind, "data": encode(values)})
    return {"kind": "arrow", "container": type(table).__name__, "columns": columns}


def _arrow_type(kind: Any, name: str) -> Any:
    text = str(kind)
    if text in _ARROW:
        return text
    if text.startswith("list<") and _ARROW.get(str(kind.value_type), "") is None:
        return {"list": _arrow_type(kind.value_type, name)}
    raise unsupported(f"the Arrow column '{name}' of the type {text}")


def decode_arrow(document: Document, decode: Codec) -> Any:
    """Read what ``encode_arrow`` wrote. Raises InvalidExample, or DependencyMissing without pyarrow."""
    pa = _import("pyarrow", "a stored Arrow table")
    build = {"Table": pa.Table, "RecordBatch": pa.RecordBatch}.get(str(document.get("container")))
    if build is None:
        raise malformed("unknown Arrow container")
    columns = _columns(document)
    try:
        arrays = [_arrow_array(pa, column, decode) for column in columns]
        return build.from_arrays(arrays, names=[column["name"] for column in columns])
    except PalateError:
        raise
    except (ValueError, TypeError, OverflowError, NotImplementedError) as exc:  # pyarrow's own errors are ValueErrors
        raise malformed(f"an Arrow column cannot be rebuilt ({type(exc).__name__})") from exc


def _arrow_array(pa: Any, column: Document, decode: Codec) -> Any:
    kind = column.get("type")
    values = decode(member(column, "data", list))
    if isinstance(kind, dict) and _ARROW.get(str(kind.get("list")), "") is None:
        return pa.array(values, type=pa.list_(pa.type_for_alias(kind["list"])))
    if not isinstance(kind, str) or kind not in _ARROW:
        raise malformed("unknown Arrow type")
    return pa.array(values, type=pa.type_for_alias(_ARROW[kind] or kind)).cast(pa.type_for_alias(kind))


# -- polars ------------------------------------------------------------------------------------------------------------


def encode_polars(data: Any, encode: Codec) -> Document:
    """Write a polars DataFrame or Series. Raises InvalidExample for types without a plain form."""
    is_frame = hasattr(data, "get_columns")
    columns = [
        {"name": column.name, "type": _polars_type(column.dtype, column.name), "data": encode(_physical(column))}
        for column in (data.get_columns() if is_frame else [data])
    ]
    return {"kind": "polars", "container": "DataFrame" if is_frame else "Series", "columns": columns}


def _physical(column: Any) -> list[Any]:
    dated = type(column.dtype).__name__ in ("Date", "Datetime")
    values: list[Any] = (column.to_physical() if dated else column).to_list()
    return values


def _polars_type(dtype: Any, name: str) -> Any:
    text = type(dtype).__name__
    if text == "Datetime" and dtype.time_zone is None:
        text = f"Datetime {dtype.time_unit}"
    if text in _POLARS:
        return text
    if text == "List" and _POLARS.get(type(dtype.inner).__name__, "") is None:
        return {"list": _polars_type(dtype.inner, name)}
    raise unsupported(f"the polars column '{name}' of the type {dtype}")


def decode_polars(document: Document, decode: Codec) -> Any:
    """Read what ``encode_polars`` wrote. Raises InvalidExample, or DependencyMissing without polars."""
    pl = _import("polars", "a stored polars frame")
    container, columns = document.get("container"), _columns(document)
    if container not in ("DataFrame", "Series") or (container == "Series" and len(columns) != 1):
        raise malformed("unknown polars container")
    try:
        series = [_polars_series(pl, column, decode) for column in columns]
        return pl.DataFrame(series) if container == "DataFrame" else series[0]
    except PalateError:
        raise
    except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError) as exc:
        raise malformed(f"a polars column cannot be rebuilt ({type(exc).__name__})") from exc


def _polars_series(pl: Any, column: Document, decode: Codec) -> Any:
    kind, values = column.get("type"), decode(member(column, "data", list))
    if isinstance(kind, dict) and _POLARS.get(str(kind.get("list")), "") is None:
        return pl.Series(column["name"], values, dtype=pl.List(getattr(pl, kind["list"])), strict=True)
    if not isinstance(kind, str) or kind not in _POLARS:
        raise malformed("unknown polars type")
    name, _, unit = kind.partition(" ")
    dtype = pl.Datetime(unit) if unit else getattr(pl, name)
    return pl.Series(column["name"], values, dtype=getattr(pl, _POLARS[kind] or name), strict=True).cast(dtype)
