"""Predictions of every kind go out as pandas, polars, Arrow and numpy, with their values, names and memory."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from palate._containers.sharing import shares_safely
from palate._outputs.conversion import convert_output
from palate.schema import Array, ColSpec, Schema, TensorSpec

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
sparse = pytest.importorskip("scipy.sparse")

FRAMES = ("pandas", "polars", "arrow")
MATRIX = np.arange(6.0).reshape(3, 2)
VECTOR = np.array([0.5, 1.5, 2.5])
BOTH = {"predict_0": [0.0, 2.0, 4.0], "predict_1": [1.0, 3.0, 5.0]}


def convert(predictions: object, container: str, *, schema: Schema | None = None, given: object = None) -> Any:
    """Convert what a model's predict returned."""
    return convert_output(predictions, container, method="predict", schema=schema, given=given)


def table(predictions: object, container: str, **facts: Any) -> dict[str, list[Any]]:
    """Convert to a frame, and read it as a dict of columns with None for what is missing."""
    frame = convert(predictions, container, **facts)
    if container == "pandas":
        assert isinstance(frame, pd.DataFrame)
        return {name: [plain(cell) for cell in column.tolist()] for name, column in frame.items()}
    assert isinstance(frame, pl.DataFrame if container == "polars" else pa.Table)
    found: dict[str, list[Any]] = frame.to_dict(as_series=False) if container == "polars" else frame.to_pydict()
    return found


def plain(cell: Any) -> Any:
    """Return a cell of pandas as Python has it."""
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell):
        return None
    return cell.to_pydatetime() if isinstance(cell, pd.Timestamp) else cell


def named(*names: str) -> Schema:
    """Return a schema of columns with these names."""
    return Schema(tuple(ColSpec(type="double", name=name) for name in names))


