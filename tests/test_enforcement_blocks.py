"""Frames by their blocks: what passes costs nothing, and blocks are converted to what their columns would become."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate._containers.sharing import shares_safely
from palate._containers.unfit import Unfit
from palate._enforcement.blocks import build_frame, dtypes_of, group_columns, join_columns, read_blocks
from palate._enforcement.cells import InvalidCells
from palate._enforcement.columns import compile_column
from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, ColSpec, Schema
from palate.testing._threads import at_once


def plan(kind: Any, names: Any, **facts: Any) -> InputPlan:
    """Compile a schema of columns of one type."""
    return compile_inputs(Schema(tuple(ColSpec(type=kind, name=name, **facts) for name in names)))


def letters(count: int) -> list[str]:
    """Return names for columns."""
    return [f"c{number}" for number in range(count)]


# -- frames that fit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [letters(3), [None, None, None], [0, 1, 2]], ids=["named", "unnamed", "numbered"])
def test_frames_that_fit_are_the_same_object(names: list[Any]) -> None:
    """Whether the plan has seen such a frame or not, it is handed on as it is."""
    labels = [index if name is None else name for index, name in enumerate(names)]
    plans = plan("double", names)
    for _ in range(3):
        frame = pd.DataFrame(np.ones((2, 3)), columns=labels)
        assert plans.enforce(frame) is frame
        assert plans.enforce(frame) is frame


def test_a_plan_remembers_no_more_than_it_asked() -> None:
    """After a frame that fits, one with other labels, dtypes or order is still told apart."""
    plans, names = plan("double", ["a", "b"]), ["a", "b"]
    fits = pd.DataFrame({"a": [1.0], "b": [2.0]})
    assert plans.enforce(fits) is fits
    swapped: Any = plans.enforce(fits[["b", "a"]])
    assert swapped.columns.tolist() == names
    assert swapped.iloc[0].tolist() == [1.0, 2.0]
    whole: Any = plans.enforce(pd.DataFrame({"a": [1], "b": [2.0]}))
    assert whole.dtypes.tolist() == [np.dtype("float64")] * 2
    for wrong in (fits.rename(columns={"b": "c"}), pd.DataFrame({"a": ["x"], "b": [2.0]}), fits[["a"]]):
        with pytest.raises(InvalidInput):
            plans.enforce(wrong)
        assert plans.enforce(fits) is fits


def test_labels_that_only_look_equal_are_told_apart() -> None:
    """A time that pandas finds equal to a text, and True, which is equal to 1, are no names."""
    dates = plan("double", ["2020-01-01"])
    frame = pd.DataFrame({"2020-01-01": [1.0]})
    assert dates.enforce(frame) is frame
    with pytest.raises(InvalidInput, match="missing"):
        dates.enforce(pd.DataFrame({pd.Timestamp("2020-01-01"): [1.0]}))
    numbers = plan("double", ["a", 1])
    frame = pd.DataFrame([[1.0, 2.0]], columns=pd.Index(["a", 1], dtype=object))
    assert numbers.enforce(frame) is frame
    with pytest.raises(InvalidInput, match="missing"):
        numbers.enforce(pd.DataFrame([[1.0, 2.0]], columns=pd.Index(["a", True], dtype=object)))


def test_order_of_categories_is_asked_every_time() -> None:
    """pandas finds dtypes equal whose categories stand in another order; a model's codes would change."""
    plans = plan("string", ["a"], categories=("x", "y"), categorical=True)
    fits = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["x", "y"])})
    other = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "x"])})
    assert fits.dtypes.tolist() == other.dtypes.tolist()
    for _ in range(2):
        assert plans.enforce(fits) is fits
        result: Any = plans.enforce(other)
        assert result["a"].cat.codes.tolist() == [0, 1]


def test_one_plan_for_many_threads() -> None:
    """Threads that send frames of several kinds through one plan each get their own answer."""
    plans, failures = plan("double", letters(4)), []
    kinds: list[Any] = [np.float64, np.int64, np.float32, object]

    def send(number: int) -> None:
        kind = kinds[number % len(kinds)]
        for round_ in range(60):
            frame = pd.DataFrame(np.full((2, 4), round_, dtype=kind), columns=letters(4)[:: 1 - 2 * (number % 2)])
            result: Any = plans.enforce(frame)
            if result.columns.tolist() != letters(4) or not (result.to_numpy() == round_).all():
                failures.append(number)

    at_once(send)
    assert failures == []


