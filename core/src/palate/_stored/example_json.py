"""Example data as the JSON that MLflow's input example files hold.

Differences from MLflow's writer, all read back by it: no NaN tokens (null instead), datetimes of one column in one
precision (pandas refuses to parse a mixture), and an error for what JSON cannot hold instead of something else.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from datetime import date, datetime
from numbers import Integral
from typing import Any

from palate._containers.exactness import is_missing
from palate._containers.kinds import is_arrow, is_dataframe, is_ndarray, is_numpy_scalar
from palate._inference.type_hints import is_pydantic
from palate.errors import InvalidExample, Problem

__all__ = ["array_json", "frame_json", "invalid", "plain_json", "sparse_json"]

Where = tuple[str | int, ...]

_MAX_DEPTH = 64
_NAT = -(2**63)  # numpy's integer for "not a time"


def invalid(where: Where, message: str) -> InvalidExample:
    """Return the error for one thing that is wrong with an example."""
    return InvalidExample([Problem(where, "wrong_type", message)])


def plain_json(value: Any, where: Where, depth: int = 0) -> Any:
    """Return nested dicts, lists and scalars as JSON data; NaN becomes null. Raises InvalidExample."""
    if depth > _MAX_DEPTH:
        raise invalid(where, f"is nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        return {_key(name, where): plain_json(item, (*where, name), depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [plain_json(item, where, depth + 1) for item in value]
    if is_ndarray(value):
        return array_json(value, where)
    if is_pydantic(type(value)):
        return plain_json(value.model_dump(), where, depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_json(dataclasses.asdict(value), where, depth + 1)
    return _scalar_json(value, where)


def _key(name: object, where: Where) -> str:
    if isinstance(name, str):
        return str(name)
    raise invalid(where, f"holds a dict with a key of type {type(name).__name__}; JSON has text keys only")


def _scalar_json(value: Any, where: Where) -> Any:
    if is_numpy_scalar(value):
        import numpy

        return array_json(numpy.asarray(value), where)
    if is_missing(value):
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise _infinite(where)
        return value
    if isinstance(value, bytes | bytearray):
        return _base64(value)
    if isinstance(value, datetime):
        nanoseconds = bool(getattr(value, "nanosecond", 0))  # pandas' Timestamp
        return value.isoformat(timespec="nanoseconds" if nanoseconds else "microseconds")
    if isinstance(value, date):
        return value.isoformat()
    hint = ". Hint: use a list" if isinstance(value, tuple | set) else ""
    raise invalid(where, f"a value of type {type(value).__module__}.{type(value).__qualname__} has no JSON form{hint}")


def _infinite(where: Where) -> InvalidExample:
    return invalid(where, "JSON cannot hold infinity. Hint: give an example without infinite values")


def _base64(value: bytes | bytearray) -> str:
    # MLflow's form: a newline every 76 characters and at the end.
    return base64.encodebytes(value).decode("ascii")


def array_json(array: Any, where: Where) -> Any:
    """Return an ndarray as nested lists (a scalar when it has no dimension). Raises InvalidExample."""
    import numpy

    kind = array.dtype.kind
    if kind in "biuUT":
        return array.tolist()
    if kind == "f" and array.dtype.itemsize <= 8:
        if numpy.isinf(array).any():
            raise _infinite(where)
        return _with_null(array, numpy.isnan(array))
    if kind == "S":
        return _map_nested(_base64, array.tolist())
    if kind == "O":
        return _map_nested(lambda item: plain_json(item, where), array.tolist(), array.ndim)
    if kind in "mM":
        return _with_null(_time_values(array), numpy.isnat(array))
    raise invalid(where, f"arrays of the dtype {array.dtype} have no JSON form")


def _time_values(array: Any) -> Any:
    import numpy

    if array.dtype.kind == "M" and numpy.datetime_data(array.dtype)[0] in _ISO_UNITS:
        return numpy.asarray(numpy.datetime_as_string(array))
    # MLflow writes datetime64[ns] as integers; its reader makes datetimes of them by the signature.
    return array.astype(array.dtype.newbyteorder("=")).view(numpy.int64)


_ISO_UNITS = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms", "us"])


def _with_null(array: Any, missing: Any) -> Any:
    if missing.any():
        array = array.astype(object)
        array[missing] = None
    return array.tolist()


def _map_nested(function: Any, value: Any, depth: int = 64) -> Any:
    if depth and isinstance(value, list):
        return [_map_nested(function, item, depth - 1) for item in value]
    return function(value)


def sparse_json(matrix: Any) -> dict[str, Any]:
    """Return a CSR or CSC matrix as MLflow's four lists. Raises InvalidExample."""
    return {
        "data": array_json(matrix.data, ("data",)),
        "indices": matrix.indices.tolist(),
        "indptr": matrix.indptr.tolist(),
        "shape": [int(size) for size in matrix.shape],
    }