class Tensor:
    """An array of a package that nobody has heard of."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape = array, array.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


# -- values and names --------------------------------------------------------------------------------------------------

TABLES: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "vector": (VECTOR, {"predict": [0.5, 1.5, 2.5]}),
    "matrix": (MATRIX, BOTH),
    "matrix in F order": (np.asfortranarray(MATRIX), BOTH),
    "every second row": (np.repeat(MATRIX, 2, axis=0)[::2], BOTH),
    "one wide": (VECTOR.reshape(3, 1), {"predict": [0.5, 1.5, 2.5]}),
    "no rows": (np.zeros((0, 2)), {"predict_0": [], "predict_1": []}),
    "zero dimensions": (np.array(1.5), {"predict": [1.5]}),
    "scalar": (1.5, {"predict": [1.5]}),
    "text": ("yes", {"predict": ["yes"]}),
    "list": ([1, 2, 3], {"predict": [1, 2, 3]}),
    "tuple": ((1, 2), {"predict": [1, 2]}),
    "empty list": ([], {"predict": []}),
    "list with a gap": ([2**53 + 1, None], {"predict": [2**53 + 1, None]}),
    "floats with a gap": ([1.5, None], {"predict": [1.5, None]}),
    "truth with a gap": ([True, None], {"predict": [True, None]}),
    "words": (["a", None, "c\0"], {"predict": ["a", None, "c\0"]}),
    "bytes": ([b"a", b"b\0"], {"predict": [b"a", b"b\0"]}),
    "dates": ([date(2020, 1, 2), None], {"predict": [date(2020, 1, 2), None]}),
    "moments": ([datetime(2020, 1, 2, 3), None], {"predict": [datetime(2020, 1, 2, 3), None]}),  # noqa: DTZ001
    "rows": ([[1, 2], [3, 4]], {"predict_0": [1, 3], "predict_1": [2, 4]}),
    "rows of arrays": ([np.array([1, 2]), np.array([3, 4])], {"predict_0": [1, 3], "predict_1": [2, 4]}),
    "rows of mixed cells": ([["a", 1], ["b", 2]], {"predict_0": ["a", "b"], "predict_1": [1, 2]}),
    "ragged": ([[1], [2, 3]], {"predict": [[1], [2, 3]]}),
    "records": ([{"a": 1, "b": "x"}, {"a": 2}], {"a": [1, 2], "b": ["x", None]}),
    "records with lists": ([{"a": [1, 2]}, {"a": [3, 4]}], {"a": [[1, 2], [3, 4]]}),
    "one record": ({"answer": "yes", "score": 0.5}, {"answer": ["yes"], "score": [0.5]}),
    "classes": (np.array(["a", "b"], dtype=object), {"predict": ["a", "b"]}),
    "text array": (np.array(["a", "bc"]), {"predict": ["a", "bc"]}),
    "truth": (np.array([True, False]), {"predict": [True, False]}),
    "bytes array": (np.array([b"a", b"bc"]), {"predict": [b"a", b"bc"]}),
    "big endian": (VECTOR.astype(">f8"), {"predict": [0.5, 1.5, 2.5]}),
    "days": (np.array(["2020-01", "NaT"], "M8[us]"), {"predict": [datetime(2020, 1, 1), None]}),  # noqa: DTZ001
    "hours": (np.array([1, 2], "m8[h]"), {"predict": [timedelta(hours=1), timedelta(hours=2)]}),
    "sparse": (sparse.csr_matrix(MATRIX), BOTH),
    "sparse array": (sparse.coo_array(MATRIX), BOTH),
    "tensor": (Tensor(MATRIX), BOTH),
    "structured": (np.array([(1, 0.5)], dtype=[("a", "i4"), ("b", "f8")]), {"a": [1], "b": [0.5]}),
    "named outputs": (
        {"label": np.array([1, 2, 3]), "scores": MATRIX, "word": ["a", "b", "c"]},
        {"label": [1, 2, 3], "scores_0": [0.0, 2.0, 4.0], "scores_1": [1.0, 3.0, 5.0], "word": ["a", "b", "c"]},
    ),
    "several outputs": (
        (VECTOR, Tensor(MATRIX)),
        {"predict_0": [0.5, 1.5, 2.5], "predict_1_0": [0.0, 2.0, 4.0], "predict_1_1": [1.0, 3.0, 5.0]},
    ),
    "a matrix for each target": (
        [MATRIX, VECTOR.reshape(3, 1)],
        {"predict_0_0": [0.0, 2.0, 4.0], "predict_0_1": [1.0, 3.0, 5.0], "predict_1": [0.5, 1.5, 2.5]},
    ),
    "deep": (np.arange(8).reshape(2, 2, 2), {"predict": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]}),
    "deep and empty": (np.zeros((2, 0, 2)), {"predict": [[], []]}),
    "DataFrame": (
        pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.array([1, None], "Int8")}),
        {"a": [1, 2], "b": ["x", None], "c": [1, None]},
    ),
    "DataFrame of categories": (pd.DataFrame({"a": pd.Categorical(["x", "y"])}), {"a": ["x", "y"]}),
    "DataFrame of lists": (pd.DataFrame({"a": [[1], [2, 3]]}), {"a": [[1], [2, 3]]}),
    "DataFrame with numbers": (pd.DataFrame([[1, 2]], columns=[7, 8]), {"7": [1], "8": [2]}),
    "Series": (pd.Series([1, 2], name="a"), {"a": [1, 2]}),
    "categories": (pd.Categorical(["a", "b"]), {"predict": ["a", "b"]}),
    "nullable array": (pd.array([1, None], "Int8"), {"predict": [1, None]}),
    "Series without a name": (pd.Series([1, 2]), {"predict": [1, 2]}),
    "polars": (pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), {"a": [1, None], "b": ["x", "y"]}),
    "polars Series": (pl.Series([1, 2]), {"predict": [1, 2]}),
    "Arrow": (pa.table({"a": [1, None], "b": [[1], [2]]}), {"a": [1, None], "b": [[1], [2]]}),
    "Arrow array": (pa.array([1, 2]), {"predict": [1, 2]}),
    "record batch": (pa.record_batch({"a": [1, 2]}), {"a": [1, 2]}),
}


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("case", TABLES)
def test_predictions_are_a_frame_of_equal_values(case: str, container: str) -> None:
    """Whatever a model returns has the same cells and names in each kind of frame."""
    predictions, expected = TABLES[case]
    found = table(predictions, container)
    assert list(found) == list(expected)
    for name, cells in expected.items():
        given = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in found[name]]
        assert given == cells
        assert [isinstance(cell, bool) for cell in given] == [isinstance(cell, bool) for cell in cells]


@pytest.mark.parametrize("container", FRAMES)
def test_names_come_from_the_predictions_then_the_schema_then_the_method(container: str) -> None:
    """A frame's texts and a dict's keys stay; arrays and numbered frames take the schema's names if it has as many."""
    assert list(table(MATRIX, container, schema=named("no", "yes"))) == ["no", "yes"]
    assert list(table(MATRIX, container, schema=named("one", "two", "three"))) == ["predict_0", "predict_1"]
    assert list(table(MATRIX, container, schema=named("scores"))) == ["scores_0", "scores_1"]
    assert list(table(VECTOR, container, schema=named("price"))) == ["price"]
    assert list(table((VECTOR, VECTOR), container, schema=named("low", "high"))) == ["low", "high"]
    tensor = Schema((TensorSpec(dtype="float64", shape=(-1,)),))
    assert list(table(VECTOR, container, schema=tensor)) == ["predict"]
    own = pd.DataFrame({"yes": [1.0], "no": [0.0]})
    assert list(table(own, container, schema=named("no", "yes"))) == ["yes", "no"]
    assert list(table(own.set_axis([0, 1], axis=1), container, schema=named("no", "yes"))) == ["no", "yes"]
    assert list(table({"b": VECTOR, "a": VECTOR}, container, schema=named("a", "b"))) == ["b", "a"]
    assert list(table(pl.Series([1.0]), container, schema=named("price"))) == ["price"]


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("rows", [4095, 4096, 4097, 10_000])
def test_long_matrices_are_taken_apart_whole(rows: int, container: str) -> None:
    """A matrix in C order is copied by parts, of which none is left out."""
    matrix = np.arange(rows * 3).reshape(rows, 3)
    np.testing.assert_array_equal(convert(convert(matrix, container), "numpy"), matrix)


