"""Columns of Arrow and polars as Python has their values, where Python has them to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from palate._containers.nested_cells import plain_leaves
from palate._containers.unfit import Unfit, ask_package

__all__ = ["arrow_items", "polars_items", "refuse_lost_times", "refuse_wrapped_times"]


def arrow_items(column: Any) -> list[Any]:
    """Return the values of an Array or ChunkedArray of pyarrow, with None for null.

    Raises:
        Unfit: Python has no such value: of times of day it has no nanoseconds, of dates none beyond the year 9999.
    """
    refuse_lost_times(column)
    items: list[Any] = ask_package("Python", column.to_pylist)
    return items


def refuse_lost_times(column: Any) -> None:
    """Raise Unfit for a column of Arrow with times that pyarrow cuts without a word on the way to Python and pandas."""
    _refuse(column, _in_python, "they hold times of day finer than microseconds, or dates with a time of day")


def refuse_wrapped_times(column: Any) -> None:
    """Raise Unfit for a column of Arrow with times in seconds that are too many milliseconds for polars."""
    _refuse(column, _in_polars, "they hold times too far from 1970 for milliseconds")


def _refuse(column: Any, rule: Callable[[Any, Any], Any], message: str) -> None:
    import pyarrow as pa

    for leaf in plain_leaves(pa, column):
        kind = rule(pa, leaf.type)
        if kind is None:
            continue
        try:
            leaf.cast(kind)
        except pa.ArrowInvalid as exc:
            raise Unfit("wrong_value", message) from exc


def _in_python(pa: Any, kind: Any) -> Any:
    if kind == pa.time64("ns"):
        return pa.time64("us")
    return pa.date32() if kind == pa.date64() else None


def _in_polars(pa: Any, kind: Any) -> Any:
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    return pa.duration("ms") if kind == pa.duration("s") else None


def polars_items(series: Any) -> list[Any]:
    """Return the values of a polars Series, with None for null.

    Raises:
        Unfit: Python has no such value: its times have no nanoseconds.
    """
    import polars as pl

    for leaf in _polars_leaves(pl, series):
        kind = leaf.dtype
        if (kind == pl.Time or getattr(kind, "time_unit", None) == "ns") and (leaf.to_physical() % 1000 != 0).any():
            raise Unfit("wrong_value", "they hold times finer than microseconds, which Python does not have")
    items: list[Any] = ask_package("Python", series.to_list)
    return items


def _polars_leaves(pl: Any, series: Any) -> Iterator[Any]:
    if series.dtype == pl.Struct:
        for field in series.dtype.fields:
            yield from _polars_leaves(pl, series.struct.field(field.name))
    elif series.dtype in (pl.List, pl.Array):
        yield from _polars_leaves(pl, series.explode())
    else:
        yield series
