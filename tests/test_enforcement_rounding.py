"""Integers in lists reach the check of their column as they are, and not as the floats that pandas makes of them."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema, TensorSpec

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

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


@dataclasses.dataclass
class Pair:
    """A row of two numbers."""

    a: float
    b: float


@pytest.mark.parametrize("rows", [[Pair(ODD, 1.0), Pair(0.5, 2.0)], [{"a": ODD, "b": 1.0}, {"a": 0.5, "b": 2.0}]])
def test_rows_of_dataclasses_are_rows_of_dicts(rows: list[Any]) -> None:
    """An integer beside a decimal is found in a list of dataclasses as in one of dicts."""
    plan = compile_inputs(Schema((ColSpec(name="a", type="double"), ColSpec(name="b", type="double"))))
    with pytest.raises(InvalidInput, match="cannot hold exactly"):
        plan.enforce(rows)


def test_columns_that_are_read_once_are_not_rounded() -> None:
    """A generator has been read when its integers are looked for."""
    assert enforce({"a": (item for item in [1, 0.5])}, type="double") == [1.0, 0.5]
    assert enforce({"a": (item for item in [ODD, None])}, type="long", nullable=True) == [ODD, None]
    with pytest.raises(InvalidInput, match="cannot hold exactly"):
        enforce({"a": (item for item in [ODD, 0.5])}, type="double")


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(pd.Categorical([ODD, None])),
        pd.Series(pd.Categorical(pd.array([ODD, None], dtype="Int64"))),
        pd.Series(pa.array([ODD, None]).dictionary_encode().to_pandas()),
    ],
)
def test_a_tensor_of_categories_with_a_gap_rounds_nothing(series: Any) -> None:
    """Behind the codes of a categorical stand integers, which a gap among the codes does not make floats."""
    tensor = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
    table = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)))
    for plan, data in ((tensor, series), (table, pd.DataFrame({"a": series, "b": [1.0, 2.0]}))):
        with pytest.raises(InvalidInput, match="cannot hold exactly"):
            plan.enforce(data)


@pytest.mark.parametrize(
    ("cells", "dtype", "wanted"),
    [
        (pd.Categorical([5, None, 5]), "float64", [5.0, np.nan, 5.0]),
        (pd.Categorical([0.5, None]), "float64", [0.5, np.nan]),
        (pd.Categorical([None, None]), "float64", [np.nan, np.nan]),
        (pd.Categorical([3, 1]), "int64", [3, 1]),
        (pd.Categorical(["b", "a"]), "str", ["b", "a"]),
        (
            pd.Categorical(pd.to_datetime(["2020-01-01", None], utc=True)),
            "datetime64[ns]",
            [np.datetime64("2020-01-01", "ns"), np.datetime64("NaT", "ns")],
        ),
    ],
)
def test_a_tensor_of_categories_has_the_values_behind_them(cells: Any, dtype: str, wanted: list[Any]) -> None:
    """What a double holds it gets; a gap is NaN, or NaT among times."""
    plan = compile_inputs(Schema((TensorSpec(dtype=dtype, shape=(-1,)),)))
    np.testing.assert_array_equal(plan.enforce(pd.Series(cells)), np.array(wanted))


def test_looking_for_rounded_integers_takes_time_by_the_column() -> None:
    """Ten times the columns take no hundred times as long, though each may hold rounded integers."""

    def seconds(count: int) -> float:
        plan = compile_inputs(Schema(tuple(ColSpec(name=f"c{place}", type="double") for place in range(count))))
        record = [dict.fromkeys((f"c{place}" for place in range(count)), 1e20)]
        plan.enforce(record)
        starts = [(time.perf_counter(), plan.enforce(record), time.perf_counter()) for _ in range(3)]
        return min(end - start for start, _, end in starts)

    assert seconds(5_000) < 40 * seconds(500)
