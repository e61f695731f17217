"""Arrays, objects and maps inside a cell or a param: checked and converted on a copy.

A type is compiled once to a function from a value to the converted value. What fits already comes back as the same
object; what does not is written to a report, so that one pass finds every problem.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from palate._containers.arrays import object_array
from palate._containers.exactness import (
    cast_array,
    cast_list,
    cast_number,
    is_missing,
    read_decimal,
    read_instant,
)
from palate._containers.kinds import is_ndarray
from palate._containers.unfit import Unfit
from palate.errors import Problem, ProblemKind
from palate.schema import AnyType, Array, FieldType, Map, Object, Scalar, SparkVector, type_text

__all__ = ["NUMPY_NAMES", "Convert", "Report", "as_is", "compile_field"]

NUMPY_NAMES: dict[str, str] = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "datetime": "datetime64[ns]",
}

# The Python types that pass as they are; MLflow lets through what pandas calls an object, so bytes for text and back.
_PLAIN: dict[str, tuple[type, ...]] = {
    "boolean": (bool, bytes, Decimal),
    "string": (str, bytes, Decimal),
    "binary": (bytes, str, Decimal),
}
# The names of Python's truth value and of numpy's, which was bool_ up to numpy 1.
_TRUTH = ("bool", "bool_")


class Report:
    """Collects what is wrong in nested values, once per place and reason however many rows have it."""

    __slots__ = ("_found", "row", "where")

    def __init__(self) -> None:
        self.row: int | None = None
        self.where: list[str | int] = []
        self._found: dict[tuple[tuple[str | int, ...], ProblemKind, str], list[Any]] = {}

    def add(self, kind: ProblemKind, message: str) -> None:
        """Note a problem at the current place and row."""
        seen = self._found.setdefault((tuple(self.where), kind, message), [self.row, 0])
        seen[1] += 1

    def problems(self) -> list[Problem]:
        """Return one problem for each place and reason."""
        found = []
        for (where, kind, message), (row, count) in self._found.items():
            times = f" (in row {row})" if count == 1 else f" (first in row {row}; {count} times)"
            found.append(Problem(where, kind, message + ("" if row is None else times)))
        return found


Convert: TypeAlias = Callable[[Any, bool, Report], Any]
"""From a value, whether it is required, and a report, to the converted value."""


def as_is(value: Any, required: bool, report: Report) -> Any:  # noqa: ARG001 - it stands where a Convert stands
    """Let any value pass."""
    return value


def compile_field(kind: FieldType) -> Convert:
    """Compile a type to the function that checks and converts its values."""
    match kind:
        case Array(items=AnyType()):
            return _any_array(kind)
        case SparkVector():
            return _scalar_array(kind, "double")
        case Array(items=str() as items):
            return _scalar_array(kind, items)
        case Array(items=items):
            return _nested_array(kind, compile_field(items))
        case Map(values=values):
            return _map(kind, compile_field(values), lenient=isinstance(values, AnyType))
        case Object():
            return _object(kind)
        case AnyType():
            return as_is
        case _:
            return _scalar(kind)


# -- scalars -----------------------------------------------------------------------------------------------------------


def _scalar(kind: Scalar) -> Convert:
    convert = _value_converter(kind)

    def scalar(value: Any, required: bool, report: Report) -> Any:
        if is_missing(value):
            if not required:
                return None
            if value is None or kind not in ("double", "float", "datetime"):
                report.add("missing", f"needs {kind}, got a missing value")
                return value
        try:
            return convert(value)
        except Unfit as exc:
            report.add(exc.kind, str(exc))
            return value

    return scalar


def _value_converter(kind: Scalar) -> Callable[[Any], Any]:
    if kind == "datetime":
        return _timestamp
    return _plain_converter(kind) if kind in _PLAIN else _number_converter(kind)


def _plain_converter(kind: Scalar) -> Callable[[Any], Any]:
    types = _PLAIN[kind]

    def plain(value: Any) -> Any:
        if isinstance(value, types) or (kind == "boolean" and type(value).__name__ in _TRUTH):
            return value
        if kind == "binary" and isinstance(value, bytearray):
            return bytes(value)
        raise Unfit("wrong_type", f"needs {kind}, got {type(value).__name__}")

    return plain


def _number_converter(kind: Scalar) -> Callable[[Any], Any]:
    name = NUMPY_NAMES[kind]

    def number(value: Any) -> Any:
        import numpy as np

        if type(value) is float and kind == "double":
            return value
        if type(value) is int and kind == "long" and -(2**63) <= value < 2**63:
            return value
        if kind == "double" and isinstance(value, Decimal):
            return np.float64(read_decimal(value))
        return cast_number(value, np.dtype(name))

    return number


def _timestamp(value: Any) -> Any:
    pandas = sys.modules.get("pandas")
    if is_missing(value):
        return _not_a_time()
    instant = read_instant(value)
    return instant if pandas is None else pandas.Timestamp(instant)


# -- arrays ------------------------------------------------------------------------------------------------------------


def _is_array(value: Any) -> bool:
    return isinstance(value, list) or (is_ndarray(value) and value.ndim > 0)


def _any_array(kind: FieldType) -> Convert:
    def any_array(value: Any, required: bool, report: Report) -> Any:  # noqa: ARG001
        if is_missing(value):
            return None
        if not _is_array(value):
            report.add("wrong_type", f"needs {type_text(kind)}, got {type(value).__name__}")
        return value

    return any_array


def _scalar_array(kind: FieldType, items: Scalar) -> Convert:
    convert = _item_converter(items)

    def scalar_array(value: Any, required: bool, report: Report) -> Any:
        if not required and is_missing(value):
            return None
        if not _is_array(value):
            report.add("wrong_type", f"needs {type_text(kind)}, got {_name(value)}")
            return value
        try:
            convert_items = _list_items if isinstance(value, list) else _array_items
            return convert_items(value, items, convert)
        except Unfit as exc:
            report.add(exc.kind, f"{type_text(kind)} {exc}")
            return value

    return scalar_array


def _item_converter(items: Scalar) -> Callable[[Any], Any]:
    convert = _value_converter(items)
    gaps = {"double": float("nan"), "float": float("nan")}
    # MLflow makes text and truth values of anything here; single values it hands on as they are.
    foreign: tuple[type, ...] = {"boolean": (bytes, Decimal), "string": (bytes, Decimal), "binary": (Decimal,)}.get(
        items, ()
    )

    def item(value: Any) -> Any:
        if is_missing(value):
            if items == "datetime":
                return _not_a_time()
            if items not in gaps:
                raise Unfit("missing", "holds a missing value")
            return gaps[items]
        if items == "binary" and isinstance(value, str):
            if not value.isascii():
                raise Unfit("wrong_type", "needs binary items, got text beyond ASCII")
            return value.encode("ascii")
        if items == "double" and type(value).__name__ in _TRUTH:
            return float(value)
        converted = convert(value)
        if isinstance(converted, foreign):
            raise Unfit("wrong_type", f"needs {items} items, got {type(value).__name__}")
        return converted

    return item


def _not_a_time() -> Any:
    import numpy as np

    pandas = sys.modules.get("pandas")
    return np.datetime64("NaT", "ns") if pandas is None else pandas.NaT


def _list_items(value: list[Any], items: Scalar, convert: Callable[[Any], Any]) -> list[Any]:
    kinds = set(map(type, value))
    if kinds <= {_PASSING.get(items)}:
        return value
    if items == "double" and all(kind.__name__ in _TRUTH for kind in kinds):
        raise Unfit("wrong_type", "needs numbers, got truth values")
    converted = [convert(item) for item in value]
    # A list of Python numbers stays one; numpy scalars would surprise json.
    if items not in ("string", "binary", "datetime"):
        converted = [item.item() if hasattr(item, "item") else item for item in converted]
    return converted


_PASSING: dict[str, type] = {"double": float, "string": str, "binary": bytes, "boolean": bool}


def _array_items(value: Any, items: Scalar, convert: Callable[[Any], Any]) -> Any:
    import numpy as np

    if value.ndim != 1:
        raise Unfit("wrong_shape", f"needs one dimension, got {value.ndim}")
    name = NUMPY_NAMES.get(items)
    if value.dtype.kind == {"string": "U", "binary": "S"}.get(items) or not len(value):
        return value
    if name and value.dtype.kind in "biufcmM" and not isinstance(value, np.ma.MaskedArray):
        return cast_array(value, np.dtype(name))
    # datetime64[ns].tolist() gives integers.
    converted = _list_items(list(value) if value.dtype.kind == "M" else value.tolist(), items, convert)
    if items == "datetime":
        # A Timestamp's nanoseconds would be lost on the way through datetime.
        converted = [item.to_datetime64() if hasattr(item, "to_datetime64") else item for item in converted]
    if name:
        return np.array(converted, dtype=name)
    try:
        return cast_list(converted, np.dtype(str if items == "string" else bytes))
    except Unfit:
        # Text ending in NUL, which only an object array keeps.
        return np.array(converted, dtype=object)


def _nested_array(kind: FieldType, convert: Convert) -> Convert:
    def nested_array(value: Any, required: bool, report: Report) -> Any:
        if not required and is_missing(value):
            return None
        if not _is_array(value):
            report.add("wrong_type", f"needs {type_text(kind)}, got {_name(value)}")
            return value
        given = list(value)
        converted = [convert(item, required, report) for item in given]
        if all(map(_same, given, converted)):
            return value
        return converted if isinstance(value, list) else _gather(converted)

    return nested_array


def _same(given: object, converted: object) -> bool:
    return given is converted


def _gather(items: list[Any]) -> Any:
    import numpy as np

    try:
        return np.array(items)
    except ValueError:
        return object_array(items)  # of unequal lengths


# -- dicts -------------------------------------------------------------------------------------------------------------


def _name(value: object) -> str:
    return "a missing value" if is_missing(value) else type(value).__name__


def _object(kind: Object) -> Convert:
    members = {p.name: (compile_field(p.type), p.required) for p in kind.properties}
    needed = [p.name for p in kind.properties if p.required]

    def members_of(value: Any, required: bool, report: Report) -> Any:
        if not required and is_missing(value):
            return None
        if not required and isinstance(value, dict) and not value:
            return value
        if not isinstance(value, dict):
            report.add("wrong_type", f"needs an object, got {_name(value)}")
            return value
        if missing := [name for name in needed if name not in value]:
            report.add("missing", f"misses the required properties {', '.join(missing)}")
        if unknown := [f"{name!r:.60}" for name in value if name not in members]:
            report.add("extra", f"has {len(unknown)} properties the signature does not know: {', '.join(unknown[:10])}")
        converted = {}
        for name, member in value.items():
            if name in members:
                convert, needs = members[name]
                report.where.append(name)
                converted[name] = convert(member, needs, report)
                report.where.pop()
        return value if all(converted.get(name, _ABSENT) is member for name, member in value.items()) else converted

    return members_of


_ABSENT = object()


def _map(kind: FieldType, convert: Convert, *, lenient: bool) -> Convert:
    def values_of(value: Any, required: bool, report: Report) -> Any:
        if (lenient or not required) and is_missing(value):
            return None
        if not isinstance(value, dict):
            report.add("wrong_type", f"needs {type_text(kind)}, got {_name(value)}")
            return value
        if not all(isinstance(key, str) for key in value):
            report.add("wrong_type", f"{type_text(kind)} has keys that are not text")
        converted = {key: convert(member, required, report) for key, member in value.items()}
        return value if all(converted[key] is member for key, member in value.items()) else converted

    return values_of
