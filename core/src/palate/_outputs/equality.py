"""Whether values came through a container as they were: equal as Python compares them, and of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from palate._containers.kinds import is_numpy_scalar, loaded_types

__all__ = ["are_same", "nulls_as_none"]


def nulls_as_none(items: list[Any]) -> list[Any]:
    """Return *items* with None for what pandas and numpy have for it, NA and NaT, but not for NaN."""
    if {kind.__name__ for kind in set(map(type, items))}.isdisjoint((*_NULLS, *_NUMPY_TIMES)):
        return items
    return [None if type(item).__name__ in _NULLS else _numpy_time(item) for item in items]


_NULLS = ("NAType", "NaTType")
_NUMPY_TIMES = ("datetime64", "timedelta64")


def _numpy_time(value: Any) -> Any:
    is_nat = type(value).__name__ in _NUMPY_TIMES and value != value
    return None if is_nat else value


def are_same(given: list[Any], found: list[Any]) -> bool:
    """Tell whether all items that went into a container came out of it.

    Numbers are compared exactly, and may change between int and float; a truth value is no number, text no bytes, a
    date no datetime. NaN is NaN, None is None. Datetimes have their zone, and their nanoseconds if they had any. A dict
    may have gained keys, for None.

    Args:
        given: any values, among them those of numpy and pandas, lists, dicts and arrays.
        found: what was read back, as Python has it.
    """
    given, found = _as_python(given), _as_python(found)
    gaps = [item is None for item in given]
    if gaps != [item is None for item in found]:
        return False
    if any(gaps):
        given, found = ([item for item in items if item is not None] for items in (given, found))
    # As many as are of one kind are compared at once: item by item takes ten times as long.
    kinds, found_kinds = set(map(type, given)), set(map(type, found))
    is_plain = kinds == found_kinds and len(kinds) <= 1 and kinds <= _PLAIN
    if is_plain or kinds | found_kinds <= _NUMBERS or _are_naive(given, found):
        return given == found or all(map(_is_same, given, found))
    if kinds <= _LISTS and found_kinds <= _LISTS:
        return list(map(len, given)) == list(map(len, found)) and are_same(_chain(given), _chain(found))
    if kinds == found_kinds == {dict}:
        return _are_same_dicts(given, found)
    return all(map(_is_same, given, found))


_PLAIN = frozenset({bool, int, float, str, bytes, date})
_NUMBERS = frozenset({int, float})
_LISTS = frozenset({list, tuple})


def _are_naive(given: list[Any], found: list[Any]) -> bool:
    """Tell whether all are datetimes without a zone, which Python compares to the nanosecond where they have any."""
    kinds = set(map(type, chain(given, found)))
    return all(issubclass(kind, datetime) for kind in kinds) and {item.tzinfo for item in chain(given, found)} <= {None}


def _chain(lists: list[Any]) -> list[Any]:
    return list(chain.from_iterable(lists))


def _are_same_dicts(given: list[dict[Any, Any]], found: list[dict[Any, Any]]) -> bool:
    keys = {key: None for pair in zip(given, found, strict=True) for dicts in pair for key in dicts}
    if not all(known.keys() <= taken.keys() for known, taken in zip(given, found, strict=True)):
        return False
    return all(are_same([item.get(key) for item in given], [item.get(key) for item in found]) for key in keys)


def _is_same(given: Any, found: Any) -> bool:
    for kinds, same in _RULES:
        if isinstance(given, kinds):
            return isinstance(found, kinds) and same(given, found)
    if _is_time(given):
        return _is_time(found) and _is_same_time(given, found)
    return type(given) is type(found) and (given == found) is True


def _as_python(items: list[Any]) -> list[Any]:
    """Return what numpy and pandas have as Python has it, but for times, of which Python's end at microseconds."""
    kinds = set(map(type, items))
    if all(kind.__module__ in ("builtins", "datetime", "decimal") for kind in kinds):
        return items
    readers = {kind: _reader(kind) for kind in kinds}
    return [readers[type(item)](item) for item in items]


