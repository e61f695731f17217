"""Nested cells of Arrow and polars keep every integer and every time, gaps or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from palate._containers.nested_cells import exact_cells, needs_exact_cells
from palate._containers.unfit import Unfit
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, Property, Schema, TensorSpec

N = 2**53 + 1  # the first integer that no double holds
LONG = Object((Property("a", "long", required=False),))
DOUBLES = Object((Property("a", Array("double"), required=False),))
TIME = Object((Property("t", "datetime"),))
ENTRIES = pa.map_(pa.string(), pa.int64())


def enforce(kind: FieldType, data: Any) -> list[Any]:
    """Return the cells of the column d after enforcement, arrays as lists."""
    cells = compile_inputs(Schema((ColSpec(name="d", type=kind, required=False),))).enforce(data)["d"].tolist()
    return [plain(cell) for cell in cells]


def plain(value: Any) -> Any:
    """Return a cell with lists for arrays."""
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | np.ndarray) else value


def containers(cells: list[Any], kind: Any = None) -> list[Any]:
    """Return cells as a table, a frame backed by Arrow, and a polars frame where it has the type."""
    pl = pytest.importorskip("polars")
    array = pa.array(cells, kind)
    backed = pd.DataFrame({"d": pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))})
    return [pa.table({"d": array}), backed, *([pl.DataFrame({"d": cells})] if kind is None else [])]


@pytest.mark.parametrize(
    ("kind", "cells", "wanted"),
    [
        (LONG, [{"a": N}, {"a": None}], [{"a": N}, {"a": None}]),
        (Array(LONG), [[{"a": N}, {"a": None}]], [[{"a": N}, {"a": None}]]),
        (AnyType(), [{"a": N}, {"a": None}], [{"a": N}, {"a": None}]),
    ],
)
def test_integers_beside_gaps_keep_every_digit(kind: FieldType, cells: list[Any], wanted: list[Any]) -> None:
    """A member that is missing in one object rounds nothing in another."""
    for data in containers(cells):
        assert enforce(kind, data) == wanted


def test_maps_keep_every_digit() -> None:
    """A map of longs with a gap holds the integers that were given."""
    for data in containers([[("a", N), ("b", None)]], ENTRIES):
        assert enforce(Map("long"), data) == [{"a": N, "b": None}]


@pytest.mark.parametrize("kind", [AnyType(), Array(AnyType())])
def test_lists_of_anything_keep_every_digit(kind: FieldType) -> None:
    """A list with a gap is handed on with the integers that were given."""
    for cells in ([[N, None]], [[N, None], None, [1, 2]]):
        assert enforce(kind, pa.table({"d": cells})) == cells


@pytest.mark.parametrize(
    ("kind", "cells", "arrow"),
    [(Array("double"), [[N, None]], None), (DOUBLES, [{"a": [N, None]}], None), (Map("double"), [[("a", N)]], ENTRIES)],
)
def test_doubles_that_would_round_an_integer_are_refused(kind: FieldType, cells: list[Any], arrow: Any) -> None:
    """What a double does not hold is told of, gap or not."""
    for data in containers(cells, arrow):
        with pytest.raises(InvalidInput, match="cannot hold exactly"):
            enforce(kind, data)


def test_integers_that_doubles_hold_become_doubles_beside_gaps() -> None:
    """Where nothing is lost, integers with gaps are doubles with NaN, as in a list."""
    for data in containers([[1, None]]):
        [[one, gap]] = enforce(Array("double"), data)
        assert one == 1.0
        assert np.isnan(gap)


def test_times_in_objects_stay_times() -> None:
    """pandas makes an integer of a time in nanoseconds that is a member of an object."""
    moment = np.datetime64("2020-01-01T00:00:00.000000005", "ns")
    cells = pa.array([{"t": moment}], pa.struct([("t", pa.timestamp("ns"))]))
    for kind in (TIME, AnyType()):
        assert enforce(kind, pa.table({"d": cells})) == [{"t": pd.Timestamp(moment)}]


def test_a_tensor_of_lists_with_a_gap_rounds_nothing() -> None:
    """A float64 tensor takes lists of one size with gaps if it holds their integers, and refuses them otherwise."""
    plan = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)))
    pairs = pa.list_(pa.int64(), 2)
    tensor = plan.enforce(pa.table({"d": pa.array([[1, None]], pairs)}))
    assert tensor.dtype == np.float64
    assert tensor[0, 0] == 1.0
    with pytest.raises(InvalidInput, match="cannot hold exactly"):
        plan.enforce(pa.table({"d": pa.array([[N, None]], pairs)}))


@pytest.mark.parametrize(
    ("array", "changed"),
    [
        (pa.array([[1, 2], None]), False),
        (pa.array([[1.0, None]]), False),
        (pa.array([[1, None], [2]]).slice(1), False),
        (pa.array([[True, None]]), False),
        (pa.array([1, None]), False),
        (pa.array([[1, None]], pa.large_list(pa.int64())), True),
        (pa.array([[[1], [None]]]), True),
        (pa.ListArray.from_arrays([0, 2], pa.array([N, None]).dictionary_encode()), True),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.timestamp("ns"))), True),
    ],
)
def test_only_what_pandas_changes_is_made_cell_by_cell(array: Any, changed: bool) -> None:
    """All other columns go the way of pandas, which is many times as quick."""
    assert needs_exact_cells(pa.chunked_array([array])) is changed


def test_a_map_with_a_key_twice_is_no_dict() -> None:
    """Of two values of one key none is dropped silently."""
    with pytest.raises(Unfit, match="a key stands twice"):
        exact_cells(pa.chunked_array([pa.array([[("a", 1), ("a", None)]], ENTRIES)]))


def test_lists_of_views_with_gaps_are_exact() -> None:
    """Text in the layout of polars stands beside integers with gaps."""
    kind = pa.struct([("a", pa.int64()), ("s", pa.string_view())])
    cells = [{"a": N, "s": "x"}, {"a": None, "s": None}]
    assert enforce(AnyType(), pa.table({"d": pa.array(cells, kind)})) == cells
