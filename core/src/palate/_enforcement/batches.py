"""Inputs of functions with type hints: a plain list of plain Python values.

The signature knows less than the hints it was made from (``list[list[int | None]]`` is an array of longs), and the
function's own pydantic models judge their fields. So what may be right passes here as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from palate._containers.arrow import to_arrow
from palate._containers.exactness import cast_array, is_missing
from palate._containers.frames import refuse_query
from palate._containers.kinds import is_dataframe, is_ndarray, is_numpy_scalar, is_series, speaks_arrow
from palate._containers.moments import read_moment
from palate._containers.unfit import Unfit, ask_package
from palate._enforcement.nested import Convert, Report, as_is
from palate.errors import InvalidInput, Problem
from palate.schema import AnyType, Array, FieldType, Map, Object, Scalar, Schema, SparkVector, type_text

__all__ = ["BatchPlan"]


class BatchPlan:
    """Enforces a signature made from type hints: the function gets a list."""

    __slots__ = ("_convert", "_kind")

    def __init__(self, schema: Schema) -> None:
        self._kind: FieldType = schema.columns[0].type
        self._convert = _compile_element(self._kind)

    def enforce(self, data: object) -> object:
        """Return *data* as a list that fits, the same list if it fits already. Raises InvalidInput."""
        try:
            items = self._list(data)
        except Unfit as exc:
            raise exc.invalid_input() from exc
        except RecursionError as exc:
            unfit = Unfit("wrong_value", "holds lists or dicts that are nested too deeply, or hold themselves")
            raise unfit.invalid_input() from exc
        report, converted = Report(), []
        for row, item in enumerate(items):
            report.row = row
            if item is None and not isinstance(self._kind, AnyType):
                report.add("missing", f"needs {type_text(self._kind)}, got None")
            else:
                converted.append(self._convert(item, True, report))
        if problems := report.problems():
            raise InvalidInput(Problem(("inputs", *p.where), p.kind, p.message) for p in problems)
        return items if all(a is b for a, b in zip(items, converted, strict=True)) else converted

    def _list(self, data: Any) -> list[Any]:
        if isinstance(data, list):
            return data
        if isinstance(data, tuple):
            return list(data)
        if is_ndarray(data) and data.ndim:
            return _plain_list(data)
        if is_dataframe(data):
            return self._rows(data)
        if is_series(data):
            return self._cells(data)
        if speaks_arrow(data):
            return self._arrow_rows(to_arrow(data))
        refuse_query(data)
        raise Unfit("wrong_type", f"needs a list of {type_text(self._kind)}, got {type(data).__name__}")

    def _rows(self, frame: Any) -> list[Any]:
        labels = frame.columns.tolist()
        if self._has_records(labels):
            return [_without_nan(record) for record in frame.to_dict(orient="records")]
        self._require_one(labels)
        return self._cells(frame.iloc[:, 0])

    def _cells(self, series: Any) -> list[Any]:
        cells = series.tolist()
        if self._kind in ("double", "float"):
            return [math.nan if is_missing(cell) else cell for cell in cells]
        return [_without_nan(cell) for cell in cells]

    def _arrow_rows(self, table: Any) -> list[Any]:
        labels = list(table.column_names)
        if self._has_records(labels):
            return list(ask_package("pyarrow", table.to_pylist))
        self._require_one(labels)
        return list(ask_package("pyarrow", table.column(0).to_pylist))

    def _has_records(self, labels: list[Any]) -> bool:
        if not isinstance(self._kind, Object) or labels in ([], [0]):
            return False
        return len(labels) > 1 or labels[0] in {p.name for p in self._kind.properties}

    def _require_one(self, labels: list[Any]) -> None:
        if len(labels) != 1:
            message = f"needs one column of {type_text(self._kind)}, got {len(labels)} columns"
            raise Unfit("wrong_shape", message)


def _plain_list(array: Any) -> list[Any]:
    # tolist() makes integers of times in nanoseconds.
    return list(array) if array.dtype.kind in "mM" else list(array.tolist())


def _plain_item(array: Any) -> Any:
    return array[()] if array.dtype.kind in "mM" else array.item()


def _without_nan(value: Any) -> Any:
    """Return a cell with plain lists for arrays and None for missing values, as MLflow unpacks a DataFrame."""
    if is_ndarray(value):
        value = _plain_list(value) if value.ndim else _plain_item(value)
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nan(member) for key, member in value.items()}
    return None if is_missing(value) else value


# -- elements ----------------------------------------------------------------------------------------------------------


def _compile_element(kind: FieldType) -> Convert:
    match kind:
        case AnyType():
            return as_is
        case SparkVector():
            return _list_of(kind, _compile_element("double"))
        case Array(items=items):
            return _list_of(kind, _compile_element(items))
        case Map(values=values):
            return _dict_of(kind, _compile_element(values))
        case Object():
            return _members_of(kind)
        case _:
            return _scalar(kind)


def _scalar(kind: Scalar) -> Convert:
    convert = _SCALARS[kind]

    def scalar(value: Any, required: bool, report: Report) -> Any:
        if value is None and not required:
            return None
        try:
            return convert(value)
        except Unfit as exc:
            report.add(exc.kind, f"needs {kind}, {exc}")
            return value

    return scalar


def _list_of(kind: FieldType, convert: Convert) -> Convert:
    def list_of(value: Any, required: bool, report: Report) -> Any:
        if value is None and not required:
            return None
        given = _plain_list(value) if is_ndarray(value) and value.ndim else value
        if not isinstance(given, list | tuple):
            report.add("wrong_type", f"needs {type_text(kind)}, got {type(value).__name__}")
            return value
        converted = [convert(item, False, report) for item in given]
        unchanged = isinstance(value, list) and all(a is b for a, b in zip(given, converted, strict=True))
        return value if unchanged else converted

    return list_of


def _dict_of(kind: FieldType, convert: Convert) -> Convert:
    def dict_of(value: Any, required: bool, report: Report) -> Any:
        if value is None and not required:
            return None
        if not isinstance(value, dict):
            report.add("wrong_type", f"needs {type_text(kind)}, got {type(value).__name__}")
            return value
        if not all(isinstance(key, str) for key in value):
            report.add("wrong_type", f"{type_text(kind)} has keys that are not text")
        converted = {key: convert(member, False, report) for key, member in value.items()}
        return value if all(converted[key] is member for key, member in value.items()) else converted

    return dict_of


def _members_of(kind: Object) -> Convert:
    members = {p.name: (_compile_element(p.type), p.required) for p in kind.properties}

    def members_of(value: Any, required: bool, report: Report) -> Any:
        if (value is None and not required) or _is_instance(value):
            return value
        if not isinstance(value, dict):
            report.add("wrong_type", f"needs {type_text(kind)}, got {type(value).__name__}")
            return value
        # What is missing is the class's to judge: it may have a default, or come under an alias.
        converted = dict(value)
        for name in value:
            if name in members:
                convert, needed = members[name]
                report.where.append(name)
                converted[name] = convert(value[name], needed, report)
                report.where.pop()
        return value if all(converted[name] is member for name, member in value.items()) else converted

    return members_of


def _is_instance(value: object) -> bool:
    kind = type(value)
    # pydantic 2, pydantic 1 and dataclasses, told apart from the rest without importing pydantic.
    return any(hasattr(kind, mark) for mark in ("model_fields", "__fields__", "__dataclass_fields__"))


# -- scalars -----------------------------------------------------------------------------------------------------------


def _refuse(value: object) -> Unfit:
    return Unfit("wrong_type", f"got {type(value).__name__}")


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise _refuse(value)


def _binary(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray):
        return bytes(value)
    raise _refuse(value)


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise _refuse(value)


def _plain_number(value: Any) -> Any:
    # Of a time in nanoseconds, item() is their count.
    number = value.item() if is_numpy_scalar(value) and value.dtype.kind in "biuf" else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _refuse(value)
    return number


def _whole(value: Any) -> Any:
    # A bool is an int to Python, hence to MLflow's check of these hints.
    if isinstance(value, int):
        return value
    number = _plain_number(value)
    if isinstance(number, float) and not number.is_integer():
        raise Unfit("wrong_value", "got a number that is not whole")
    return int(number)


def _real(value: Any) -> Any:
    if isinstance(value, float):
        return value
    number = _plain_number(value)
    try:
        real = float(number)
    except OverflowError:
        real = math.inf
    if real != number and number == number:
        raise Unfit("wrong_value", "got an integer that no float holds exactly")
    return real


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no time zone
    if isinstance(value, str):
        moment, nanoseconds = read_moment(value)
        if nanoseconds:
            raise Unfit("wrong_value", "got text with more than six digits of a second")
        return moment
    if type(value).__name__ == "datetime64":
        import numpy as np

        return cast_array(np.asarray(value), np.dtype("datetime64[us]")).item()
    raise _refuse(value)


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "boolean": _boolean,
    "integer": _whole,
    "long": _whole,
    "float": _real,
    "double": _real,
    "string": _text,
    "binary": _binary,
    "datetime": _moment,
}
