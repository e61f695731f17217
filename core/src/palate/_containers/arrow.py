"""Frames and columns that speak Arrow's PyCapsule interface, as pyarrow Tables."""

from __future__ import annotations

from typing import Any

from palate._containers.kinds import is_arrow, is_polars
from palate._containers.unfit import Unfit, refusals
from palate.errors import DependencyMissing

__all__ = ["fixed_size_array", "holds_objects", "to_arrow", "without_nested_views"]


def to_arrow(data: Any) -> Any:
    """Return what speaks Arrow's PyCapsule interface as a pyarrow Table, uncopied.

    A single column keeps its name, which is "" if it has none. A stream is read once, to its end; from one that was
    read before come no rows, which nothing tells from a stream that never had any. What a source raises while it is
    read passes as it is: the data may be fine, and only the source knows.

    Raises:
        Unfit: pyarrow does not know one of its types, as with 128-bit integers.
        DependencyMissing: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as exc:
        raise DependencyMissing("pyarrow", needed_for=f"A {_kind(data)}", install="palate[parquet]") from exc
    frame = _frame_of_its_own(data) if is_polars(data) else data
    if is_polars(frame):
        _refuse_objects(frame)
    refused = refusals() if is_polars(frame) else (pa.ArrowException,)
    try:
        source = _open(pa, frame)
    except refused as exc:
        unknown = ", ".join(_unknown_columns(pa, frame)[:10])
        message = f"pyarrow has no form for {f'the column {unknown}' if unknown else 'a column'} of this {_kind(data)}"
        raise Unfit("wrong_type", message, hint="cast it to a type that pyarrow has, or leave it out") from exc
    if is_arrow(source):
        return source
    return pa.table({"": pa.chunked_array(frame)}) if source is None else source.read_all()


def _frame_of_its_own(data: Any) -> Any:
    """Return a polars DataFrame with the memory of *data* that no other thread has.

    To hand out its memory, polars locks a DataFrame and waits with the interpreter's lock in hand. A thread that was
    just reading the columns of the same object would never come to give back its own (pola-rs/polars#27396).
    """
    return data.to_frame() if hasattr(data, "to_frame") else data.clone()


def _refuse_objects(frame: Any) -> None:
    """Refuse columns of Python's objects, of which polars hands out the addresses in memory."""
    if objects := [f"{name!r:.60}" for name, kind in frame.schema.items() if holds_objects(kind)]:
        message = f"holds Python objects in {', '.join(objects[:10])}, for which only polars has a type"
        raise Unfit("wrong_type", message, hint="make it a column of one of polars' own types")


def holds_objects(kind: Any) -> bool:
    """Tell whether a type of polars is Object, or is made of it, as that of arrays of objects is."""
    inner = [getattr(kind, part) for part in ("inner", "key", "value") if hasattr(kind, part)]  # of lists and maps
    inner += [field.dtype for field in getattr(kind, "fields", ())]
    return kind.is_object() or any(map(holds_objects, inner))


def _kind(data: object) -> str:
    return f"{type(data).__module__.partition('.')[0]} {type(data).__name__}"


def _unknown_columns(pa: Any, frame: Any) -> list[str]:
    """Return the columns of a polars frame that pyarrow refuses; none where columns cannot be asked for."""
    unknown = []
    for column in frame.get_columns() if is_polars(frame) else ():
        try:
            pa.table(column.to_frame())
        except refusals():
            unknown.append(f"{column.name!r:.60}")
    return unknown


def _open(pa: Any, data: Any) -> Any:
    """Return a Table, or a reader of one of which no row has been read yet; None for a stream of one column."""
    if is_arrow(data):
        return pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
    if isinstance(data, pa.RecordBatchReader):
        return data  # through the interface its own exceptions would become text
    if is_polars(data):
        return pa.table(data)
    if isinstance(data, pa.ChunkedArray) or not hasattr(data, "__arrow_c_stream__"):
        column = data if isinstance(data, pa.ChunkedArray) else pa.chunked_array([pa.array(data)])
        is_table = pa.types.is_struct(column.type) and not column.null_count
        return pa.Table.from_struct_array(column) if is_table else pa.table({"": column})
    try:
        return pa.RecordBatchReader.from_stream(data)
    except pa.ArrowInvalid as exc:
        # To try and read it as the other would empty a stream that can be read once.
        if "non-struct type" in str(exc):
            return None
        raise


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
    if pa.types.is_map(kind):
        return pa.map_(_without_views(pa, kind.key_type), _without_views(pa, kind.item_type), kind.keys_sorted)
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
