"""Cells of nested Arrow columns that pandas would change: integers beside gaps, and times that are members."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from palate._containers.arrays import object_array
from palate._containers.unfit import Unfit, ask_package

__all__ = ["exact_cells", "needs_exact_cells", "plain_leaves"]


def needs_exact_cells(column: Any) -> bool:
    """Tell whether pandas changes values of a nested ChunkedArray.

    It makes floats of integers in lists and objects where one of them is missing, and plain integers of the times that
    are members of an object.
    """
    import pyarrow as pa

    if not _is_open(pa, column.type):
        return False
    if any(_is_time(pa, kind) for kind in _member_types(pa, column.type)):
        return True
    if not _holds_integers(pa, column.type):
        return False
    return any(leaf.null_count for leaf in plain_leaves(pa, column) if _is_integer(pa, leaf.type))


def plain_leaves(pa: Any, column: Any) -> Iterator[Any]:
    """Yield the Arrays of plain values in an Array or ChunkedArray that may be nested."""
    if isinstance(column, pa.ChunkedArray):
        parts = column.chunks
    elif pa.types.is_struct(column.type):
        parts = column.flatten()
    elif pa.types.is_map(column.type):
        parts = [column.keys, column.items]
    elif _is_open(pa, column.type):  # a list of some kind
        parts = [column.flatten()]
    else:
        yield column
        return
    for part in parts:
        yield from plain_leaves(pa, part)


def exact_cells(column: Any) -> list[Any]:
    """Return the cells of a nested ChunkedArray: dicts, and arrays of objects where pandas makes arrays.

    Raises:
        Unfit: a map holds a key twice, or an object a name.
    """
    return [_as_cell(value, column.type) for value in ask_package("pyarrow", column.to_pylist)]


def _is_open(pa: Any, kind: Any) -> bool:
    """Tell whether a type has lists or objects of others; pandas takes no unions."""
    return bool(pa.types.is_nested(kind) and not pa.types.is_union(kind) and not pa.types.is_run_end_encoded(kind))


def _is_time(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_duration(kind))


def _is_integer(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or (pa.types.is_dictionary(kind) and pa.types.is_integer(kind.value_type)))


def _children(kind: Any) -> list[Any]:
    """Return the types directly inside of a nested type; a map holds objects of a key and a value."""
    return [kind.field(position).type for position in range(kind.num_fields)]


def _member_types(pa: Any, kind: Any) -> Iterator[Any]:
    for child in _children(kind):
        if pa.types.is_struct(kind):
            yield child
        yield from _member_types(pa, child)


def _holds_integers(pa: Any, kind: Any) -> bool:
    return any(_is_integer(pa, child) or _holds_integers(pa, child) for child in _children(kind))


def _as_cell(value: Any, kind: Any) -> Any:
    import pyarrow.types as kinds

    if value is None or not kinds.is_nested(kind):
        return value
    if kinds.is_struct(kind):
        return {field.name: _as_cell(value[field.name], field.type) for field in kind}
    if kinds.is_map(kind):
        return _as_dict(value, kind.item_type)
    return object_array([_as_cell(item, kind.value_type) for item in value])


def _as_dict(pairs: list[tuple[Any, Any]], kind: Any) -> dict[Any, Any]:
    members = {key: _as_cell(value, kind) for key, value in pairs}
    if len(members) < len(pairs):
        raise Unfit("wrong_value", "holds a map in which a key stands twice")
    return members