def _reader(kind: type) -> Callable[[Any], Any]:
    if kind.__name__ in _NULLS:
        return lambda _: None
    if issubclass(kind, loaded_types("numpy", "ndarray")):
        return _array_items
    if issubclass(kind, loaded_types("numpy", "generic")):
        return _numpy_time if kind.__name__ in _NUMPY_TIMES else lambda value: value.item()
    return lambda value: value


def _array_items(array: Any) -> Any:
    if array.ndim == 0:
        return _as_python([array[()]])[0]
    return list(array) if array.dtype.kind in "mMO" else array.tolist()


def _is_same_number(given: Any, found: Any) -> bool:
    if isinstance(found, bool):  # which Python counts as an integer
        return False
    return bool(given == found or (given != given and found != found))


def _is_same_decimal(given: Decimal, found: Decimal) -> bool:
    # A signaling NaN must not be compared.
    return found.is_nan() if given.is_nan() else given == found


_RULES: tuple[tuple[type | tuple[type, ...], Callable[[Any, Any], bool]], ...] = (
    (bool, lambda given, found: given == found),
    ((int, float, complex), _is_same_number),
    (Decimal, _is_same_decimal),
    (str, lambda given, found: given == found),
    ((bytes, bytearray, memoryview), lambda given, found: bytes(given) == bytes(found)),
    (time, lambda given, found: given == found),
    ((list, tuple), lambda given, found: are_same(list(given), list(found))),
    (Mapping, lambda given, found: _are_same_dicts([dict(given)], [dict(found)])),
)

# -- times -------------------------------------------------------------------------------------------------------------

_SECOND = 10**18  # in numpy's finest unit
_UNITS: dict[str, int] = {"as": 1, "fs": 10**3, "ps": 10**6, "ns": 10**9, "us": 10**12, "ms": 10**15, "s": _SECOND}
_UNITS |= {"m": 60 * _SECOND, "h": 3600 * _SECOND, "D": 86400 * _SECOND, "W": 7 * 86400 * _SECOND}


def _is_time(value: Any) -> bool:
    return isinstance(value, date | timedelta) or is_numpy_scalar(value)


def _is_same_time(given: Any, found: Any) -> bool:
    # A day of numpy's is both.
    if not (is_numpy_scalar(given) or is_numpy_scalar(found)) and _is_day(given) != _is_day(found):
        return False
    if _is_span(given) != _is_span(found) or _zone(given) != _zone(found):
        return False
    count = _count(given)
    return count is not None and count == _count(found)


def _is_day(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_span(value: Any) -> bool:
    return value.dtype.kind == "m" if is_numpy_scalar(value) else isinstance(value, timedelta)


def _zone(value: Any) -> tuple[str | None, timedelta] | None:
    """Return the name of a datetime's zone, if it has one, and how far it is from UTC then."""
    offset = value.utcoffset() if isinstance(value, datetime) else None
    if offset is None:
        return None
    name = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)  # zoneinfo, pytz
    return name or (None if offset else "UTC"), offset


def _count(value: Any) -> int | None:
    """Return a time as a count of numpy's finest unit, on the clock of its zone; None where its unit has no length."""
    if is_numpy_scalar(value):
        return _numpy_count(value)
    if isinstance(value, timedelta):
        span = (value.days * 86400 + value.seconds) * _SECOND + value.microseconds * _UNITS["us"]
        return span + int(getattr(value, "nanoseconds", 0)) * _UNITS["ns"]
    count: int = (value.toordinal() - date(1970, 1, 1).toordinal()) * _UNITS["D"]
    if isinstance(value, datetime):
        count += (value.hour * 3600 + value.minute * 60 + value.second) * _SECOND
        count += value.microsecond * _UNITS["us"] + int(getattr(value, "nanosecond", 0)) * _UNITS["ns"]
    return count


def _numpy_count(value: Any) -> int | None:
    import numpy as np

    unit, step = np.datetime_data(value.dtype)
    if value.dtype.kind == "M" and unit in ("Y", "M"):
        unit, step, value = "D", 1, value.astype("M8[D]")
    size = _UNITS.get(unit)
    count: int = value.astype(np.int64).item()
    return None if size is None else count * step * size