def test_checked_columns_that_fit_leave_the_frame_alone() -> None:
    """Where only values have to be looked at, the frame is still the same object."""
    plans = plan("double", ["a", "b"], minimum=0.0)
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    assert plans.enforce(frame) is frame
    with pytest.raises(InvalidInput):
        plans.enforce(-frame)


# -- blocks are converted to what their columns would become ----------------------------------------------------------

NUMBERS = ("double", "float", "long", "integer")
TYPES_OF = {
    **dict.fromkeys(("int8", "int32", "int64", "uint64", "float16", "float32", "float64", ">f8", "Int64"), NUMBERS),
    "object": NUMBERS,
    "Float32": NUMBERS,
    "category": NUMBERS,
    "bool": ("boolean",),
    "str": ("string", "datetime"),
    "datetime64[us]": ("datetime",),
    "datetime64[ns]": ("datetime",),
    "datetime64[ns, UTC]": ("datetime",),
    "complex64": ("double",),
}
ALL_TYPES = sorted({kind for kinds in TYPES_OF.values() for kind in kinds})


@st.composite
def columns(draw: st.DrawFn, dtype: str, rows: int) -> Any:
    """Draw a Series, most often of values that fit most types."""
    if dtype == "str":
        return pd.Series(["2024-05-06"] * rows, dtype="str")
    small = st.integers(0, 100)
    numbers = draw(st.lists(small, min_size=rows, max_size=rows))
    if dtype in ("int64", "uint64", "object") and not draw(st.integers(0, 3)):
        numbers = [2**53 + 1 if number > 95 else number for number in numbers]
    series = pd.Series([number % 2 for number in numbers] if dtype == "bool" else numbers, dtype="int64")
    if dtype in ("float16", "float32", "float64") and not draw(st.integers(0, 3)):
        series = series.where(series < 90, np.nan).where(series < 98, 0.1)
    return series.astype(dtype)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Schema]:
    """Draw a frame of several blocks, and a schema that knows most of its columns, in another order."""
    rows, count = draw(st.integers(0, 4)), draw(st.integers(1, 10))
    names = letters(count)
    is_one_block = not draw(st.integers(0, 2))
    sources = st.sampled_from(["int32", "int64", "float32"] if is_one_block else sorted(TYPES_OF))
    dtypes = st.sampled_from(draw(st.lists(sources, min_size=1, max_size=1 if is_one_block else 4)))
    frame = pd.concat([draw(columns(draw(dtypes), rows)).rename(name) for name in names], axis=1)
    if is_one_block or draw(st.booleans()):
        frame = frame.copy()  # the columns of one dtype in one block
    frame.index = pd.Index(draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)), name="row")
    frame.columns.name = "column"
    chosen = draw(st.permutations(names))[: draw(st.integers(1, count))] if draw(st.booleans()) else names
    can_fit, is_uniform = draw(st.integers(0, 4)), is_one_block or draw(st.booleans())
    specs: list[ColSpec] = []
    for name in chosen:
        kinds = TYPES_OF[str(frame[name].dtype)] if can_fit else ALL_TYPES
        kind = kinds[0] if is_uniform else draw(st.sampled_from(kinds))
        low = 0 if kind in NUMBERS and not draw(st.integers(0, 5)) else None
        specs.append(ColSpec(type=kind, name=name, minimum=low))  # type: ignore[arg-type]
    return frame, Schema(tuple(specs))


def convert_one_by_one(frame: Any, schema: Schema) -> tuple[Any, list[Any]]:
    """Return what the columns become when each is converted alone, and what is wrong with them."""
    converted, problems = {}, []
    for spec in schema.columns:
        try:
            converted[spec.name] = compile_column(spec).convert(frame[spec.name])
        except Unfit as exc:
            problems.append((("inputs", spec.name), exc.kind, exc.message))
        except InvalidCells as exc:
            problems.extend((("inputs", spec.name, *p.where), p.kind, p.message) for p in exc.problems)
    return pd.DataFrame(converted, index=frame.index), problems


