"""Arrays are cast without a value changing, in pieces where they are long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate._containers.exactness import cast_array
from palate._containers.unfit import Unfit

CASTS = [
    ("int64", "float64", 2**53 + 1),
    ("int64", "int32", 2**31),
    ("int64", "int32", -(2**31) - 1),
    ("uint64", "int64", 2**63),
    ("float64", "float32", 0.1),
    ("float64", "int64", 0.5),
    ("float64", "int64", np.nan),
    ("float64", "int64", 2.0**63),
    ("float64", "uint8", -1.0),
    ("float32", "int64", -np.inf),
]


@pytest.mark.parametrize(("given_dtype", "wanted", "unfit"), CASTS)
@pytest.mark.parametrize("shape", [(5,), (300_000,), (1000, 300)], ids=["short", "long", "table"])
def test_one_value_in_any_piece_is_found(given_dtype: str, wanted: str, unfit: Any, shape: tuple[int, ...]) -> None:
    """Wherever it stands and however the array lies in memory, one value that does not fit is found."""
    array = np.ones(shape, dtype=given_dtype)
    dtype = np.dtype(wanted)
    assert cast_array(array, dtype).dtype == dtype
    for place in (0, array.size // 2, array.size - 1):
        array.flat[place] = unfit
        for layout in (array, array.T, array[::-1], np.asfortranarray(array), np.repeat(array, 2, axis=0)[::2]):
            with pytest.raises(Unfit):
                cast_array(layout, dtype)
        array.flat[place] = 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**64 - 1) | st.integers(-3, 3), min_size=1),
    st.sampled_from(["f4", "f8", "i4", "u8"]),
)
def test_integers_are_cast_exactly_or_not_at_all(numbers: list[int], wanted: str) -> None:
    """What comes back is equal as Python numbers; what is refused has a number that the type lacks."""
    try:
        array = np.array(numbers, dtype="i8" if min(numbers) < 0 else "u8")
    except OverflowError:
        return
    dtype = np.dtype(wanted)
    info: Any = np.iinfo(dtype) if dtype.kind in "iu" else None
    fits = [
        info.min <= number <= info.max if info else int(dtype.type(float(number))) == number == int(float(number))
        for number in numbers
    ]
    if all(fits):
        assert list(map(int, cast_array(array, dtype))) == numbers
    else:
        with pytest.raises(Unfit):
            cast_array(array, dtype)