@pytest.mark.parametrize("container", FRAMES)
def test_lists_of_a_column_of_lists_stay_cells(container: str) -> None:
    """Where the schema says that an output is an array, rows of equal length are no columns."""
    schema = Schema((ColSpec(type=Array("long")),))
    assert table([[1, 2], [3, 4]], container, schema=schema) == {"predict": [[1, 2], [3, 4]]}


@given(
    arrays.arrays(
        st.sampled_from(["i1", "u2", "i8", "u8", "f4", "f8", "?"]),
        arrays.array_shapes(min_dims=0, max_dims=2, max_side=3),
    ),
    st.sampled_from(FRAMES),
)
def test_arrays_come_back_equal(array: Any, container: str) -> None:
    """An array that went into a frame is, as numpy, the same array in dtype and values, as a table."""
    back = convert(convert(array, container), "numpy")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array.reshape(-1, 1) if array.ndim < 2 else array)


@pytest.mark.parametrize("container", ["polars", "arrow"])
def test_cells_of_arrays_come_back_equal(container: str) -> None:
    """Arrays in the cells of a column are one array again, of the same dtype."""
    deep = np.arange(12, dtype="f4").reshape(3, 2, 2)
    back = convert(convert(deep, container), "numpy")
    assert back.dtype == "float32"
    np.testing.assert_array_equal(back, deep)


# -- numpy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predictions", "dtype", "values"),
    [
        (Tensor(MATRIX), "float64", MATRIX.tolist()),
        (sparse.csc_array(MATRIX), "float64", MATRIX.tolist()),
        ([1, 2], "int64", [1, 2]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([True, 2], "object", [True, 2]),
        ([2**53 + 1, 0.5], "object", [2**53 + 1, 0.5]),
        ([2**63 + 1, -1], "object", [2**63 + 1, -1]),
        ([1, None], "object", [1, None]),
        (["a", "b"], "object", ["a", "b"]),
        ([[1], [2, 3]], "object", [[1], [2, 3]]),
        (1.5, "float64", 1.5),
        (pd.Series([1, None], dtype="Int64"), "object", [1, None]),
        (pd.Series([1, 2], dtype="Int64"), "int64", [1, 2]),
        (pd.Series([1.5, None], dtype="Float64"), "float64", [1.5, np.nan]),
        (pd.Series(["a", None]), "object", ["a", None]),
        (pl.Series([1, None]), "object", [1, None]),
        (pl.Series([1.5, None]), "float64", [1.5, np.nan]),
        (pl.Series([{"a": 1}]), "object", [{"a": 1}]),
        (pa.array([1, None]), "object", [1, None]),
        (pa.chunked_array([[1], [2]]), "int64", [1, 2]),
        (pa.array([[1], [2, 3]]), "object", [[1], [2, 3]]),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), "float64", [[1.0, 3.0], [2.0, 4.0]]),
        (pd.DataFrame({"a": pd.array([1], "Int64"), "b": pd.array([2], "Int64")}), "int64", [[1, 2]]),
        (pl.DataFrame({"a": [1, 2], "b": [3, 4]}), "int64", [[1, 3], [2, 4]]),
        (pa.table({"a": [1, 2]}), "int64", [[1], [2]]),
        (pd.DataFrame(index=[1, 2]), "float64", [[], []]),
    ],
)
def test_predictions_are_an_array(predictions: Any, dtype: str, values: Any) -> None:
    """Numbers are numbers, whatever holds them; what no dtype holds exactly is an array of objects."""
    found = convert(predictions, "numpy")
    assert found.dtype == dtype
    np.testing.assert_equal(found.tolist(), values)


