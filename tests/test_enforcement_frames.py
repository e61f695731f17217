"""Columns come in from every container with their values, and with the caller's own memory where that can be."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from strangers import Batch, Stream

from palate._containers import frames
from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput, Problem
from palate.schema import Array, ColSpec, FieldType, Map, Object, Property, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

ROWS = 200_000  # so many are shared and not copied
UNNAMED = (ColSpec(type="double"),)
copies_on_write = pytest.mark.skipif(
    pd.__version__ < "3", reason="pandas copies on write since 3; before, all is copied"
)


def plan(kind: FieldType | str = "double", *names: str, **facts: Any) -> InputPlan:
    """Compile a signature of columns of one type."""
    return compile_inputs(Schema(tuple(ColSpec(type=kind, name=name, **facts) for name in names or ("x",))))  # type: ignore[arg-type]


def problem_of(compiled: InputPlan, data: Any) -> Problem:
    """Return the one problem with this input."""
    with pytest.raises(InvalidInput) as failure:
        compiled.enforce(data)
    (problem,) = failure.value.problems
    return problem


# -- columns of every type, in Arrow, polars and whatever else speaks Arrow --------------------------------------------

MOMENT = datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001 - a column without a zone
DAY = datetime(2020, 1, 2)  # noqa: DTZ001
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
PAIR = Object((Property("a", "long"), Property("b", "string")))

CELLS: list[tuple[Any, Any, list[Any]]] = [
    *((pa.array([1, 2], kind), wanted, [1, 2]) for kind in INTEGERS for wanted in ("long", "double")),
    *((pa.array([1.5, 2.0], kind), "double", [1.5, 2.0]) for kind in ("float32", "float64")),
    (pa.array([1.5, None]), "double", [1.5, None]),
    (pa.array([1, None]), "double", [1.0, None]),
    (pa.array([True, False]), "boolean", [True, False]),
    (pa.array([True, None]), "boolean", [True, None]),
    *(
        (pa.array(["a", None], kind), "string", ["a", None])
        for kind in (pa.string(), pa.large_string(), pa.string_view())
    ),
    (pa.array(["a", "b", "a"]).dictionary_encode(), "string", ["a", "b", "a"]),
    *((pa.array([b"a"], kind), "binary", [b"a"]) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
    (pa.array([DAY.date()]), "datetime", [DAY]),
    *((pa.array([MOMENT, None], pa.timestamp(unit)), "datetime", [MOMENT, None]) for unit in ("ms", "us", "ns")),
    (pa.array([MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "Europe/Vienna")), "datetime", [MOMENT]),
    (pa.array([Decimal("1.5")]), "double", [1.5]),
    (pa.array([[1, 2], [3]], pa.list_(pa.int64())), Array("long"), [[1, 2], [3]]),
    (pa.array([["a"], ["b", "c"]], pa.large_list(pa.string())), Array("string"), [["a"], ["b", "c"]]),
    (pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)), Array("double"), [[1.0, 2.0]]),
    (pa.array([[["a"], ["b"]]]), Array(Array("string")), [[["a"], ["b"]]]),
    (pa.array([{"a": 1, "b": "x"}]), PAIR, [{"a": 1, "b": "x"}]),
    (pa.array([{"a": ["x"]}]), Object((Property("a", Array("string")),)), [{"a": ["x"]}]),
    (pa.nulls(2), "double", [None, None]),
]


def plain(value: Any) -> Any:
    """Return a cell as Python has it, None for what is missing."""
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return None if value is None or value is pd.NaT or value != value else value


def through_polars(table: Any) -> Any:
    """Return a Table as polars has it."""
    return pytest.importorskip("polars").from_arrow(table)


CONTAINERS = {
    "table": lambda table: table,
    "batch": lambda table: table.to_batches()[0],
    "stream": Stream,
    "unknown batch": Batch,
    "reader": lambda table: table.to_reader(),
    "polars": through_polars,
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("cells", "kind", "values"), CELLS, ids=lambda value: str(getattr(value, "type", ""))[:40])
def test_every_type_comes_in_with_its_values(container: str, cells: Any, kind: Any, values: list[Any]) -> None:
    """A column of any Arrow type reaches the model with equal values, whoever holds it; in a dict too."""
    data = CONTAINERS[container](pa.table({"x": cells}))
    frame: Any = plan(kind).enforce(data)
    assert plain(frame["x"].tolist()) == values
    if isinstance(kind, str) and container == "table":
        columns: Any = plan(kind).enforce({"x": cells})
        assert plain(columns["x"].tolist()) == values


@pytest.mark.parametrize(("cells", "kind", "values"), CELLS, ids=lambda value: str(getattr(value, "type", ""))[:40])
def test_chunks_are_joined_and_empty_tables_stay_empty(cells: Any, kind: Any, values: list[Any]) -> None:
    """Of how many chunks a column is makes no difference, not even when there are none."""
    chunked = pa.chunked_array([cells, cells[:0], cells])
    frame: Any = plan(kind).enforce(pa.table({"x": chunked}))
    assert plain(frame["x"].tolist()) == values * 2
    none: Any = plan(kind).enforce(pa.table({"x": pa.chunked_array([], cells.type)}))
    assert none["x"].tolist() == []


@pytest.mark.parametrize(
    ("cells", "kind", "wrong"),
    [
        ([time(1)], "datetime", "wrong_type"),
        ([timedelta(1)], "datetime", "wrong_type"),
        ([timedelta(1)], "long", "wrong_type"),
        ([1, None], "long", "missing"),
        ([True], "double", "wrong_type"),
        (["1"], "double", "wrong_type"),
        ([1.5], "long", "wrong_value"),
        ([["a", None]], Array("string"), "missing"),
    ],
)
def test_what_no_column_holds_is_refused_the_same_way(cells: list[Any], kind: Any, wrong: str) -> None:
    """Arrow, polars and pandas get the same kind of problem, in the column's name."""
    table = pa.table({"x": cells})
    for data in (table, Stream(table), through_polars(table)):
        problem = problem_of(plan(kind), data)
        assert (problem.where[:2], problem.kind) == (("inputs", "x"), wrong)


