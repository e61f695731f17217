"""Frames and columns that speak Arrow's PyCapsule interface, as pyarrow Tables."""

from __future__ import annotations

from typing import Any

from palate._containers.exactness import Unfit
from palate._containers.kinds import is_arrow, is_polars
from palate.errors import DependencyMissing

__all__ = ["fixed_size_array", "to_arrow", "without_nested_views"]


def to_arrow(data: Any) -> Any:
    """Return what speaks Arrow's PyCapsule interface as a pyarrow Table, uncopied.

    A single column keeps its name, which is "" if it has none.

    Raises:
        Unfit: pyarrow does not know one of its types, as with 128-bit integers.
        DependencyMissing: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as exc:
        raise DependencyMissing("pyarrow", needed_for=f"A {_kind(data)}", install="palate[parquet]") from exc
    try:
        return _import_table(pa, data.to_frame() if is_polars(data) and hasattr(data, "to_frame") else data)
    except (ValueError, TypeError, NotImplementedError) as exc:
        raise Unfit("wrong_type", f"pyarrow has no form for a column of this {_kind(data)}") from exc


def _kind(data: object) -> str:
    return f"{type(data).__module__.partition('.')[0]} {type(data).__name__}"


def _import_table(pa: Any, data: Any) -> Any:
    if is_arrow(data):
        return pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
    try:
        return pa.table(data)
    except pa.ArrowInvalid:  # one column, such as a pyarrow Array
        return pa.table({"": pa.chunked_array(data)})


def without_nested_views(table: Any) -> Any:
    """Return a Table without text views inside of lists, in which polars hands out text and pandas takes none."""
    import pyarrow as pa

    kinds = [_without_views(pa, kind) if pa.types.is_nested(kind) else kind for kind in table.schema.types]
    if kinds == table.schema.types:
        return table
    fields = [field.with_type(kind) for field, kind in zip(table.schema, kinds, strict=True)]
    return table.cast(pa.schema(fields, metadata=table.schema.metadata))


def _without_views(pa: Any, kind: Any) -> Any:
    if kind.num_fields == 0:
        return {"string_view": pa.large_string(), "binary_view": pa.large_binary()}.get(str(kind), kind)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_views(pa, field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_without_views(pa, kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_without_views(pa, kind.value_type)))
    return kind


def fixed_size_array(column: Any) -> Any:
    """Return a column of lists of one fixed size, or of such lists, as an ndarray; None for every other column.

    It is the column's own memory where that is in one chunk. Where a list or a number is missing there is no array.
    """
    import pyarrow as pa

    if not pa.types.is_fixed_size_list(column.type) or column.num_chunks != 1:
        return None
    array, shape = column.chunk(0), [len(column)]
    while pa.types.is_fixed_size_list(array.type):
        if array.null_count:
            return None
        size = array.type.list_size
        shape.append(size)
        array = array.values.slice(array.offset * size, len(array) * size)
    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    return array.to_numpy().reshape(shape) if is_number and not array.null_count else None
