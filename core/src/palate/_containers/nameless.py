"""Data without a column's name, for a model whose columns are found by name."""

from __future__ import annotations

from typing import Any

from palate._containers.kinds import is_scalar, is_series
from palate._containers.unfit import Unfit
from palate.schema import ColSpec

__all__ = ["COLUMNS_HINT", "list_names", "refuse_nameless"]

COLUMNS_HINT = "pass a DataFrame, a dict of columns, or a list of records"
_MOST_SHOWN = 10


def refuse_nameless(data: Any, columns: tuple[ColSpec, ...]) -> None:
    """Raise Unfit for text, a number, an empty list or one row as a Series, where a column needs its name.

    Data of the other kinds may have names, or is told of by column.
    """
    if not (is_scalar(data) or is_series(data) or (isinstance(data, list) and not data)):
        return
    # pandas calls the column of a number 0.
    if not any(spec.required and spec.name not in (None, 0, "0") for spec in columns):
        return
    names = [spec.name for spec in columns]
    needs = f"needs the column(s) {list_names(names)}"
    if isinstance(data, list) and not data:
        raise Unfit("missing", f"{needs}, got an empty list", hint="pass a list of records, or a DataFrame of no rows")
    if isinstance(data, str | bytes):
        hint = "a file is to be read first, into a DataFrame, a dict of columns, or a list of records"
        raise Unfit("wrong_type", f"{needs}, got {'text' if isinstance(data, str) else 'bytes'}", hint=hint)
    if is_scalar(data):
        raise Unfit("wrong_type", f"{needs}, got a single {type(data).__name__}", hint=COLUMNS_HINT)
    if is_series(data) and data.name not in names and any(name in data.index for name in names):
        message = f"{needs}, got a Series, which is one column"
        raise Unfit("wrong_shape", message, hint="of a DataFrame a row is df.iloc[[1]], not df.iloc[1]")


def list_names(names: list[Any]) -> str:
    """Return names as a sentence lists them, ten at most."""
    shown = [f"{name!s:.60}" for name in names[:_MOST_SHOWN]]
    return ", ".join([*shown, *(["…"] if len(names) > _MOST_SHOWN else [])])