def test_maps_come_in_as_dicts() -> None:
    """Arrow's own type for dicts of any keys."""
    cells = pa.array([[("k", 1.0)], []], pa.map_(pa.string(), pa.float64()))
    frame: Any = plan(Map("double")).enforce(pa.table({"x": cells}))
    assert frame["x"].tolist() == [{"k": 1.0}, {}]


def test_a_gap_in_one_column_changes_no_other() -> None:
    """Only integers with gaps are wrapped; the others stay as they are, large ones exact."""
    table = pa.table({"x": pa.array([2**53 + 1, None]), "y": pa.array([1.5, None]), "z": pa.array([1, 2], "int32")})
    made = frames.arrow_to_frame(table)
    assert [str(dtype) for dtype in made.dtypes] == ["Int64", "float64", "int32"]
    assert made["x"].tolist() == [2**53 + 1, pd.NA]


def test_names_that_stand_twice_are_refused() -> None:
    """Nobody can tell which of two columns is meant."""
    table = pa.table([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    assert problem_of(plan(), table).kind == "wrong_value"


def test_other_columns_are_not_even_converted() -> None:
    """Columns that no schema names stay behind, whatever they are; a missing one is told with those that are there."""
    table = pa.table({"y": pa.array([[["deep"]]]), "x": [1.0], "z": ["a"]})
    frame: Any = plan().enforce(table)
    assert frame.columns.tolist() == ["x"]
    assert "columns not in the signature: y, z" in problem_of(plan(), table.drop_columns("x")).message


def test_the_index_of_pandas_comes_back() -> None:
    """A table made of a DataFrame becomes the same DataFrame."""
    given = pd.DataFrame({"x": [1.0, 2.0], "y": [1, 2]}, index=["a", "b"])
    frame: Any = plan().enforce(pa.Table.from_pandas(given))
    pd.testing.assert_frame_equal(frame, given[["x"]], check_index_type=False)


# -- memory of the caller's --------------------------------------------------------------------------------------------


def numbers(frame: Any) -> Any:
    """Return the memory of a frame's first column."""
    return frame.iloc[:, 0].to_numpy()


@pytest.mark.parametrize("container", ["table", "batch", "stream", "unknown batch", "polars"])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
@copies_on_write
def test_columns_of_arrow_are_not_copied(container: str, dtype: str) -> None:
    """Numbers without gaps are the caller's own memory; a few bytes are copied, which is quicker."""
    given = np.arange(ROWS).astype(dtype)
    compiled = plan("double" if dtype == "float64" else "long")
    frame: Any = compiled.enforce(CONTAINERS[container](pa.table({"y": given, "x": given})))
    assert np.shares_memory(numbers(frame), given)
    few: Any = compiled.enforce(CONTAINERS[container](pa.table({"x": given[:3]})))
    assert few["x"].tolist() == [0, 1, 2]
    assert not np.shares_memory(numbers(few), given)


@pytest.mark.parametrize("order", ["C", "F"])
@copies_on_write
def test_a_large_array_is_not_copied(order: Any) -> None:
    """Its frame is the same memory; a small one is copied, which is quicker."""
    array = np.ones((ROWS, 2), order=order)
    compiled = compile_inputs(Schema((ColSpec(type="double"), ColSpec(type="double"))))
    assert np.shares_memory(numbers(compiled.enforce(array)), array)
    assert not np.shares_memory(numbers(compiled.enforce(array[:5])), array)


def sources() -> list[tuple[Any, Any]]:
    """Return containers and the arrays whose memory they are."""
    array = np.zeros((ROWS, 2))
    column = np.zeros(ROWS)
    polars = through_polars(pa.table({"x": column}))
    return [(array, array), (array[:5], array), (pa.table({"x": column}), column), (polars, column)]


@pytest.mark.parametrize("source", range(4))
@copies_on_write
def test_a_model_may_write_into_its_frame(source: int) -> None:
    """It writes into a copy that pandas makes then, in cells, columns and views of them; the caller's data stays."""
    data, memory = sources()[source]
    for write in (_write_cell, _write_place, _write_column, _write_view):
        frame: Any = frames.to_frame(data, UNNAMED)
        write(frame)
        assert 9.0 in frame.to_numpy()
    assert not memory.any()


def _write_cell(frame: Any) -> None:
    frame.loc[0, frame.columns[0]] = 9.0


def _write_place(frame: Any) -> None:
    frame.iloc[1, -1] = 9.0


def _write_column(frame: Any) -> None:
    frame[frame.columns[0]] += 9.0


def _write_view(frame: Any) -> None:
    part = frame[:2]
    part.iloc[0, 0] = 5.0
    frame[frame.columns[0]] = part[part.columns[0]].replace(5.0, 9.0).reindex(frame.index)


@copies_on_write
def test_what_outlives_the_frame_cannot_write_into_the_callers_memory() -> None:
    """A view that a model keeps is read-only once its frame is gone, and the data of the caller's as it was."""
    array = np.zeros((ROWS, 2))
    frame: Any = frames.to_frame(array, UNNAMED)
    kept = frame[:2]
    del frame
    gc.collect()
    with pytest.raises(ValueError, match="read-only"):
        kept.iloc[0, 0] = 9.0
    assert not array.any()


@copies_on_write
def test_the_callers_array_stays_writable() -> None:
    """Only the model's view of it is read-only."""
    array = np.zeros((ROWS, 2))
    frame: Any = frames.to_frame(array, UNNAMED)
    array[0, 0] = 1.0
    assert frame.iloc[0, 0] == 1.0


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]], [(1.0, 2.0), np.array([3.0])], [np.array([1.0, 2.0]), {3.0}]])
def test_rows_that_end_early_have_gaps(rows: list[Any]) -> None:
    """Rows are filled up without a warning of pandas', whatever they are after the first."""
    frame: Any = compile_inputs(Schema((ColSpec(type="double"), ColSpec(type="double")))).enforce(rows)
    assert frame.iloc[:, 0].tolist() == [1.0, 3.0]
    assert frame.iloc[:, 1].isna().tolist() == [False, True]


def test_a_row_of_text_is_taken_apart_without_a_warning() -> None:
    """pandas, and MLflow with it, takes text among lists for a row of its letters."""
    frame: Any = compile_inputs(Schema((ColSpec(type="string"), ColSpec(type="string")))).enforce([["a"], "xy"])
    assert frame.iloc[:, 0].tolist() == ["a", "x"]
    assert frame.iloc[:, 1].isna().tolist() == [True, False]
