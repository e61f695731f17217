"""Conversions that keep every value, or refuse.

Equal means equal by ``==`` (NaN stays NaN, 0.0 may become 0); a missing value stays missing. A truth value never
becomes a number, text never becomes a number or a truth value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from palate._containers.moments import read_moment
from palate._containers.unfit import Unfit

if TYPE_CHECKING:
    import numpy as np

# Of items that are not empty and their cast: whether all are equal.
_Comparison: TypeAlias = "Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], bool]"

__all__ = [
    "cast_array",
    "cast_list",
    "cast_number",
    "hint_rounding",
    "is_missing",
    "read_decimal",
    "read_instant",
]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - numpy's datetime64 has no time zone either
_NANOSECONDS = 10**9
# Items that are cast and compared at once, a megabyte of doubles: benchmarks/thresholds.py.
_PIECE = 2**17


# -- arrays ------------------------------------------------------------------------------------------------------------


def cast_array(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return *array* as *dtype*, the same object when it is that already.

    Raises:
        Unfit: when a value would change.
    """

    if array.dtype == dtype:
        return array
    if dtype.kind in "US":
        return _cast_text(array, dtype)
    if dtype.kind == "O" and array.dtype.kind not in "mM":  # times finer than microseconds would become integers
        return array.astype(object)
    if array.dtype.kind == "O":
        cast = cast_list(array.tolist(), dtype)
        if cast.size != array.size:
            raise Unfit("wrong_type", f"needs {dtype}, got lists among the items")
        return cast.reshape(array.shape)
    if not _may_hold(array.dtype, dtype):
        raise Unfit("wrong_type", f"needs {dtype}, got {array.dtype}")
    return _cast_time(array, dtype) if array.dtype.kind in "mM" else _cast_numbers(array, dtype)


def hint_rounding(unfit: Unfit, given: Any, wanted: np.dtype[Any], call: str) -> Unfit:
    """Return what was raised over a cast from one dtype to another, with the call that rounds if that is the way out.

    Args:
        unfit: what was raised.
        given: the dtype of numpy or pandas that the values have.
        wanted: the dtype that does not hold them.
        call: what rounds them, as it is written in Python.
    """
    if unfit.kind != "wrong_value" or wanted.kind != "f" or getattr(given, "kind", "") != "f":
        return unfit
    return Unfit(unfit.kind, unfit.message, hint=f"{call} rounds them")


