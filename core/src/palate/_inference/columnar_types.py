"""Columns of pandas, polars and Arrow frames as column specs.

A pandas column is judged by its dtype and, where that says "object", by its values, as MLflow does. polars and Arrow
declare their types, so their values are only asked whether some are missing. Integers and truth values of which some
are missing are nullable, which MLflow's grammar cannot say: its enforcement refuses the very column.
"""

from __future__ import annotations

from typing import Any

from palate._enforcement.facts import NULLABLE
from palate._inference.value_types import UntypedValue, array_items, dtype_scalar
from palate._inference.zones import zone_name
from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, Property, Scalar

__all__ = ["arrow_column", "pandas_column", "polars_column"]

Name = str | int | None

_POLARS_SCALARS: dict[str, Scalar] = {
    "Boolean": "boolean",
    "Int8": "integer",
    "Int16": "integer",
    "Int32": "integer",
    "UInt8": "integer",
    "UInt16": "integer",
    "Int64": "long",
    "UInt32": "long",
    "Float32": "float",
    "Float64": "double",
    "String": "string",
    "Categorical": "string",
    "Enum": "string",
    "Binary": "binary",
    "Date": "datetime",
    "Datetime": "datetime",
}
_ARROW_SCALARS: dict[str, Scalar] = {
    "bool": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "int64": "long",
    "uint32": "long",
    "halffloat": "float",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "string_view": "string",
    "binary": "binary",
    "large_binary": "binary",
    "binary_view": "binary",
    "date32[day]": "datetime",
    "date64[ms]": "datetime",
}


def pandas_column(column: Any, name: Name) -> ColSpec:
    """Return the spec of a pandas Series. Raises UntypedValue.

    A column in which a value is missing is not required; one without a name always is, as the grammar wants it.
    """
    missing = bool(column.isna().any())
    if hasattr(column.dtype, "categories"):
        return _categorical(column.dtype.categories.tolist(), name, required=name is None or not missing)
    if column.dtype == object:
        column = column.infer_objects()
    kind = _pandas_type(column)
    if kind == "boolean" and column.dtype == object:  # True and None, which MLflow lets pass as the objects they are
        return ColSpec(type=kind, name=name, required=name is None or not missing)
    return _column(kind, name, missing=missing, zone=_pandas_zone(column.dtype))


def _column(kind: FieldType, name: Name, *, missing: bool, zone: str | None = None) -> ColSpec:
    return ColSpec(
        type=kind,
        name=name,
        required=name is None or not missing,
        nullable=True if missing and kind in NULLABLE else None,
        timezone=zone,
    )


def _pandas_type(column: Any) -> FieldType:
    if (kind := dtype_scalar(column.dtype)) is not None:
        return kind
    values = column.tolist()
    if not values or {type(value) for value in values} == {str}:
        return "string"  # MLflow takes an object column without rows for text
    declared = _declared_type(column.dtype)
    items = declared if declared is not None else array_items(values)
    if items is None:
        raise UntypedValue("it holds only empty arrays, which do not tell their type")
    return items


def _pandas_zone(dtype: Any) -> str | None:
    if hasattr(dtype, "pyarrow_dtype"):
        return _arrow_zone(dtype.pyarrow_dtype)
    return zone_name(dtype.tz) if hasattr(dtype, "tz") else None


def _declared_type(dtype: Any) -> FieldType | None:
    """Return the type of an extension dtype whose ``kind`` says "object" although it knows better."""
    if hasattr(dtype, "pyarrow_dtype"):
        return _arrow_type(dtype.pyarrow_dtype)
    return "string" if dtype.name in ("string", "str") else None


def _categorical(categories: list[object], name: Name, *, required: bool) -> ColSpec:
    try:
        kind = array_items(categories) if categories else "string"
    except UntypedValue:
        kind = None
    if kind not in ("string", "long", "double", "boolean"):
        raise UntypedValue("it has categories that are neither text, numbers nor booleans. Hint: convert them to text")
    return ColSpec(type=kind, name=name, required=required, categories=tuple(categories), categorical=True)


def polars_column(column: Any, name: Name) -> ColSpec:
    """Return the spec of a polars Series. Raises UntypedValue."""
    missing = bool(column.null_count() or (column.dtype.is_float() and column.is_nan().any()))
    if type(column.dtype).__name__ == "Enum":  # a Categorical's categories depend on what else was read before
        return _categorical(column.dtype.categories.to_list(), name, required=name is None or not missing)
    zone = getattr(column.dtype, "time_zone", None)
    return _column(_polars_type(column.dtype), name, missing=missing, zone=zone_name(zone))


def _polars_type(dtype: Any) -> FieldType:
    kind = type(dtype).__name__
    if kind in _POLARS_SCALARS:
        return _POLARS_SCALARS[kind]
    if kind in ("List", "Array"):
        return Array(_polars_type(dtype.inner))
    if kind == "Struct":
        return Object(tuple(Property(f.name, _polars_type(f.dtype), required=False) for f in dtype.fields))
    if kind == "Null":
        return AnyType()
    raise UntypedValue(f"the polars type {dtype} has no type in a signature")


def arrow_column(column: Any, name: Name) -> ColSpec:
    """Return the spec of a pyarrow ChunkedArray or Array. Raises UntypedValue."""
    import pyarrow.compute as pc

    missing = pc.any(pc.is_null(column, nan_is_null=True)).as_py()
    if hasattr(column.type, "value_type") and hasattr(column.type, "index_type"):
        chunks = getattr(column.unify_dictionaries(), "chunks", [column]) if hasattr(column, "chunks") else [column]
        categories = chunks[0].dictionary.to_pylist() if chunks else []
        return _categorical(categories, name, required=name is None or not missing)
    return _column(_arrow_type(column.type), name, missing=missing, zone=_arrow_zone(column.type))


def _arrow_zone(kind: Any) -> str | None:
    return zone_name(kind.tz) if hasattr(kind, "tz") else None


def _arrow_type(kind: Any) -> FieldType:
    import pyarrow as pa

    text = str(kind)
    if text in _ARROW_SCALARS:
        return _ARROW_SCALARS[text]
    if pa.types.is_timestamp(kind):
        return "datetime"
    if pa.types.is_dictionary(kind):
        return _arrow_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return Array(_arrow_type(kind.value_type))
    if pa.types.is_struct(kind) and kind.num_fields:
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return Object(tuple(Property(f.name, _arrow_type(f.type), required=not f.nullable) for f in fields))
    if pa.types.is_map(kind) and _arrow_type(kind.key_type) == "string":
        return Map(_arrow_type(kind.item_type))
    if pa.types.is_null(kind):
        return AnyType()
    raise UntypedValue(f"the Arrow type {text} has no type in a signature")
