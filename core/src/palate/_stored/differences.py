"""How two predictions differ, in sentences: floats within a tolerance, everything else exactly.

What a model returns is compared by kind, not by class: float32 and float64 are both numbers, and pandas' ways to hold
text (object, str, string) are one, because they change between releases that predict the same.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Sequence
from typing import Any

from palate._enforcement.containers import is_arrow, is_dataframe, is_ndarray, is_polars, is_series, is_sparse

__all__ = ["differences", "tolerance_of"]

_MAX_SENTENCES = 5
_MAX_NAMES = 5
# (rtol, atol) by the bytes of a float: what other BLAS libraries, CPUs and releases make of the same sum.
_TOLERANCES = {2: (1e-2, 1e-3), 4: (1e-4, 1e-6), 8: (1e-7, 1e-9)}
_FAMILIES = {
    "b": "booleans",
    "i": "integers",
    "u": "integers",
    "f": "numbers",
    "c": "complex numbers",
    "U": "text",
    "T": "text",
    "S": "bytes",
    "M": "datetimes",
    "m": "durations",
}
_SCALARS = {"b": "a boolean", "i": "an integer", "u": "an integer", "f": "a number", "c": "a complex number"}

_BUILTINS: dict[type, str] = {  # bool before int, which it is a subclass of
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    complex: "a complex number",
    str: "text",
    bytes: "bytes",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
}


def tolerance_of(value: object) -> tuple[float, float]:
    """Return the relative and absolute tolerance that the least exact floats inside *value* call for."""
    return _TOLERANCES[min(_float_sizes(value), default=8)]


def _float_sizes(value: Any) -> set[int]:
    """Return the bytes of every kind of float inside, 8 for wider ones."""
    if isinstance(value, dict):
        return set().union(*map(_float_sizes, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_float_sizes, value))
    if is_dataframe(value):
        return set().union(*(_float_sizes(value.iloc[:, position]) for position in range(value.shape[1])))
    if is_arrow(value) or (is_polars(value) and hasattr(value, "get_columns")):
        columns = value.columns if is_arrow(value) else value.get_columns()
        return set().union(*({_named_size(str(getattr(c, "type", None) or c.dtype))} for c in columns))
    dtype: Any = getattr(value, "dtype", None)
    if getattr(dtype, "kind", None) in ("f", "c"):
        size: int = dtype.itemsize // (2 if dtype.kind == "c" else 1)
        return {min(size, 8)}
    if is_ndarray(value) and value.dtype == object:
        return set().union(*map(_float_sizes, value.ravel().tolist()))
    return {_named_size(str(dtype))} if is_polars(value) else set()


def _named_size(dtype: str) -> int:
    if "16" in dtype or "half" in dtype:
        return 2
    return 4 if "Float32" in dtype or "float" in dtype else 8  # Arrow's float is the 32-bit one


def differences(expected: object, given: object, *, rtol: float, atol: float) -> list[str]:
    """Return how *given* differs from *expected*, at most five sentences; empty when it does not.

    A float may be off by ``atol + rtol * abs(expected)``; NaN equals NaN.
    """
    comparison = _Comparison(rtol, atol)
    comparison.compare(expected, given, "the prediction")
    return comparison.found[:_MAX_SENTENCES]


class _Comparison:
    def __init__(self, rtol: float, atol: float) -> None:
        self.rtol, self.atol = rtol, atol
        self.found: list[str] = []

    def report(self, place: str, message: str) -> None:
        self.found.append(f"{place} {message}")

    def compare(self, expected: Any, given: Any, place: str) -> None:
        if len(self.found) >= _MAX_SENTENCES:
            return
        was, now = _kind(expected), _kind(given)
        if was != now:
            self.report(place, f"was {was}, is {now}")
        elif is_ndarray(expected):
            self.arrays(expected, given, place)
        elif is_dataframe(expected):
            self.frames(expected, given, place)
        elif is_series(expected):
            self.columns(expected, given, place)
        elif is_sparse(expected):
            self.sparse(expected, given, place)
        elif is_polars(expected) or is_arrow(expected):
            self.tables(expected, given, place)
        elif isinstance(expected, dict):
            self.mappings(expected, given, place)
        elif isinstance(expected, list | tuple):
            self.sequences(expected, given, place)
        else:
            self.scalars(expected, given, place)

    def scalars(self, expected: Any, given: Any, place: str) -> None:
        if _kind(expected) in ("a number", "a complex number"):
            equal = bool(self.close(_array([expected]), _array([given]))[0])
        else:
            equal = _same(expected, given)
        if not equal:
            self.report(place, f"was {reprlib.repr(expected)}, is {reprlib.repr(given)}")

    def mappings(self, expected: dict[Any, Any], given: dict[Any, Any], place: str) -> None:
        self.names(list(expected), list(given), place, "key")
        for key in expected:
            if key in given:
                self.compare(expected[key], given[key], f"{place}[{key!r:.60}]")

    def names(self, expected: list[Any], given: list[Any], place: str, word: str) -> bool:
        """Report what is missing and what is new; return whether nothing is."""
        before, after = set(expected), set(given)
        missing = [name for name in expected if name not in after]
        new = [name for name in given if name not in before]
        for what, names in (("lacks", missing), ("has a new", new)):
            if names:
                shown = ", ".join(f"{name!r:.60}" for name in names[:_MAX_NAMES])
                rest = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
                self.report(place, f"{what} {word} {shown}{rest}")
        return not missing and not new

    def sequences(self, expected: Sequence[Any], given: Sequence[Any], place: str) -> None:
        if len(expected) != len(given):
            self.report(place, f"had {len(expected)} items, has {len(given)}")
        elif expected and all(type(item) is float for item in (*expected, *given)):
            self.arrays(_array(list(expected)), _array(list(given)), place)
        else:
            for position, (was, now) in enumerate(zip(expected, given, strict=True)):
                self.compare(was, now, f"{place}[{position}]")

    # -- arrays --------------------------------------------------------------------------------------------------

    def arrays(self, expected: Any, given: Any, place: str) -> None:
        if expected.shape != given.shape:
            self.report(place, f"had the shape {expected.shape}, has {given.shape}")
            return
        was, now = _family(expected), _family(given)
        if was != now:
            self.report(place, f"held {was}, holds {now}")
        elif was == "objects":
            for position, (old, new) in enumerate(zip(expected.ravel(), given.ravel(), strict=True)):
                self.compare(old, new, f"{place}[{_position(expected, position)}]")
        else:
            self.values(expected, given, place)

    def values(self, expected: Any, given: Any, place: str) -> None:
        family = _family(expected)
        if family in ("numbers", "complex numbers"):
            equal = self.close(expected, given)
        else:
            equal = expected == given
            if expected.dtype.kind in "mM" and given.dtype.kind in "mM":
                equal = equal | ((expected != expected) & (given != given))  # NaT
        wrong = (~equal).ravel().nonzero()[0]
        if len(wrong):
            was, now = expected.ravel()[wrong[0]], given.ravel()[wrong[0]]
            where = f", first at [{_position(expected, int(wrong[0]))}]" if expected.ndim else ""
            shown = f"(was {reprlib.repr(_plain(was))}, is {reprlib.repr(_plain(now))})"
            self.report(place, f"differs in {len(wrong)} of {expected.size} values{where} {shown}")

    def close(self, expected: Any, given: Any) -> Any:
        import numpy

        wide = numpy.complex128 if expected.dtype.kind == "c" else numpy.float64
        old, new = (side.astype(numpy.result_type(side.dtype, wide), copy=False) for side in (expected, given))
        with numpy.errstate(invalid="ignore", over="ignore"):  # infinities, which == settles
            near = numpy.abs(new - old) <= self.atol + self.rtol * numpy.abs(old)
        near &= numpy.isfinite(old)
        return near | (old == new) | (numpy.isnan(old) & numpy.isnan(new))

    def sparse(self, expected: Any, given: Any, place: str) -> None:
        if expected.shape != given.shape:
            self.report(place, f"had the shape {expected.shape}, has {given.shape}")
            return
        old, new = expected.tocsr(copy=True), given.tocsr(copy=True)
        for matrix in (old, new):
            matrix.sum_duplicates()
            matrix.eliminate_zeros()
        if not (_same_array(old.indptr, new.indptr) and _same_array(old.indices, new.indices)):
            self.report(place, f"has its non-zero values at other places (had {old.nnz}, has {new.nnz})")
        else:
            self.arrays(old.data, new.data, place)

    # -- frames --------------------------------------------------------------------------------------------------

    def frames(self, expected: Any, given: Any, place: str) -> None:
        old, new = list(expected.columns), list(given.columns)
        if not self.names(old, new, place, "column"):
            return
        if old != new:
            self.report(place, "has its columns in another order")
            return
        if len(expected) != len(given):
            self.report(place, f"had {len(expected)} rows, has {len(given)}")
            return
        self.index(expected, given, place)
        for position, label in enumerate(old):
            where = f"{place}, column {label!r:.60},"
            self.column_values(expected.iloc[:, position], given.iloc[:, position], where)

    def columns(self, expected: Any, given: Any, place: str) -> None:
        if not _same(expected.name, given.name):
            self.report(place, f"was named {expected.name!r:.60}, is named {given.name!r:.60}")
        elif len(expected) != len(given):
            self.report(place, f"had {len(expected)} rows, has {len(given)}")
        else:
            self.index(expected, given, place)
            self.column_values(expected, given, place)

    def index(self, expected: Any, given: Any, place: str) -> None:
        if list(expected.index) != list(given.index):
            self.report(place, "has another row index")

    def column_values(self, expected: Any, given: Any, place: str) -> None:
        if len(self.found) >= _MAX_SENTENCES:
            return
        old, new = _column(expected), _column(given)
        if hasattr(expected.dtype, "categories") != hasattr(given.dtype, "categories"):
            words = ["categories" if hasattr(c.dtype, "categories") else "plain values" for c in (expected, given)]
            self.report(place, f"held {words[0]}, holds {words[1]}")
        elif not _same_array(old[1], new[1]):
            count = int((old[1] != new[1]).sum())
            self.report(place, f"has missing values in other rows than before ({count} rows differ)")
        else:
            self.arrays(old[0], new[0], place)

    def tables(self, expected: Any, given: Any, place: str) -> None:
        old, new = _table_columns(expected), _table_columns(given)
        if not self.names(list(old), list(new), place, "column"):
            return
        if list(old) != list(new):
            self.report(place, "has its columns in another order")
            return
        for name, (kind, values) in old.items():
            where = f"{place}, column {name!r:.60},"
            if kind != new[name][0]:
                self.report(where, f"held {kind}, holds {new[name][0]}")
            else:
                self.sequences(values, new[name][1], where)


# -- kinds -------------------------------------------------------------------------------------------------------------


def _kind(value: Any) -> str:
    """Return what a value is, in words that compare equal when only the class differs."""
    if value is None:
        return "None"
    if is_sparse(value):
        return "a sparse matrix"
    for word, test in (("an ndarray", is_ndarray), ("a DataFrame", is_dataframe), ("a Series", is_series)):
        if test(value):
            return word
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _SCALARS:
        return _SCALARS[value.dtype.kind]
    words = (word for kind, word in _BUILTINS.items() if isinstance(value, kind))
    return next(words, f"a {type(value).__qualname__}")


def _family(array: Any) -> str:
    if array.dtype.kind != "O":
        return _FAMILIES.get(array.dtype.kind, str(array.dtype))
    return "text" if array.size and all(isinstance(item, str) for item in array.ravel().tolist()) else "objects"


def _same(expected: Any, given: Any) -> bool:
    if expected is given:
        return True
    try:
        return bool(expected == given) or bool(expected != expected and given != given)
    except (TypeError, ValueError):  # a class whose == does not answer yes or no
        return False


def _same_array(expected: Any, given: Any) -> bool:
    return expected.shape == given.shape and bool((expected == given).all())


def _array(values: list[Any]) -> Any:
    import numpy

    return numpy.array(values)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and value.dtype.kind in "biufcU" else value


def _position(array: Any, flat: int) -> str:
    import numpy

    return ", ".join(str(int(step)) for step in numpy.unravel_index(flat, array.shape)) if array.ndim else "0"


def _column(column: Any) -> tuple[Any, Any]:
    """Return the values of a pandas column that are not missing, and which are missing."""
    import numpy

    missing = column.isna().to_numpy(dtype=bool)
    there, dtype = column[~missing], column.dtype
    if isinstance(dtype, numpy.dtype):
        return there.to_numpy(), missing
    if getattr(dtype, "tz", None) is not None:
        return there.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), missing
    plain = getattr(dtype, "numpy_dtype", None)
    if plain is not None and plain.kind in "biuf":
        return there.to_numpy(dtype=plain), missing
    return there.to_numpy(dtype=object), missing


def _table_columns(table: Any) -> dict[str, tuple[str, list[Any]]]:
    """Return the columns of a polars or Arrow frame: a type without its width, and the values."""
    if is_arrow(table):
        named = [
            (name, str(column.type), column.to_pylist())
            for name, column in zip(table.schema.names, table.columns, strict=True)
        ]
    else:
        columns = table.get_columns() if hasattr(table, "get_columns") else [table]
        named = [(column.name, str(column.dtype), column.to_list()) for column in columns]
    return {name: (_without_width(kind), values) for name, kind, values in named}


def _without_width(kind: str) -> str:
    words = kind.lower().rstrip("0123456789").replace("uint", "int").replace("large_", "")
    return {"double": "float", "halffloat": "float"}.get(words, words)
