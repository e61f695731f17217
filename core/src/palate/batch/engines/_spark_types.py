"""Spark's types and Arrow's, and predictions as columns of Spark's.

Spark has no unsigned integers, no half floats and no nanoseconds: what has these goes into the next type that holds all
of their values, or is refused. Times without a zone stay so (``timestamp_ntz``), whatever the session's zone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from palate.batch._first_line import first_line
from palate.errors import InvalidOption

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["conform", "one_column", "parse_result_type", "spark_type", "to_arrow", "to_spark_schema", "widen"]

_SCALARS: Final = {
    "boolean": "bool",
    "tinyint": "int8",
    "smallint": "int16",
    "int": "int32",
    "bigint": "int64",
    "float": "float",
    "double": "double",
    "string": "string",
    "binary": "binary",
    "date": "date32[day]",
    "timestamp_ntz": "timestamp[us]",
}
_WIDER: Final = {
    "uint8": "int16",
    "uint16": "int32",
    "uint32": "int64",
    "halffloat": "float",
    "large_string": "string",
    "string_view": "string",
    "large_binary": "binary",
    "binary_view": "binary",
}
_UNFIT: Final = "give result_type= with types that hold the predictions, or leave it out"


# -- types -------------------------------------------------------------------------------------------------------------


def widen(kind: pa.DataType) -> pa.DataType:
    """Return the type that Spark has for values of a type.

    Raises:
        InvalidOption: it has none.
    """
    import pyarrow as pa

    of, name = pa.types, str(kind)
    if name in _SCALARS.values() or of.is_decimal128(kind):
        return kind
    if name in _WIDER:
        return pa.type_for_alias(_WIDER[name])
    if of.is_timestamp(kind):
        return pa.timestamp("us", tz=kind.tz and "UTC")
    if of.is_dictionary(kind):
        return widen(kind.value_type)
    if of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", widen(kind.value_type)))
    if of.is_map(kind):
        return pa.map_(widen(kind.key_type), widen(kind.item_type))
    if of.is_struct(kind):
        return pa.struct([(field.name, widen(field.type)) for field in kind])
    reason = f"Spark has no type for predictions of the type {kind}"
    raise InvalidOption("result_type", reason=reason, hint="say with result_type= what they are to become")


def spark_type(kind: pa.DataType) -> Any:
    """Return a type of Spark's for one that ``widen`` gave."""
    import pyarrow as pa
    from pyspark.sql import types

    of = pa.types
    if of.is_decimal(kind):
        return types.DecimalType(kind.precision, kind.scale)
    if of.is_timestamp(kind) and kind.tz:
        return types.TimestampType()
    if of.is_list(kind):
        return types.ArrayType(spark_type(kind.value_type))
    if of.is_map(kind):
        return types.MapType(spark_type(kind.key_type), spark_type(kind.item_type))
    if of.is_struct(kind):
        return types.StructType([types.StructField(field.name, spark_type(field.type)) for field in kind])
    return _spark_scalars()[str(kind)]()


def _spark_scalars() -> dict[str, Callable[[], Any]]:
    """Return the classes of Spark's scalar types by the names of Arrow's."""
    import pyarrow as pa
    from pyspark.sql import types

    names = (
        "BooleanType ByteType ShortType IntegerType LongType FloatType DoubleType StringType BinaryType DateType "
        "TimestampNTZType"
    )
    classes = [getattr(types, name) for name in names.split()]
    return {str(pa.type_for_alias(_SCALARS[kind().simpleString()])): kind for kind in classes}