def test_arrays_are_themselves() -> None:
    """An ndarray is the answer as it is, structured and masked ones too."""
    for array in (MATRIX, np.array([(1, 0.5)], dtype=[("a", "i4"), ("b", "f8")]), np.ma.masked_array([1, 2], [0, 1])):
        assert convert(array, "numpy") is array


@pytest.mark.parametrize(
    "predictions",
    [
        {"a": [1, 2], "b": MATRIX},
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}),
        pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pa.table({"a": [1, 2], "b": ["x", "y"]}),
    ],
)
def test_several_outputs_and_dtypes_are_a_dict_of_arrays(predictions: Any) -> None:
    """A dict stays one, and a table of several dtypes becomes one, so that no column changes its dtype."""
    found = convert(predictions, "numpy")
    assert list(found) == ["a", "b"]
    assert all(isinstance(array, np.ndarray) for array in found.values())
    assert found["a"].dtype == "int64"


# -- pandas' index -----------------------------------------------------------------------------------------------------


def test_the_index_of_the_input_comes_along() -> None:
    """Rows keep the labels that the caller gave them, if there are as many and they have none of their own."""
    given = pd.DataFrame({"x": [1, 2, 3]}, index=["a", "b", "c"])
    for predictions in (VECTOR, MATRIX, {"a": VECTOR}, [1, 2, 3], pl.Series([1, 2, 3]), pd.Categorical([1, 2, 3])):
        assert convert(predictions, "pandas", given=given).index.tolist() == ["a", "b", "c"]
        assert convert(predictions, "pandas", given=given["x"]).index.tolist() == ["a", "b", "c"]
    assert convert(VECTOR[:2], "pandas", given=given).index.tolist() == [0, 1]
    assert convert(VECTOR, "pandas", given=given.to_numpy()).index.tolist() == [0, 1, 2]
    own = pd.Series([1, 2, 3], index=["c", "a", "b"])
    assert convert(own, "pandas", given=given).index.tolist() == ["c", "a", "b"]
    assert convert(own.to_frame(), "pandas", given=given).index.tolist() == ["c", "a", "b"]


# -- memory ------------------------------------------------------------------------------------------------------------


def columns_of(frame: Any) -> list[Any]:
    """Return the memory of each column."""
    if isinstance(frame, pd.DataFrame):
        return [column.to_numpy() for _, column in frame.items()]
    if isinstance(frame, pl.DataFrame):
        return [column.to_numpy(allow_copy=False) for column in frame.get_columns()]
    return [column.chunk(0).to_numpy(zero_copy_only=True) for column in frame.columns]


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1"])
def test_columns_in_one_piece_are_not_copied(dtype: str, container: str) -> None:
    """A vector, a matrix in F order, named outputs and a tensor are the same memory in each kind of frame."""
    vector, matrix = np.arange(4).astype(dtype), np.asfortranarray(np.ones((4, 3), dtype))
    for predictions, memory in ((vector, vector), (matrix, matrix), ({"a": vector}, vector), (Tensor(vector), vector)):
        frame = convert(predictions, container)
        assert all(np.shares_memory(column, memory) for column in columns_of(frame))


def test_more_memory_that_is_not_copied() -> None:
    """A matrix in C order is pandas' own layout too; cells of arrays are Arrow's; columns of frames stay in place."""
    assert np.shares_memory(convert(MATRIX, "pandas").to_numpy(), MATRIX)
    deep = np.arange(8.0).reshape(2, 2, 2)
    assert np.shares_memory(convert(deep, "arrow")["predict"].chunk(0).values.values.to_numpy(), deep)
    many = np.zeros(100_000)
    for frame in (pd.DataFrame({"a": many}, copy=False), pl.DataFrame({"a": many}), pa.table({"a": many})):
        for container in FRAMES:
            is_free = container != "pandas" or isinstance(frame, pd.DataFrame)  # pandas 2 gets a copy
            assert np.shares_memory(columns_of(convert(frame, container))[0], many) == (is_free or shares_safely())


@pytest.mark.parametrize(
    ("container", "frame"),
    [
        ("pandas", pd.DataFrame({"a": [1]}, index=[5])),
        ("polars", pl.DataFrame({"a": [1]})),
        ("arrow", pa.table({"a": [1]}, metadata={"made": "by a model"})),
    ],
)
def test_a_frame_that_has_its_names_is_itself(container: str, frame: Any) -> None:
    """Nothing is built anew where the model already returns what was asked for."""
    assert convert(frame, container) is frame
