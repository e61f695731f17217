"""Integers in lists reach the check of their column as they are, and not as the floats that pandas makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")

ODD = 2**53 + 1  # pandas rounds it to 2**53 beside a gap
LONGS = st.integers(-(2**63), 2**63 - 1)


def enforce(data: Any, *, name: Any = "a", **spec: Any) -> list[Any]:
    """Enforce one column; return its values, None for missing ones."""
    frame: Any = compile_inputs(Schema((ColSpec(name=name, **spec),))).enforce(data)
    return [None if pd.isna(value) else value for value in frame.iloc[:, 0].tolist()]


def containers(items: list[Any]) -> list[Any]:
    """Return the containers of lists that columns called a come in."""
    return [[{"a": item} for item in items], [{"a": item, "b": "x"} for item in items], {"a": items}]


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA])
def test_integers_beside_gaps_keep_every_digit(gap: object) -> None:
    """Records, and columns as lists, bring large integers with gaps unrounded, by name and by number."""
    for data in containers([ODD, gap, -ODD]):
        assert enforce(data, type="long", nullable=True) == [ODD, None, -ODD]
    assert enforce([{"0": ODD}, {"0": gap}], type="long", nullable=True, name="0") == [ODD, None]
    assert enforce([{0: ODD}, {0: gap}], type="long", nullable=True, name=0) == [ODD, None]
    for data in ([ODD, gap], [[ODD], [gap]]):
        assert enforce(data, type="long", nullable=True, name=None) == [ODD, None]
    assert enforce([{"a": ODD, "b": 0}, {"b": 0}], type="long", nullable=True) == [ODD, None]


@pytest.mark.parametrize("other", [None, 0.5])
def test_a_double_that_would_round_an_integer_is_refused(other: object) -> None:
    """An integer without an equal double is refused beside gaps and decimals as it is alone; others pass."""
    for data in containers([ODD, other]):
        with pytest.raises(InvalidInput, match="exactly"):
            enforce(data, type="double")
    for data in containers([2**60, 1e300, other]):
        assert enforce(data, type="double") == [2.0**60, 1e300, other]


def test_columns_that_are_no_numbers_are_judged_as_before() -> None:
    """Large numbers in a column of text are refused, though objects pass there."""
    for data in containers([ODD, None]):
        with pytest.raises(InvalidInput, match="needs string"):
            enforce(data, type="string")


@given(st.lists(LONGS | st.none(), min_size=1))
def test_whatever_integers_lists_hold_come_through(items: list[int | None]) -> None:
    """Every list of 64-bit integers and gaps is equal to what the model gets."""
    for data in containers(items):
        assert enforce(data, type="long", nullable=True) == items
