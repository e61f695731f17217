"""Params: the values a caller may set beside the data, checked against their specs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

from palate._containers.exactness import cast_array, cast_number, is_missing
from palate._containers.kinds import is_ndarray, is_numpy_scalar
from palate._containers.moments import read_moment
from palate._containers.unfit import Unfit
from palate._enforcement.nested import NUMPY_NAMES, Report, compile_field
from palate._warning import warn_caller
from palate.errors import InvalidInput, Problem
from palate.schema import INTEGERS, NUMBERS, Object, ParamSpec, Scalar

__all__ = ["convert_param", "enforce_params"]


def convert_param(value: object, kind: Scalar | Object, shape: tuple[int] | None) -> object:
    """Return a param's value as a plain Python object of its type; None stands for an unset scalar.

    Args:
        value: what the caller or the signature gives; a datetime may be ISO text.
        kind: the param's type.
        shape: ``(-1,)`` for a list of values, None for one value.

    Raises:
        ValueError: when it does not fit, or would change; the text never shows the value.
    """
    if shape is not None:
        return _convert_list(value, kind)
    if isinstance(kind, Object):
        return _check_object(value, kind)
    return _convert_scalar(value, kind)


def enforce_params(params: Mapping[str, object] | None, specs: tuple[ParamSpec, ...]) -> dict[str, object]:
    """Return the values of all params: those given, checked and converted, and the defaults of the others.

    Params that the signature does not know are left out, as MLflow leaves them out, and a PalateWarning says so.

    Raises:
        InvalidInput: with every problem.
    """
    if params is not None and not isinstance(params, Mapping):
        raise InvalidInput([Problem(("params",), "wrong_type", f"needs a dict, got {type(params).__name__}")])
    if not params and not specs:
        return {}
    given: Mapping[str, object] = {str(name): value for name, value in (params or {}).items()}
    _warn_of_unknown(given, specs)
    problems: list[Problem] = []
    values: dict[str, object] = {}
    for spec in specs:
        name = spec.name
        if name not in given:
            # A copy: the model may change a list it is given, and the next call has the same default.
            values[name] = deepcopy(spec.default)
            continue
        try:
            values[name] = convert_param(given[name], spec.type, spec.shape)
        except Unfit as exc:
            problems.append(exc.problem("params", name))
    if problems:
        raise InvalidInput(problems)
    return values


def _warn_of_unknown(given: Mapping[str, object], specs: tuple[ParamSpec, ...]) -> None:
    known = [spec.name for spec in specs]
    unknown = [f"'{name:.60}'" for name in given if name not in known]
    if unknown:
        takes = f"takes: {', '.join(known)}" if known else "takes none"
        text = f"Ignored params {', '.join(unknown)}: this model {takes}."
        warn_caller(text)


def _convert_list(value: Any, kind: Scalar | Object) -> list[Any]:
    if not isinstance(value, list | tuple) and not (is_ndarray(value) and value.ndim == 1):
        dimensions = f" with {value.ndim} dimensions" if is_ndarray(value) else ""
        raise Unfit("wrong_shape", f"needs a list of values, got {type(value).__name__}{dimensions}")
    if isinstance(kind, Object):
        return [_check_object(item, kind) for item in value]
    return [_convert_scalar(item, kind) for item in value]


def _check_object(value: Any, kind: Object) -> Any:
    report = Report()
    compile_field(kind)(value, True, report)
    if problems := report.problems():
        raise Unfit(problems[0].kind, "; ".join(map(str, problems)))
    return value


def _convert_scalar(value: Any, kind: Scalar) -> Any:
    if value is None:
        return None
    if kind == "datetime":
        return _convert_datetime(value)
    if kind == "string" and isinstance(value, str):
        return str(value)
    if kind == "boolean" and isinstance(_plain(value), bool):
        return _plain(value)
    if kind in NUMBERS:
        return _convert_number(value, kind)
    raise Unfit("wrong_type", f"needs {kind}, got {type(value).__name__}")


def _plain(value: Any) -> Any:
    # Of a time, item() would be a number: the count of its nanoseconds.
    return value.item() if is_numpy_scalar(value) and value.dtype.kind in "biuf" else value


def _convert_number(value: Any, kind: Scalar) -> int | float:
    import numpy as np

    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise Unfit("wrong_type", f"needs {kind}, got {type(value).__name__}")
    whole = kind in INTEGERS
    # Python's own int and float pass whatever their size, as in MLflow: they come out as they went in.
    if isinstance(value, int if whole else float) and type(value).__module__ != "numpy":
        return plain
    if whole or isinstance(plain, int):
        number = cast_number(plain, np.dtype("int64" if whole else "float64"))
    else:
        number = cast_number(value, np.dtype(NUMPY_NAMES[kind]))
    return int(number) if whole else float(number)


def _convert_datetime(value: Any) -> date | datetime | None:
    import numpy as np

    if is_missing(value):
        return None
    if isinstance(value, str):
        value = _without_zone(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            # Of a time whose zone tells no offset, Python would guess that of the machine.
            value = (value if value.utcoffset() is None else value.astimezone(UTC)).replace(tzinfo=None)
        except OverflowError as exc:
            raise Unfit("wrong_value", "needs datetime, got a time that UTC has no year of four digits for") from exc
    if not isinstance(value, date | str | np.datetime64):
        raise Unfit("wrong_type", f"needs datetime, got {type(value).__name__}")
    try:
        moment = np.datetime64(value)
    except ValueError as exc:
        raise Unfit("wrong_value", "needs datetime, got text that is not ISO 8601 (2024-05-06T07:08:09)") from exc
    if np.isnat(moment):
        return None
    if np.datetime_data(moment.dtype)[0] not in ("Y", "M", "W", "D"):
        plain = cast_array(np.asarray(moment), np.dtype("datetime64[us]")).item()
    else:
        plain = moment.item()
    if not isinstance(plain, date) or (isinstance(value, datetime) and getattr(value, "nanosecond", None)):
        raise Unfit("wrong_value", "needs datetime, got a time that Python's datetime cannot hold exactly")
    return plain


def _without_zone(text: str) -> str | datetime:
    try:
        moment, nanoseconds = read_moment(text)
    except Unfit:
        return text  # numpy reads more than we do: "2020-05", "today"
    return text if moment.tzinfo is None or nanoseconds else moment