# -- frames ------------------------------------------------------------------------------------------------------------


def frame_json(frame: Any) -> dict[str, Any]:
    """Return a frame of pandas, polars or Arrow as ``{"columns", "data"}``, without columns numbered 0 to n-1.

    The row index is left out, as MLflow does. Raises InvalidExample with every column that has no JSON form.
    """
    labels = _labels(frame)
    columns: list[list[Any]] = []
    problems: list[Problem] = []
    for position, label in enumerate(labels):
        try:
            columns.append(_column_json(frame, position, label))
        except InvalidExample as exc:
            problems.extend(exc.problems)
    if problems:
        raise InvalidExample(problems)
    rows: list[list[Any]] = (
        [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in range(len(frame))]
    )
    numbered = labels == list(range(len(labels)))
    return {"data": rows} if numbered else {"columns": labels, "data": rows}


def _labels(frame: Any) -> list[str | int]:
    names = list(frame.schema.names if is_arrow(frame) else frame.columns)
    # A single column of Arrow or polars has no name to give.
    return [0] if names == [""] and not is_dataframe(frame) else [_label(name) for name in names]


def _label(label: Any) -> str | int:
    if isinstance(label, str):
        return str(label)
    if isinstance(label, Integral) and not isinstance(label, bool):  # numpy's integers too
        return int(label)
    raise invalid((str(label),), f"a column's name must be text or an integer, not a {type(label).__name__}")


def _column_json(frame: Any, position: int, label: str | int) -> list[Any]:
    if is_dataframe(frame):
        values = _pandas_values(frame.iloc[:, position])
    elif is_arrow(frame):
        values = _arrow_values(frame.column(position))
    else:
        values = _polars_values(frame.get_columns()[position])
    return [plain_json(value, (label,)) for value in values]


def _pandas_values(column: Any) -> list[Any]:
    import numpy

    if isinstance(column.dtype, numpy.dtype) and column.dtype.kind == "M":
        return _moment_texts(column.to_numpy(), zoned=False)
    if hasattr(column.dtype, "tz") and hasattr(column.dtype, "unit"):
        return _moment_texts(column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), zoned=True)
    values: list[Any] = column.tolist()
    return values


def _arrow_values(column: Any) -> list[Any]:
    if hasattr(column.type, "tz"):  # a timestamp: as Python values, nanoseconds would need pandas
        counts = column.cast("int64").to_pylist()
        return _moment_texts(_moments(counts, column.type.unit), zoned=column.type.tz is not None)
    values: list[Any] = column.to_pylist()
    return values


def _polars_values(column: Any) -> list[Any]:
    if hasattr(column.dtype, "time_zone"):
        counts = column.to_physical().to_list()
        return _moment_texts(_moments(counts, column.dtype.time_unit), zoned=column.dtype.time_zone is not None)
    values: list[Any] = column.to_list()
    return values


def _moments(counts: list[int | None], unit: str) -> Any:
    import numpy

    filled = [_NAT if count is None else count for count in counts]
    return numpy.array(filled, dtype=numpy.int64).view(f"M8[{unit}]")


def _moment_texts(moments: Any, *, zoned: bool) -> list[str | None]:
    """Return datetimes as text, all of microseconds or all of nanoseconds; zoned ones are in UTC and say so."""
    import numpy

    rounded = moments.astype("M8[us]")
    unit = "us" if ((rounded == moments) | numpy.isnat(moments)).all() else "ns"
    texts = numpy.datetime_as_string(moments.astype(f"M8[{unit}]"))
    suffix = "+00:00" if zoned else ""
    return [None if gone else f"{text}{suffix}" for text, gone in zip(texts, numpy.isnat(moments), strict=True)]