@settings(max_examples=250, deadline=None)
@given(cases())
def test_blocks_become_what_their_columns_become(case: tuple[Any, Schema]) -> None:
    """Values, dtypes, labels and problems are those of the columns converted one by one; the input stays as it was."""
    frame, schema = case
    before = [column.copy() for _, column in frame.items()]  # a copy of the frame would join >f8 with float64
    expected, problems = convert_one_by_one(frame, schema)
    plans = compile_inputs(schema)
    for _ in range(2):
        if problems:
            with pytest.raises(InvalidInput) as failure:
                plans.enforce(frame)
            found = [(p.where, p.kind, p.message.partition(". Hint: frame.astype")[0]) for p in failure.value.problems]
            assert found == problems
        else:
            result: Any = plans.enforce(frame)
            pd.testing.assert_frame_equal(result, expected, check_column_type=False, check_names=False)
            # Rows and arrays come another way than columns do, straight from the only block if there is but one.
            rows = (pd.DataFrame(each.to_numpy(dtype=object), dtype=object) for each in (result, expected))
            pd.testing.assert_frame_equal(*rows)
            for place in range(len(result)):
                pd.testing.assert_series_equal(result.iloc[place], expected.iloc[place], check_names=False)
            assert result.index is frame.index or result.index.equals(frame.index)
            assert result.columns.name == "column"
        for (_, column), untouched in zip(frame.items(), before, strict=True):
            pd.testing.assert_series_equal(column, untouched)


@pytest.mark.parametrize("chosen", ["a", "ac", "ca", "cba"])
@pytest.mark.parametrize("first", [">f8", ">i4", "float64", "Int64"])
def test_columns_in_another_byte_order_are_taken_like_others(chosen: str, first: str) -> None:
    """Columns of any keep their numbers where others are left behind, also where pandas 2 takes none out of a block."""
    frame = pd.DataFrame({name: np.array([2, 3], dtype=">f8") for name in "abc"}).astype({"a": first})
    specs = [ColSpec(type="double" if name == "a" else AnyType(), name=name) for name in chosen]
    result: Any = compile_inputs(Schema(tuple(specs))).enforce(frame.copy(deep=False))
    assert result.to_dict("list") == {name: [2, 3] for name in chosen}
    result.iloc[0, 0] = 7
    assert frame["a"].tolist() == [2, 3]


@pytest.mark.parametrize("rows", [1, 60_000], ids=["few rows", "many rows"])
@pytest.mark.parametrize("labels", ["ab", "ba", "xab", "axb"], ids=["same", "reversed", "one more", "one between"])
def test_results_share_nothing_that_can_be_written_to(rows: int, labels: str) -> None:
    """A model that changes the frame it gets does not change the caller's."""
    frame = pd.DataFrame({label: np.arange(rows) if label == "a" else np.full(rows, 0.5) for label in labels})
    before = frame.copy(deep=True)
    result: Any = plan("double", ["a", "b"]).enforce(frame)
    assert result.iloc[-1].tolist() == [rows - 1, 0.5]
    result.iloc[0, 0] = 7.0
    result.iloc[0, 1] = 8.0
    assert result.iloc[0].tolist() == [7.0, 8.0]
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.skipif(not shares_safely(), reason="before pandas 3, what is shared can be written to")
def test_long_columns_that_fit_are_not_copied() -> None:
    """In a long frame only the columns that need it are converted; the result shares the others with the caller's."""
    frame = pd.DataFrame({name: np.zeros(60_000) for name in letters(9)}).assign(n=1)
    result: Any = plan("double", [*letters(9), "n"]).enforce(frame)
    assert result["n"].dtype == "float64"
    assert all(np.shares_memory(result[name].to_numpy(), frame[name].to_numpy()) for name in letters(9))


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table], ids=["polars", "arrow"])
@pytest.mark.parametrize("names", [["a", "b"], [0, 1]], ids=["named", "numbered"])
@pytest.mark.parametrize("more", [{}, {"x": np.zeros(200_000)}], ids=["", "one more"])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_frames_of_other_packages_can_be_written_to(make: Any, names: list[Any], more: Any, dtype: str) -> None:
    """A model may change the frame that it gets, whatever is shared with the caller's table, which stays as it was."""
    table = make({str(names[0]): np.zeros(200_000), str(names[1]): np.zeros(200_000, dtype=dtype), **more})
    result: Any = plan("double", names).enforce(table)
    gc.collect()
    result.iloc[0, :] = 7.0
    assert result.iloc[0].tolist() == [7.0, 7.0]
    assert pa.table(table).slice(0, 1).to_pylist() == [dict.fromkeys(pa.table(table).column_names, 0)]


