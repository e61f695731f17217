"""Objects over which pyarrow ends the process: numpy's times beside other scalars of numpy.

Seen with 26.0.1: ``pyarrow.array([numpy.datetime64(1, "ns"), numpy.float32(1)])`` is a segmentation fault.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from palate._containers.kinds import is_ndarray, is_numpy_scalar, loaded_types
from palate._containers.unfit import Unfit

__all__ = ["refuse_mixed_times"]

_Place = tuple[object, ...]


def refuse_mixed_times(items: list[Any]) -> None:
    """Raise Unfit where a datetime64 stands in one place with another scalar of numpy; *items* do not hold themselves.

    Items of lists are in one place, and so are the values of one key.
    """
    if not any(issubclass(kind, _may_hold_times()) for kind in set(map(type, items))):
        return
    kinds: defaultdict[_Place, set[str]] = defaultdict(set)
    _note(items, (), kinds)
    if any("M" in found and len(found) > 1 for found in kinds.values()):
        raise Unfit("wrong_type", "pyarrow has no type for values like these")


def _may_hold_times() -> tuple[type, ...]:
    return (list, tuple, dict, *loaded_types("numpy", "ndarray", "datetime64"))


def _note(value: Any, place: _Place, kinds: defaultdict[_Place, set[str]]) -> None:
    """Add the kinds of numpy's scalars in *value* to those of their places."""
    if isinstance(value, dict):
        for key, member in value.items():
            _note(member, (*place, key), kinds)
    elif isinstance(value, list | tuple) or (is_ndarray(value) and value.dtype == object):
        for item in value:
            _note(item, (*place, list), kinds)
    elif is_ndarray(value):
        kinds[(*place, *[list] * value.ndim)].add(value.dtype.kind)
    elif is_numpy_scalar(value):
        kinds[place].add(value.dtype.kind)