def to_arrow(kind: Any) -> pa.DataType | None:
    """Return Arrow's type for one of Spark's; None where there is none that Palate reads."""
    import pyarrow as pa

    match kind.typeName():
        case "timestamp":
            return pa.timestamp("us", tz="UTC")
        case "decimal":
            return pa.decimal128(kind.precision, kind.scale)
        case "array":
            inner = to_arrow(kind.elementType)
            return inner and pa.list_(pa.field("element", inner))
        case "map":
            key, value = to_arrow(kind.keyType), to_arrow(kind.valueType)
            return key and value and pa.map_(key, value)
        case "struct":
            members = [(field.name, to_arrow(field.dataType)) for field in kind]
            return None if any(member is None for _, member in members) else pa.struct(members)
    alias = _SCALARS.get(kind.simpleString())
    return None if alias is None else pa.type_for_alias(alias)


def to_spark_schema(schema: pa.Schema) -> Any:
    """Return the same columns as a StructType."""
    import pyarrow as pa

    return spark_type(pa.struct(list(schema)))


def parse_result_type(result_type: Any) -> pa.DataType:
    """Return what a caller asks for, text such as "double" or "a double, b string" or a type of Spark's, as Arrow's.

    Raises:
        InvalidOption: it is neither, or a type that predictions are never of.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.types import DataType

    hint = "give a type of Spark's, or text as in its schemas, such as 'double' or 'label string, score double'"
    kind = result_type
    if isinstance(result_type, str):
        try:
            kind = DataType.fromDDL(result_type)
        except PySparkException as exc:
            reason = f"Spark does not understand {result_type!r:.100}"
            raise InvalidOption("result_type", reason=reason, hint=hint) from exc
    found = to_arrow(kind) if isinstance(kind, DataType) else None
    if found is None:
        raise InvalidOption("result_type", reason=f"{result_type!r:.100} is no type of predictions", hint=hint)
    return found


# -- values ------------------------------------------------------------------------------------------------------------


def conform(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Return a table with these columns, of these types.

    Raises:
        InvalidOption: it has others, or values that do not fit.
    """
    import pyarrow as pa

    if len(wanted) == 1 == table.num_columns:
        table = table.rename_columns(wanted.names)
    if missing := [name for name in wanted.names if name not in table.column_names]:
        reason = f"there are no predictions called {', '.join(missing[:10])}"
        hint = f"they are called {', '.join(table.column_names[:10])}"
        raise InvalidOption("result_type", reason=reason, hint=hint)
    try:
        return table.select(wanted.names).cast(wanted)
    except (pa.ArrowException, ValueError) as exc:
        reason = f"the predictions do not fit: {first_line(exc)}"
        raise InvalidOption("result_type", reason=reason, hint=_UNFIT) from exc


def one_column(table: pa.Table, wanted: pa.DataType) -> pa.Array:
    """Return predictions as one column: a struct by their names, a list of several of one type, or the only one."""
    import pyarrow as pa

    if pa.types.is_struct(wanted) and not _is_struct(table):
        whole = conform(table, pa.schema(list(wanted)))
        return whole.to_struct_array().combine_chunks() if whole.num_rows else pa.array([], wanted)
    if pa.types.is_list(wanted) and table.num_columns > 1:
        whole = conform(table, pa.schema([(name, wanted.value_type) for name in table.column_names]))
        return _as_lists(whole, wanted)
    if table.num_columns != 1:
        reason = f"there are {table.num_columns} predictions for a row ({', '.join(table.column_names[:10])})"
        hint = "give the type of a struct of them, or of an array"
        raise InvalidOption("result_type", reason=reason, hint=hint)
    return conform(table, pa.schema([("answer", wanted)])).column(0).combine_chunks()


def _is_struct(table: pa.Table) -> bool:
    import pyarrow as pa

    return table.num_columns == 1 and bool(pa.types.is_struct(table.schema.field(0).type))


def _as_lists(table: pa.Table, kind: pa.DataType) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    rows, width = table.num_rows, table.num_columns
    cells = pa.concat_arrays([chunk for column in table.columns for chunk in column.chunks])
    by_rows = np.arange(rows * width).reshape(width, rows).T.ravel()
    offsets = pa.array(np.arange(0, rows * width + 1, width, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, cells.take(pa.array(by_rows)), type=kind)