def test_layout_of_an_array_is_kept() -> None:
    """A frame made of a C-ordered array becomes one whose array is C-ordered, in one block; so with Fortran's."""
    array = np.ones((5, 3), dtype="int32")
    for layout in (array, np.asfortranarray(array)):
        result: Any = plan("double", letters(3)).enforce(pd.DataFrame(layout, columns=letters(3), copy=False))
        assert result.to_numpy().flags.c_contiguous == layout.flags.c_contiguous
        assert len(read_blocks(result)) == 1


def test_each_of_many_problems_has_its_column() -> None:
    """A block that does not fit is looked at by column: all problems are listed, the text shows twenty."""
    frame = pd.DataFrame(np.full((2, 600), 0.1), columns=letters(600)).assign(c7=0.5)
    with pytest.raises(InvalidInput) as failure:
        plan("float", letters(600)).enforce(frame)
    problems = failure.value.problems
    assert [p.where[1] for p in problems] == [name for name in letters(600) if name != "c7"]
    assert problems[0].message.endswith(". Hint: frame.astype({'c0': 'float32'}) rounds them")
    lines = str(failure.value).splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "- and 579 more"


def test_the_hint_works() -> None:
    """What the message says to do makes the frame fit."""
    frame = pd.DataFrame({"a": [0.1]})
    with pytest.raises(InvalidInput, match=r"Hint: frame\.astype"):
        plan("float", ["a"]).enforce(frame)
    rounded = frame.astype({"a": "float32"})
    assert plan("float", ["a"]).enforce(rounded) is rounded


# -- both ways to the same blocks -------------------------------------------------------------------------------------

MIXED = pd.DataFrame(
    {
        "a": [1, 2],
        "b": [0.5, np.nan],
        "c": ["x", None],
        "d": [3, 4],
        "e": pd.Series([1, None], dtype="Int64"),
        "f": pd.date_range("2024", periods=2),
        "g": pd.date_range("2024", periods=2, tz="UTC"),
        "h": pd.Series([pd.Timestamp("2024"), "text"], dtype=object),
        "i": pd.Series([pd.Timestamp("2024"), pd.Timestamp("2025")], dtype=object),
        "j": pd.date_range("2025", periods=2),
        "k": pd.Categorical(["u", "v"]),
        "l": pd.date_range("2025", periods=2, tz="UTC"),
    },
    index=[7, 7],
)


@pytest.mark.parametrize("build", [build_frame, join_columns])
@pytest.mark.parametrize("read", [read_blocks, group_columns])
def test_frames_come_back_from_their_blocks(read: Any, build: Any) -> None:
    """Through pandas' internals and through its public names alone, taken apart and built again is the same."""
    for frame in (MIXED, MIXED[["l", "b", "a", "c"]], MIXED.iloc[:0], MIXED[["a", "d"]]):
        built = build(read(frame.copy()), frame.index, frame.columns)
        pd.testing.assert_frame_equal(built, frame)
    assert len(read(MIXED[["a", "d", "b"]])) == 2


def test_dtypes_are_those_of_the_frame() -> None:
    """The short way to the dtypes gives what the long one gives."""
    assert dtypes_of(MIXED) == MIXED.dtypes.tolist()
    assert dtypes_of(pd.DataFrame()) == []


class Renamed:
    """A frame of a pandas whose internals have other names."""

    def __init__(self, frame: Any, manager: object) -> None:
        self._frame, self._mgr = frame, manager

    def __len__(self) -> int:
        return len(self._frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)


@pytest.mark.parametrize("manager", [None, object(), SimpleNamespace(blocks=(SimpleNamespace(values=1),))])
def test_a_pandas_with_other_internals_is_read_by_its_public_names(manager: object) -> None:
    """Whichever of the four internal names is not there, the dtypes and the blocks are the same."""
    renamed = Renamed(MIXED, manager)
    assert dtypes_of(renamed) == MIXED.dtypes.tolist()
    pd.testing.assert_frame_equal(build_frame(read_blocks(renamed), MIXED.index, MIXED.columns), MIXED)


def test_columns_added_one_by_one_are_joined() -> None:
    """A frame with a block for each of many columns is converted like any other."""
    frame = pd.concat([pd.Series([number, 1], name=name) for number, name in enumerate(letters(40))], axis=1)
    frame["text"] = "x"
    schema = Schema((*(ColSpec(type="double", name=name) for name in letters(40)), ColSpec(type="string", name="text")))
    result: Any = compile_inputs(schema).enforce(frame)
    assert result.iloc[0].tolist() == [*range(40), "x"]
    assert set(result.dtypes[:40]) == {np.dtype("float64")}
