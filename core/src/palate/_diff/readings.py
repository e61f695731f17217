"""How plain Python lists and dicts are cut into rows and cells, which the types of the columns decide.

Another cut breaks callers even if nothing is refused: the model gets other cells.
"""

from __future__ import annotations

from collections.abc import Iterator

from palate._diff.change import Change, Place
from palate.schema import NUMBERS, AnyType, Array, ColSpec, Object, Schema, SparkVector

__all__ = ["compare_readings"]


def compare_readings(old: Schema, new: Schema, where: Place) -> Iterator[Change]:
    """Yield in what other way lists and dicts are read by a schema of inputs than by the one before."""
    detail = None
    if _has_nested(old) != _has_nested(new):
        was, now = ("one row" if _has_nested(schema) else "several rows" for schema in (old, new))
        detail = f"a dict of lists was {was}, and is {now}: whether any column holds lists or objects decides that"
    elif _list_depth(old) != _list_depth(new):
        detail = "nested lists are cut into cells at another depth"
    elif _loses_times(old, new):
        detail = "a dict of lists of text was several rows, and is one row: no column in it is of times any more"
    if detail is not None:
        yield Change(part="inputs", where=where, kind="changed", detail=detail, breaks=True)


def _has_nested(schema: Schema) -> bool:
    return any(isinstance(column.type, Array | Object | SparkVector) for column in schema.columns)


def _list_depth(schema: Schema) -> int:
    """Return how deep a list is that may be a cell of the only column, which has no name; 0 for other schemas."""
    depth = 0
    if len(schema) == 1 and not schema.is_named and schema.columns:
        kind = schema.columns[0].type
        while isinstance(kind, Array):
            kind, depth = kind.items, depth + 1
    return depth


def _loses_times(old: Schema, new: Schema) -> bool:
    """Whether a dict of lists of text, which times may be sent as, was columns and is one row.

    Each list of text is one cell, unless a column among them cannot hold lists.
    """
    sent = [column for column in old.columns if column.required]
    if not old.is_named or not all(_takes_text(column) for column in sent):
        return False
    columns = {column.name for column in new.columns if column.type in NUMBERS or column.type == "datetime"}
    times = {column.name for column in old.columns if column.type == "datetime"}
    return columns.isdisjoint(column.name for column in sent) and not times <= columns


def _takes_text(column: ColSpec) -> bool:
    return column.type in ("string", "datetime") or isinstance(column.type, AnyType)
