"""Columns of which more is known than MLflow's grammar can say: gaps, bounds, time zones.

Each stands around the column of its type, and lets that one convert.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from palate._containers.exactness import is_missing
from palate._containers.unfit import Unfit
from palate._containers.wrapped import plain_values
from palate._enforcement.cells import Column, InvalidCells
from palate._enforcement.nested import NUMPY_NAMES
from palate.errors import Problem
from palate.schema import INTEGERS, ColSpec, Scalar, whole_bounds

__all__ = ["NULLABLE", "LimitedColumn", "NullableColumn", "ZonedColumn", "unknown_text"]

NULLABLE: dict[Scalar, str] = {"integer": "Int32", "long": "Int64", "boolean": "boolean"}
"""The pandas dtypes that hold missing values beside those of a type which numpy has no gaps for."""
_TIMES = "holds times, or NaT, among its values"


class NullableColumn:
    """Integers or truth values of which some may be missing: pandas' own dtype for that, whether some are or not."""

    __slots__ = ("_dtype", "_kind", "_plain")

    def __init__(self, kind: Scalar, plain: Column) -> None:
        import pandas as pd

        self._kind, self._plain = kind, plain
        self._dtype = pd.api.types.pandas_dtype(NULLABLE[kind])

    def passes(self, dtype: Any) -> bool:
        return bool(self._dtype == dtype)

    def convert(self, series: Any) -> Any:
        import numpy as np
        import pandas as pd

        if self.passes(series.dtype):
            return series
        missing = _find_gaps(series)
        values = np.zeros(len(series), dtype=self._dtype.numpy_dtype)
        if not missing.all():
            values[~missing] = self._convert_present(series[~missing] if missing.any() else series)
        array = pd.arrays.BooleanArray if self._kind == "boolean" else pd.arrays.IntegerArray
        return pd.Series(array(values, missing), index=series.index, name=series.name)

    def _convert_present(self, series: Any) -> Any:
        present = self._plain.convert(series)
        if present.dtype != self._dtype.numpy_dtype:  # truth values among others, which MLflow hands on as they are
            others = sorted({type(item).__name__ for item in present.tolist()} - {"bool", "bool_"})
            raise Unfit("wrong_type", f"needs {self._kind}, got {', '.join(others[:10])} among the values")
        return present


def _find_gaps(series: Any) -> Any:
    """Return where a Series lacks a number or a truth value. Raises Unfit where it lacks a time."""
    import numpy as np

    if series.dtype == object:
        items = series.tolist()
        if any(type(item).__name__ in ("NaTType", "datetime64") for item in items):
            raise Unfit("wrong_type", _TIMES)
        return np.fromiter(map(is_missing, items), bool, count=len(items))
    if series.dtype.kind in "mM":
        raise Unfit("wrong_type", _TIMES)
    missing = series.isna().to_numpy()
    if series.dtype.kind == "f" and not isinstance(series.dtype, np.dtype):  # NaN beside NA, in Float64 and Arrow's
        missing = missing | np.isnan(plain_values(series)[0])
    return missing


class ZonedColumn:
    """Datetimes in a time zone; those without one count as UTC."""

    __slots__ = ("_dtype", "_plain")

    def __init__(self, timezone: str, plain: Column) -> None:
        import pandas as pd

        self._dtype, self._plain = pd.DatetimeTZDtype("ns", timezone), plain

    def passes(self, dtype: Any) -> bool:
        return bool(self._dtype == dtype)

    def convert(self, series: Any) -> Any:
        import numpy as np
        import pandas as pd

        if self.passes(series.dtype):
            return series
        moments = np.array(self._plain.convert(series))  # a copy: what the model writes is not the caller's
        zoneless = pd.Series(moments, index=series.index, name=series.name, copy=False)
        return zoneless.dt.tz_localize("UTC").dt.tz_convert(self._dtype.tz)


class LimitedColumn:
    """A column whose cells must be there, lie within bounds or be among some. It does not pass by its dtype."""

    __slots__ = ("_column", "_is_complete", "_known", "_maximum", "_minimum", "_spec")

    def __init__(self, spec: ColSpec, column: Column) -> None:
        self._spec, self._column = spec, column
        self._is_complete = spec.nullable is False
        is_open = spec.categorical or not spec.closed  # a categorical column looks at its categories itself
        self._known = None if is_open or spec.categories is None else _as_cells(spec.categories, column)
        self._minimum = None if spec.minimum is None else _limit(spec, spec.minimum, math.inf)
        self._maximum = None if spec.maximum is None else _limit(spec, spec.maximum, -math.inf)

    def passes(self, dtype: Any) -> bool:  # noqa: ARG002 - no dtype tells what the cells are
        return False

    def convert(self, series: Any) -> Any:
        converted = self._column.convert(series)
        if problems := list(self._find(converted)):
            raise InvalidCells(problems)
        return converted

    def _find(self, converted: Any) -> Iterator[Problem]:
        import pandas as pd

        if self._is_complete and (count := int(pd.isna(converted).sum())):
            message = f"holds {count} missing value(s), and this column is declared to have none"
            yield Problem((), "missing", message)
        if self._known is not None and (count := _count_unknown(converted, self._known)):
            yield Problem((), "wrong_value", unknown_text(count, len(self._known)))
        if self._minimum is None and self._maximum is None:
            return
        values, missing = plain_values(pd.Series(converted))
        if missing is not None:
            values = values[~missing]
        if self._minimum is not None and (count := int((values < self._minimum).sum())):
            yield Problem((), "wrong_value", f"holds {count} value(s) below the minimum, {self._spec.minimum}")
        if self._maximum is not None and (count := int((values > self._maximum).sum())):
            yield Problem((), "wrong_value", f"holds {count} value(s) above the maximum, {self._spec.maximum}")


def _as_cells(categories: tuple[object, ...], column: Column) -> Any:
    """Return categories as the column's cells are when they come to the model."""
    import pandas as pd

    return pd.Series(column.convert(pd.Series(list(categories), dtype=object)))


def _count_unknown(converted: Any, known: Any) -> int:
    import pandas as pd

    cells = pd.Series(converted)
    try:
        inside = cells.isin(known)
    except TypeError as exc:  # lists and dicts cannot be looked up
        raise Unfit("wrong_type", "holds values that no category can be") from exc
    return 0 if inside.all() else int((~inside & cells.notna()).sum())


def unknown_text(count: int, known: int) -> str:
    """Return what to say of cells, *count* in number, outside of *known* categories."""
    return f"holds {count} value(s) outside the {known} known categories"


def _limit(spec: ColSpec, bound: float, inward: float) -> Any:
    """Return the last number of the column's dtype that *bound* admits, seen in the direction *inward*.

    A decimal bound of a float column is the float32 nearest to it, as 0.1 in its cells is: only that compares equal.
    """
    import numpy as np

    dtype = np.dtype(NUMPY_NAMES[str(spec.type)])
    if spec.type in INTEGERS:
        return dtype.type(whole_bounds(spec)[inward < 0])
    with np.errstate(over="ignore"):
        nearest = dtype.type(float(bound))
    if isinstance(bound, float) and math.isfinite(nearest):
        return nearest
    outside = nearest.item() < bound if inward > 0 else nearest.item() > bound
    return np.nextafter(nearest, dtype.type(inward)) if outside else nearest
