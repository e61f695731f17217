"""Columns of a DataFrame: each converted to its type without changing a value, or refused.

A column is compiled once. ``passes`` answers by the dtype alone whether the column can be left as it is; ``convert``
does the rest and returns the very same Series when nothing had to change.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from palate._containers.exactness import cast_number, is_missing, read_decimal, read_instant
from palate._containers.unfit import Unfit
from palate._containers.wrapped import cast_with_gaps, from_arrow, is_blank, plain_values
from palate._enforcement.cells import Column, InvalidCells
from palate._enforcement.facts import NULLABLE, LimitedColumn, NullableColumn, ZonedColumn, unknown_text
from palate._enforcement.nested import NUMPY_NAMES, Report, compile_field
from palate.schema import INTEGERS, AnyType, ColSpec, Scalar

__all__ = ["compile_column"]


def compile_column(spec: ColSpec, *, required: bool = True) -> Column:
    """Compile a column of a schema; *required* says whether its nested cells must be there."""
    column = _compile_type(spec, required=required)
    is_limited = spec.nullable is False or spec.closed or spec.minimum is not None or spec.maximum is not None
    return LimitedColumn(spec, column) if is_limited else column


def _compile_type(spec: ColSpec, *, required: bool) -> Column:
    if not isinstance(spec.type, str):
        return _NestedColumn(spec, required=required)
    if spec.categorical and spec.categories is not None:
        return _CategoricalColumn(spec.type, spec.categories)
    if spec.type in ("string", "binary"):
        return _TextColumn(spec.type)
    plain = _NumpyColumn(spec.type)
    if spec.timezone is not None:
        return ZonedColumn(spec.timezone, plain)
    if spec.nullable and spec.type in NULLABLE:
        return NullableColumn(spec.type, plain)
    return plain


# -- scalar columns ----------------------------------------------------------------------------------------------------


class _NumpyColumn:
    """A column that numpy has a dtype for: numbers, truth values, datetimes."""

    __slots__ = ("_dtype", "_kind")

    def __init__(self, kind: Scalar) -> None:
        import numpy as np

        self._kind = kind
        self._dtype = np.dtype(NUMPY_NAMES[kind])

    def passes(self, dtype: Any) -> bool:
        return bool(dtype == self._dtype)

    def convert(self, series: Any) -> Any:
        import pandas as pd

        if series.dtype == self._dtype:
            return series
        if series.dtype == object:
            return self._convert_objects(series)
        if is_blank(series):
            return self._convert_objects(_without_type(series))
        if _is_category(series.dtype):
            return _by_category(series, self)
        if isinstance(series.dtype, pd.StringDtype) and self._kind != "datetime":
            raise Unfit("wrong_type", f"needs {self._kind}, got text")
        values, missing = plain_values(series)
        if values.dtype == object:
            return self._items(values.tolist())
        return self._fill(values, missing)

    def _fill(self, values: Any, missing: Any) -> Any:
        import numpy as np

        if missing is not None and missing.any() and self._kind == "boolean":
            gaps = values.astype(object)
            gaps[missing] = None  # as the column comes from JSON, and as an object column passes
            return gaps
        if missing is not None and missing.any() and self._dtype.kind != "f":
            raise Unfit("missing", f"holds {int(missing.sum())} missing value(s); {self._hint()}")
        if values.dtype.kind == "f" and self._dtype.kind == "i" and (count := int(np.isnan(values).sum())):
            given = f"{values.dtype} with {count} missing value(s)"
            raise Unfit("missing", f"needs {self._kind}, got {given}; {self._hint()}")
        return cast_with_gaps(values, missing, self._dtype)

    def _hint(self) -> str:
        if self._kind in INTEGERS:
            return (
                "integers cannot be missing here. Fill them in before the call, or let the column be nullable: the "
                f"model then gets pandas' {NULLABLE[self._kind]}"
            )
        return f"{self._kind} values cannot be missing here. Fill them in before the call"

    def _convert_objects(self, series: Any) -> Any:
        if self._kind == "boolean":
            return self._convert_truth(series)
        return self._items(series.tolist())

    def _convert_truth(self, series: Any) -> Any:
        import pandas as pd

        inferred = series.infer_objects()
        if inferred.dtype == self._dtype:
            return inferred
        # MLflow hands on what pandas cannot classify, most of all truth values with None among them. pandas 2 gives
        # text no dtype of its own, so that MLflow lets "false" through there.
        if inferred.dtype == object and pd.api.types.infer_dtype(series) != "string":
            return series
        raise Unfit("wrong_type", f"needs boolean, got {pd.api.types.infer_dtype(series)} values")

    def _items(self, items: list[Any]) -> Any:
        import numpy as np

        if self._kind == "datetime":
            never = np.datetime64("NaT", "ns")
            return np.array([never if is_missing(item) else read_instant(item) for item in items], dtype=self._dtype)
        kinds = set(map(type, items))
        if self._kind == "double" and kinds <= {bool, np.bool_} and items:
            raise Unfit("wrong_type", "needs double, got boolean")
        missing = sum(map(is_missing, items))
        if missing and self._dtype.kind == "i":
            raise Unfit("missing", f"needs {self._kind}, got {missing} missing value(s); {self._hint()}")
        return np.array([self._number(item) for item in items], dtype=self._dtype)

    def _number(self, item: Any) -> Any:
        import numpy as np

        if is_missing(item):
            if self._dtype.kind == "f" and type(item).__name__ not in ("NaTType", "datetime64"):
                return float("nan")
            raise Unfit("wrong_type", f"needs {self._kind}, got {type(item).__name__}")
        if self._kind == "double" and isinstance(item, Decimal):
            return read_decimal(item)
        if self._kind == "double" and isinstance(item, bool | np.bool_):
            return float(item)  # among numbers, as MLflow takes it
        return cast_number(item, self._dtype)


class _TextColumn:
    """A column of text or bytes. As in MLflow, an object column passes whatever it holds."""

    __slots__ = ("_kind",)

    def __init__(self, kind: Scalar) -> None:
        self._kind = kind

    def passes(self, dtype: Any) -> bool:
        import pandas as pd

        return getattr(dtype, "char", "") == "O" or isinstance(dtype, pd.StringDtype)

    def convert(self, series: Any) -> Any:
        import pandas as pd

        if self.passes(series.dtype):
            return series
        if is_blank(series):
            return _without_type(series)
        if _is_category(series.dtype):
            return _by_category(series, self)
        if isinstance(series.dtype, pd.ArrowDtype):
            plain = from_arrow(series)
            if self.passes(plain.dtype) and pd.api.types.infer_dtype(plain) in ("string", "bytes", "empty"):
                return plain
        raise Unfit("wrong_type", f"needs {self._kind}, got {series.dtype}")


class _CategoricalColumn:
    """A column the model was given as a pandas categorical, with exactly these categories in this order."""

    __slots__ = ("_categories", "_kind", "_plain")

    def __init__(self, kind: Scalar, categories: tuple[object, ...]) -> None:
        self._kind = kind
        self._plain = compile_column(ColSpec(type=kind))
        self._categories = list(categories)

    def passes(self, dtype: Any) -> bool:
        if not _is_category(dtype):
            return False
        given = dtype.categories.tolist()
        return given == self._categories and list(map(type, given)) == list(map(type, self._categories))

    def convert(self, series: Any) -> Any:
        import numpy as np
        import pandas as pd

        if self.passes(series.dtype):
            return series
        if _is_category(series.dtype) and not is_blank(series):
            series = series.cat.remove_unused_categories()
            known = self._codes(pd.Series(series.cat.categories))
            codes = known.take(series.cat.codes.to_numpy())
            codes[series.cat.codes.to_numpy() == -1] = -1
            # Whether they are ordered is the caller's to say, as where it passes, if they are in the same order.
            ordered = series.cat.ordered and bool((np.diff(known) > 0).all())
        else:
            codes, ordered = self._codes(series), False
        dtype = pd.CategoricalDtype(self._categories, ordered=ordered)
        return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype), index=series.index, name=series.name)

    def _codes(self, series: Any) -> Any:
        import numpy as np
        import pandas as pd

        there = series.notna().to_numpy()
        codes = np.full(len(series), -1, dtype=np.int64)
        if is_blank(series):
            return codes
        values = self._plain.convert(series[there].reset_index(drop=True))
        try:
            codes[there] = pd.Index(self._categories).get_indexer(pd.Index(values))
        except TypeError as exc:  # lists and dicts cannot be looked up
            raise Unfit("wrong_type", "holds values that no category can be") from exc
        if values.dtype == object and self._kind == "boolean":  # to pandas, 1 is equal to True
            foreign = [not isinstance(value, bool | np.bool_) for value in values]
            codes[np.flatnonzero(there)[foreign]] = -1
        if unknown := int((codes[there] == -1).sum()):
            raise Unfit("wrong_value", unknown_text(unknown, len(self._categories)))
        return codes


def _without_type(series: Any) -> Any:
    """Return a Series whose cells are all missing as one of None."""
    import pandas as pd

    return pd.Series([None] * len(series), index=series.index, name=series.name, dtype=object)


def _is_category(dtype: Any) -> bool:
    import pandas as pd

    return isinstance(dtype, pd.CategoricalDtype)


def _by_category(series: Any, column: Column) -> Any:
    import pandas as pd

    used = series.cat.remove_unused_categories()
    codes = used.cat.codes.to_numpy()
    values = pd.Series(column.convert(pd.Series(used.cat.categories)))
    if (codes == -1).any():
        if values.dtype.kind in "iub":
            count = int((codes == -1).sum())
            raise Unfit("missing", f"holds {count} missing value(s), which {values.dtype} cannot; fill them in first")
        # Rows that are missing point at one more value behind the categories: a missing one of the same dtype.
        values = values.reindex(range(len(values) + 1))
    return values.take(codes if len(values) else codes[:0]).set_axis(series.index).rename(series.name)


# -- nested columns ----------------------------------------------------------------------------------------------------


class _NestedColumn:
    """A column of lists, dicts, or anything."""

    __slots__ = ("_any", "_convert", "_required")

    def __init__(self, spec: ColSpec, *, required: bool) -> None:
        self._any = isinstance(spec.type, AnyType)
        self._convert = compile_field(spec.type)
        self._required = required

    def passes(self, dtype: Any) -> bool:  # noqa: ARG002 - no dtype tells what the cells are
        return self._any

    def convert(self, series: Any) -> Any:
        import numpy as np
        import pandas as pd

        if self._any:
            return series
        if isinstance(series.dtype, pd.ArrowDtype) and "map<" in str(series.dtype):
            series = from_arrow(series)  # by itself pandas makes lists of pairs of maps
        report, given = Report(), series.tolist()
        converted = np.empty(len(given), dtype=object)
        for row, cell in enumerate(given):
            report.row = row
            converted[row] = self._convert(cell, self._required, report)
        if problems := report.problems():
            raise InvalidCells(problems)
        if series.dtype == object and all(a is b for a, b in zip(given, converted, strict=True)):
            return series
        return pd.Series(converted, index=series.index, name=series.name)