def _may_hold(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    families = {"b": "b", "i": "iufc", "u": "iufc", "f": "iufc", "c": "c", "M": "M", "m": "m"}
    return wanted.kind in families.get(given.kind, "")


def _cast_numbers(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    is_same = _comparison(array.dtype, dtype)
    with np.errstate(all="ignore"):
        if is_same is None:
            return array.astype(dtype)
        # An array with gaps between its items, or of a subclass, has no flat view.
        if array.size > _PIECE and array.flags.forc and type(array) is np.ndarray:
            cast, same = _cast_in_pieces(array, dtype, is_same)
        else:
            cast = array.astype(dtype)
            same = not array.size or is_same(array, cast)
    if not same:
        raise Unfit("wrong_value", f"holds values that {dtype} cannot hold exactly (it is {array.dtype})")
    return cast


def _cast_in_pieces(
    array: np.ndarray[Any, Any], dtype: np.dtype[Any], is_same: _Comparison
) -> tuple[np.ndarray[Any, Any], bool]:
    """Cast and compare while the items are in the processor's cache; stop at the first piece that changes."""
    import numpy as np

    cast = np.empty_like(array, dtype=dtype)
    given, taken = array.reshape(-1, order="A"), cast.reshape(-1, order="A")
    for start in range(0, given.size, _PIECE):
        piece = slice(start, start + _PIECE)
        taken[piece] = given[piece]
        if not is_same(given[piece], taken[piece]):
            return cast, False
    return cast, True


@lru_cache(maxsize=256)
def _comparison(given: np.dtype[Any], wanted: np.dtype[Any]) -> _Comparison | None:
    """Return what tells whether a cast kept every value; None where it always does."""
    import numpy as np

    if given.kind in "iu":
        limits, (low, high) = np.iinfo(given), _exact_range(wanted)
        if low <= limits.min and limits.max <= high:
            return None
        # Outside of the range there are floats too that are exact, such as 2**62.
        return partial(_within, low, high) if wanted.kind in "iu" else partial(_within_or_back, low, high)
    if np.can_cast(given, wanted, "safe"):
        return None
    return _whole if wanted.kind in "iu" else _returns


def _exact_range(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return a range in which the type holds every integer."""
    import numpy as np

    if dtype.kind in "iu":
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    bits = int(np.finfo(dtype).nmant) + 1
    return -(2**bits), 2**bits


def _within(low: int, high: int, given: np.ndarray[Any, Any], cast: np.ndarray[Any, Any]) -> bool:  # noqa: ARG001
    import numpy as np

    # Without a negative one among them, integers joined bit by bit give at least the greatest: one pass instead of two.
    if 0 <= int(np.bitwise_or.reduce(given, axis=None)) <= high:
        return True
    # Python integers compare exactly with numpy integers of any width.
    return int(given.min()) >= low and int(given.max()) <= high


def _within_or_back(low: int, high: int, given: np.ndarray[Any, Any], cast: np.ndarray[Any, Any]) -> bool:
    import numpy as np

    if _within(low, high, given, cast):
        return True
    # 2.0**63 is no int64, though the largest int64 rounds to it: outside the range the way back wraps around.
    limits, real = np.iinfo(given.dtype), _widen(cast.real)
    inside = (real >= float(limits.min)) & (real < float(limits.max + 1))
    return bool(inside.all()) and bool((real.astype(given.dtype) == given).all())


def _returns(given: np.ndarray[Any, Any], cast: np.ndarray[Any, Any]) -> bool:
    back = (cast if given.dtype.kind == "c" else cast.real).astype(given.dtype)
    same = back == given
    return bool(same.all()) or bool((same | (given != given)).all())


def _whole(given: np.ndarray[Any, Any], cast: np.ndarray[Any, Any]) -> bool:
    import numpy as np

    # NaN is the least and the greatest of what it is among, and neither lies within the limits.
    limits, least, greatest = np.iinfo(cast.dtype), _widen(given.min()), _widen(given.max())
    if not (least >= float(limits.min) and greatest < float(limits.max + 1)):
        return False
    return bool((np.trunc(given) == given).all())


def _widen(real: Any) -> Any:
    import numpy as np

    # In float16 the limits of int64 are infinite, and minus infinity would lie inside them.
    return real.astype(np.result_type(real.dtype, np.float64), copy=False)


def _cast_time(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    try:
        cast = array.astype(dtype)
        # numpy wraps around silently when the unit is too fine for the date.
        same = (cast.astype(array.dtype) == array) | np.isnat(array)
    except (TypeError, OverflowError) as exc:
        raise Unfit("wrong_type", f"needs {dtype}, got {array.dtype}") from exc
    if not same.all():
        raise Unfit("wrong_value", f"holds times that {dtype} cannot hold exactly (it is {array.dtype})")
    return cast


def _cast_text(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if array.dtype.kind == dtype.kind:
        return array
    wanted = str if dtype.kind == "U" else bytes
    items = array.ravel().tolist() if array.dtype.kind in "OT" else None
    if items is None or not all(isinstance(item, wanted) for item in items):
        raise Unfit("wrong_type", f"needs {wanted.__name__} items, got {array.dtype}")
    cast = np.array(items, dtype=dtype).reshape(array.shape)
    if cast.ravel().tolist() != items:
        raise Unfit("wrong_value", "holds text that ends in NUL, which a numpy text array drops")
    return cast


def cast_list(items: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return a list (or nested list) as an array of *dtype*.

    Raises:
        Unfit: when it is ragged, or a value would change.
    """
    import numpy as np

    leaves = _leaves(items)
    if not leaves.size:
        return np.zeros(leaves.shape, dtype)
    kinds = set(map(type, leaves.flat))
    if kinds <= {float} and dtype.kind == "f":
        return cast_array(np.asarray(items, dtype=float).reshape(leaves.shape), dtype)
    if dtype.kind in "USO":
        return cast_array(leaves, dtype)
    if dtype.kind == "M":
        return _cast_moments(leaves, dtype)
    if dtype.kind == "f" and type(None) in kinds:
        # JSON has no NaN and writes null.
        filled = np.array([np.nan if leaf is None else leaf for leaf in leaves.flat], dtype=object)
        return cast_list(filled.reshape(leaves.shape).tolist(), dtype)
    if kinds == {int} and dtype.kind in "iu":
        # Left to itself numpy joins [2**63 + 1, 0] to rounded floats.
        try:
            return np.asarray(items, dtype=dtype).reshape(leaves.shape)
        except OverflowError as exc:
            raise Unfit("wrong_value", f"holds values that {dtype} cannot hold exactly") from exc
    return _cast_mixture(items, leaves, kinds, dtype)


def _cast_moments(leaves: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    never = np.datetime64("NaT", "ns")
    moments = np.array([never if is_missing(leaf) else read_instant(leaf) for leaf in leaves.flat])
    return cast_array(moments.reshape(leaves.shape), dtype)


def _cast_mixture(
    items: Any, leaves: np.ndarray[Any, Any], kinds: set[type], dtype: np.dtype[Any]
) -> np.ndarray[Any, Any]:
    """Return a list as the array that numpy makes of it, if it keeps what is in there, then as *dtype*."""
    import numpy as np

    try:
        array = np.asarray(items)
    except ValueError:  # mappings and other things with a length among them
        array = leaves
    if array.dtype.kind == "O" or array.shape != leaves.shape:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise Unfit("wrong_type", f"needs {dtype}, got items of type {names}")
    # numpy joins [True, 2] to integers, ["a", 1] to text and [1.5, 2**53 + 1] to rounded floats.
    if len(kinds) > 1 and not all(a == b or a != a for a, b in zip(leaves.flat, array.ravel().tolist(), strict=True)):
        raise Unfit("wrong_value", f"holds values that {dtype} cannot hold exactly")
    if len(kinds) > 1 and any(issubclass(kind, bool | np.bool_) for kind in kinds):
        raise Unfit("wrong_type", f"needs {dtype}, got truth values among numbers")
    return cast_array(array, dtype)


def _leaves(items: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    try:
        leaves = np.asarray(items, dtype=object)
        ragged = any(isinstance(leaf, list | tuple | np.ndarray) for leaf in leaves.flat)
    except (ValueError, RuntimeError):  # unequal lengths; more dimensions than numpy has
        ragged = True
    if ragged:
        raise Unfit("wrong_shape", "lists of unequal lengths make no array")
    return leaves


# -- single values ----------------------------------------------------------------------------------------------------


def is_missing(value: object) -> bool:
    """Tell whether *value* stands for a missing one: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    name = type(value).__name__
    if name in ("NAType", "NaTType"):
        return True
    if name in ("datetime64", "float32", "float16", "longdouble"):
        return bool(value != value)
    return False


def cast_number(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a number as a numpy scalar of *dtype*.

    Raises:
        Unfit: when it is no number, or would change.
    """
    import numpy as np

    if not isinstance(value, int | float | np.number | np.bool_):
        raise Unfit("wrong_type", f"needs {dtype}, got {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.kind != "O":
        return cast_array(array, dtype)[()]
    # An int beyond 64 bits makes an object array, but may well be a double: 2**70 is.
    with np.errstate(all="ignore"):
        try:
            wide = dtype.type(float(value)) if dtype.kind == "f" else None
        except OverflowError:
            wide = None
    # Compared as Python numbers: numpy would round the int first.
    if wide is None or wide.item() != value:
        raise Unfit("wrong_value", f"holds values that {dtype} cannot hold exactly")
    return wide


def read_decimal(value: Decimal) -> float:
    """Return the double nearest to a decimal; few have an exact one, and MLflow takes the nearest.

    Raises:
        Unfit: when it is too large for a double, or a signaling NaN.
    """
    if value.is_snan() or (value.is_finite() and math.isinf(float(value))):
        raise Unfit("wrong_value", "holds decimals that no double is near to")
    return float(value)


def read_instant(value: Any) -> np.datetime64:
    """Return a date, datetime, datetime64 or ISO 8601 text as datetime64[ns], in UTC where it has a time zone.

    Raises:
        Unfit: when it is none of these, or too far from 1970 for nanoseconds.
    """
    import numpy as np

    if type(value).__name__ == "NaTType":
        return np.datetime64("NaT", "ns")
    if isinstance(value, np.datetime64):
        instant: Any = cast_array(np.asarray(value), np.dtype("datetime64[ns]"))[()]
        return instant  # type: ignore[no-any-return]
    if isinstance(value, str):
        return _instant(*read_moment(value))
    if isinstance(value, datetime):
        # pandas' Timestamp is a datetime with nanoseconds of its own, which differences of it would carry along.
        plain = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
        return _instant(plain, int(getattr(value, "nanosecond", 0)))
    if isinstance(value, date):
        return _instant(datetime(value.year, value.month, value.day), 0)  # noqa: DTZ001
    raise Unfit("wrong_type", f"needs a datetime, got {type(value).__name__}")


def _instant(moment: datetime, nanosecond: int) -> np.datetime64:
    import numpy as np

    try:
        if moment.utcoffset() is not None:  # of a time without one, Python would guess that of the machine
            moment = moment.astimezone(UTC)
        since = moment.replace(tzinfo=None) - _EPOCH
    except OverflowError as exc:
        raise Unfit("wrong_value", "is too far from 1970 to be told in nanoseconds") from exc
    count = (since.days * 86_400 + since.seconds) * _NANOSECONDS + since.microseconds * 1_000 + nanosecond
    if not -(2**63) < count < 2**63:
        raise Unfit("wrong_value", "is too far from 1970 to be told in nanoseconds")
    return np.datetime64(count, "ns")
