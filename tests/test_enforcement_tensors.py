"""Tensor signatures: arrays pass, exact conversions are made, everything else is refused."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput
from palate.schema import Schema, TensorSpec

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")

FORMATS = ("csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "csc_array", "coo_array")


def plan(dtype: str = "float32", shape: tuple[int, ...] = (-1, 3), name: str | None = None) -> InputPlan:
    """Compile a signature of one tensor."""
    return compile_inputs(Schema((TensorSpec(dtype=dtype, shape=shape, name=name),)))


def kind_of(tensor: InputPlan, data: Any) -> str:
    """Return the kind of the one problem with this input."""
    with pytest.raises(InvalidInput) as failure:
        tensor.enforce(data)
    (problem,) = failure.value.problems
    return problem.kind


@pytest.mark.parametrize(
    ("dtype", "shape", "array"),
    [
        ("float32", (-1, 3), np.ones((2, 3), "f4")),
        ("float32", (-1, 3), np.ones((0, 3), "f4")),
        ("float32", (-1, 3), np.asfortranarray(np.full((2, 3), np.nan, "f4"))),
        ("float32", (-1, -1, 2), np.ones((2, 5, 2), "f4")),
        ("float32", (-1, -1, 2), np.array([np.ones(2), np.ones(3)], dtype=object)),
        ("float64", (), np.array(1.0)),
        ("str", (-1,), np.array(["a", "bcd"])),
        ("bytes", (-1,), np.array([b"a", b"bcd"])),
        ("object", (-1,), np.array([["a"], [1]], dtype=object)),
        ("datetime64[ns]", (-1,), np.array(["2020"], dtype="M8[ns]")),
        ("bool", (2,), np.array([True, False])),
    ],
)
def test_an_array_that_fits_is_the_same_object(dtype: str, shape: tuple[int, ...], array: Any) -> None:
    """The dtype and shape of the signature: the array passes untouched and uncopied."""
    assert plan(dtype, shape).enforce(array) is array


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("float64", np.array([0.1, np.nan], "f4")),
        ("float32", np.array([0.5, np.inf], "f8")),
        ("float32", np.array([1, 2**24])),
        ("float32", np.array([1.5], ">f4")),
        ("float64", np.array([2**53])),
        ("int64", np.array([1, 2], "u1")),
        ("uint8", np.array([255])),
        ("int64", np.array([2.0])),
        ("complex64", np.array([1.5])),
        ("datetime64[ns]", np.array(["2020-01-01"], "M8[D]")),
        ("datetime64[D]", np.array(["2020-01-01"], "M8[ns]")),
        ("str", np.array(["a", "b"], dtype=object)),
        ("float64", [1, 2.5]),
        ("float32", (1.0, 0.5)),
        ("bool", [True, False]),
        ("str", ["a", "bc"]),
        ("int64", []),
    ],
)
def test_exact_conversions_are_made(dtype: str, data: Any) -> None:
    """Other dtypes and lists convert when every value stays equal."""
    result: Any = plan(dtype, (-1,)).enforce(data)
    assert result.dtype == dtype or result.dtype.kind == np.dtype(dtype).kind == "U"
    np.testing.assert_array_equal(result, np.asarray(data))


@pytest.mark.parametrize(
    ("dtype", "data", "kind"),
    [
        ("float32", np.array([0.1]), "wrong_value"),
        ("float32", np.array([1e300]), "wrong_value"),
        ("float32", [1e300], "wrong_value"),
        ("float64", [2**53 + 1], "wrong_value"),
        ("float64", [2**53 + 1, 0.5], "wrong_value"),
        ("int64", np.array([1.5]), "wrong_value"),
        ("int64", np.array([np.nan]), "wrong_value"),
        ("int64", np.array([2**63], "u8"), "wrong_value"),
        ("int8", np.array([128]), "wrong_value"),
        ("uint8", np.array([-1]), "wrong_value"),
        ("float16", np.array([-(2**63)]), "wrong_value"),
        ("int64", np.array([-np.inf], "f2"), "wrong_value"),
        ("float32", np.array([True]), "wrong_type"),
        ("bool", np.array([1]), "wrong_type"),
        ("int64", [True, 2], "wrong_type"),
        ("float32", ["1"], "wrong_type"),
        ("float32", np.array(["1"]), "wrong_type"),
        ("str", ["a", 1], "wrong_type"),
        ("str", np.array([1]), "wrong_type"),
        ("str", ["a\0"], "wrong_value"),
        ("float64", np.array([1j]), "wrong_type"),
        ("int64", [None], "wrong_type"),
        ("datetime64[ns]", np.array(["3020"], "M8[D]"), "wrong_value"),
        ("datetime64[ns]", np.array([1]), "wrong_type"),
        ("float64", [[1.0], [2.0, 3.0]], "wrong_shape"),
        ("float64", [[1.0]], "wrong_shape"),
        ("float64", {"a": 1}, "wrong_type"),
        ("float64", None, "wrong_type"),
        ("float64", "abc", "wrong_type"),
        ("float64", 1.0, "wrong_type"),
    ],
)
def test_what_would_change_is_refused(dtype: str, data: Any, kind: str) -> None:
    """No rounding, no wrapping around, no truth values as numbers, no text as anything else."""
    assert kind_of(plan(dtype, (-1,)), data) == kind


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1), ()])
def test_shapes_are_checked(shape: tuple[int, ...]) -> None:
    """A wrong rank or size is told with what is needed and what was given."""
    with pytest.raises(InvalidInput, match=r"float32 with shape \(any, 3\), got shape"):
        plan().enforce(np.ones(shape, "f4"))


@given(
    arrays.arrays(
        st.sampled_from(["i1", "u2", "i8", "u8", "f2", "f4", "f8", ">i4", ">f8"]),
        arrays.array_shapes(max_dims=2, max_side=3),
    ),
    st.sampled_from(["int8", "uint8", "int64", "uint64", "float16", "float32", "float64"]),
)
def test_numbers_come_out_equal_or_not_at_all(array: Any, dtype: str) -> None:
    """For every pair of dtypes, Python finds each converted number equal to the given one."""
    before = array.copy()
    try:
        result: Any = plan(dtype, (-1,) * array.ndim).enforce(array)
    except InvalidInput:
        assert array.dtype != dtype
        return
    assert result.dtype == dtype
    for given_value, converted in zip(before.ravel().tolist(), result.ravel().tolist(), strict=True):
        assert converted == given_value or (given_value != given_value and converted != converted)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("form", FORMATS)
def test_sparse_stays_sparse(form: str) -> None:
    """Every common sparse form passes as it is, or with its values converted exactly."""
    matrix = getattr(sparse, form)(np.eye(3, dtype="f4"))
    assert plan().enforce(matrix) is matrix
    wide: Any = plan("float64").enforce(matrix)
    assert type(wide) is type(matrix)
    assert wide.dtype == "float64"
    assert kind_of(plan(), getattr(sparse, form)(np.full((1, 3), 0.1))) == "wrong_value"
    assert kind_of(plan(), getattr(sparse, form)(np.eye(2, dtype="f4"))) == "wrong_shape"


@pytest.mark.parametrize(
    "form", ["lil_matrix", "dok_matrix", "dia_matrix", "bsr_matrix", "lil_array", "dok_array", "bsr_array"]
)
def test_unusual_sparse_forms_become_rows(form: str) -> None:
    """The other forms of scipy are handed on as CSR, with equal values."""
    result: Any = plan().enforce(getattr(sparse, form)(np.eye(3, dtype="f4")))
    assert result.format == "csr"
    assert result.dtype == "float32"
    assert result.toarray().tolist() == np.eye(3).tolist()


def test_sparse_matrices_hold_numbers_only() -> None:
    """A tensor of objects is none of them; one row may be a sparse vector."""
    assert kind_of(plan("object"), sparse.csr_matrix(np.eye(3))) == "wrong_type"
    row = sparse.coo_array(np.array([0, 1, 0], "f4"))
    assert plan("float32", (-1,)).enforce(row) is row


# -- frames ------------------------------------------------------------------------------------------------------------


def test_columns_stand_side_by_side() -> None:
    """A frame of as many columns as the tensor is wide becomes a matrix, each column exactly."""
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": pd.array([3, None], dtype="Int64")}, index=[9, 9])
    result: Any = plan().enforce(frame)
    np.testing.assert_array_equal(result, np.array([[1, 0.5, 3], [2, np.nan, np.nan]], "f4"))
    assert kind_of(plan(), frame.assign(c=[0.1, 0.2])) == "wrong_value"
    assert kind_of(plan(), frame.assign(c=["1", "2"])) == "wrong_type"
    assert kind_of(plan(), frame.assign(c=[True, False])) == "wrong_type"
    assert kind_of(plan("int64"), frame) in ("missing", "wrong_value")
    assert kind_of(plan(), frame[["a", "b"]]) == "wrong_shape"
    assert plan().enforce(frame.iloc[:0]).shape == (0, 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize("index", [[0, 1], [5, 5], ["x", "y"]])
def test_one_column_of_lists_is_unfolded_on_any_index(index: list[Any]) -> None:
    """Lists are stacked and, as in MLflow, rounded to the tensor's float type; labels do not matter."""
    frame = pd.DataFrame({"a": [[1.0, 2.0, 0.1], [4, 5, 6]]}, index=index)
    result: Any = plan().enforce(frame)
    assert result.dtype == "float32"
    np.testing.assert_array_equal(result, np.array([[1, 2, 0.1], [4, 5, 6]], "f4"))
    assert plan(shape=(-1, 3, 1)).enforce(frame).shape == (2, 3, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        ("float32", [["1", "2", "3"]]),
        ("float32", [[True, False, True]]),
        ("float32", [[1e300, 1.0, 1.0]]),
        ("int64", [[1.5, 2.0, 3.0]]),
        ("float32", [[1.0, 2.0]]),
        ("float32", [[1.0, 2.0, 3.0], [1.0]]),
        ("float32", [[1.0, 2.0, 3.0], None]),
        ("float32", [np.full(3, 0.1)]),
        ("float32", [np.ones(3, "f4"), np.ones(3)]),
        ("float32", [np.ones(3, "f4"), [1.0, 2.0, 3.0]]),
        ("float32", [{"a": 1}]),
    ],
)
def test_cells_that_do_not_fit_are_refused(dtype: str, cells: list[Any]) -> None:
    """Nothing is forced: neither text nor fractions nor arrays of a wider type."""
    assert kind_of(plan(dtype), pd.DataFrame({"a": cells}))


def test_one_column_of_numbers_is_a_vector() -> None:
    """Scalars make a vector or one column, rounded to a float type but never cut to integers."""
    frame = pd.DataFrame({"a": [1.5, 0.1]})
    np.testing.assert_array_equal(plan(shape=(-1,)).enforce(frame), np.array([1.5, 0.1], "f4"))  # type: ignore[arg-type]
    assert plan(shape=(-1, 1)).enforce(frame["a"]).shape == (2, 1)  # type: ignore[attr-defined]
    assert kind_of(plan("int32", (-1,)), frame) == "wrong_value"
    assert kind_of(plan("str", (-1,)), frame) == "wrong_type"
    assert kind_of(plan(shape=(-1,)), pd.DataFrame({"a": ["1.5"]})) == "wrong_type"
    gaps = pd.DataFrame({"a": pd.Series([1, None], dtype="Int64")})
    np.testing.assert_array_equal(plan(shape=(-1,)).enforce(gaps), np.array([1, np.nan], "f4"))  # type: ignore[arg-type]
    assert kind_of(plan("int64", (-1,)), gaps) == "missing"


# -- several tensors ---------------------------------------------------------------------------------------------------

PAIR = compile_inputs(
    Schema((TensorSpec(dtype="float32", shape=(-1, 2), name="x"), TensorSpec(dtype="int64", shape=(-1,), name="y")))
)


def test_a_dict_that_fits_is_the_same_object() -> None:
    """The right arrays under the right names in order pass as they are."""
    given = {"x": np.ones((1, 2), "f4"), "y": np.arange(1)}
    assert PAIR.enforce(given) is given


def test_named_tensors_are_converted_and_put_in_order() -> None:
    """Extra names are left out, arrays that fit are the same objects, lists and frames convert."""
    x = np.ones((1, 2), "f4")
    result: Any = PAIR.enforce({"z": 1, "y": [3], "x": x})
    assert list(result) == ["x", "y"]
    assert result["x"] is x
    frame: Any = PAIR.enforce(pd.DataFrame({"y": [1], "x": [[0.5, 1.0]]}, index=[4]))
    assert frame["x"].tolist() == [[0.5, 1.0]]
    assert frame["y"].tolist() == [1]


def test_all_problems_of_named_tensors_are_in_one_error() -> None:
    """A missing and a wrong tensor are both told, by name."""
    with pytest.raises(InvalidInput) as failure:
        PAIR.enforce({"x": np.ones((1, 3), "f4")})
    assert [(p.where, p.kind) for p in failure.value.problems] == [
        (("inputs", "x"), "wrong_shape"),
        (("inputs", "y"), "missing"),
    ]


def test_one_named_tensor_takes_a_bare_array() -> None:
    """With a single name there is nothing to mistake; several need a dict."""
    array = np.ones((1, 3), "f4")
    result: Any = plan(name="x").enforce(array)
    assert list(result) == ["x"]
    assert result["x"] is array
    assert kind_of(PAIR, array) == "wrong_type"
    assert kind_of(PAIR, None) == "wrong_type"
    assert kind_of(plan(name="x"), pd.DataFrame([[[1.0], [1.0]]], columns=["x", "x"])) == "wrong_shape"


def test_framework_tensors_are_read_as_arrays() -> None:
    """A tensor is detached from its gradient and read by numpy; one that numpy has no form for is refused."""

    class Tensor:
        __module__ = "torch"
        tracked = True

        def detach(self) -> Any:
            copy = Tensor()
            copy.tracked = False
            return copy

        def cpu(self) -> Any:
            return self

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            if self.tracked:
                raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
            return np.ones((2, 3), "f4")

    assert plan().enforce(Tensor()).shape == (2, 3)  # type: ignore[attr-defined]
    strange = type("Tensor", (), {"__module__": "torch", "__array__": lambda self, *a, **k: 1 / 0 if a == 1 else None})
    assert kind_of(plan(), strange())


# -- lists of a fixed size ---------------------------------------------------------------------------------------------


def embeddings(array: Any) -> Any:
    """Return an array as a column of lists of a fixed size."""
    column = pa.array(array.reshape(-1))
    for size in reversed(array.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return pa.table({"x": column})


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2)])
def test_lists_of_a_fixed_size_are_one_array(shape: tuple[int, ...]) -> None:
    """A column of embeddings in Arrow is the tensor, uncopied, in slices too; polars' Array has the same values."""
    array = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    for compiled in (plan(shape=(-1, *shape[1:])), plan(shape=(-1, *shape[1:]), name="x")):
        for table, rows in ((embeddings(array), array), (embeddings(array).slice(1, 2), array[1:3])):
            result: Any = compiled.enforce(table)
            tensor = result["x"] if isinstance(result, dict) else result
            np.testing.assert_array_equal(tensor, rows)
            assert np.shares_memory(tensor, array)
        polars: Any = compiled.enforce(pytest.importorskip("polars").from_arrow(embeddings(array)))
        np.testing.assert_array_equal(polars["x"] if isinstance(polars, dict) else polars, array)


def test_lists_of_a_fixed_size_are_judged_as_arrays() -> None:
    """Their numbers have a type, so that nothing is rounded; gaps and other sizes are refused."""
    assert kind_of(plan(), embeddings(np.full((2, 3), 0.1))) == "wrong_value"
    assert kind_of(plan(), embeddings(np.ones((2, 4), "f4"))) == "wrong_shape"
    for cells in ([[1.0, 2.0, 3.0], None], [[1.0, None, 3.0]]):
        gaps = pa.table({"x": pa.array(cells, pa.list_(pa.float32(), 3))})
        with pytest.raises(InvalidInput) if None in cells else nullcontext():
            result: Any = plan().enforce(gaps)
            np.testing.assert_array_equal(result, np.array(cells, "f4"))


def test_named_tensors_are_the_columns_of_a_table() -> None:
    """Each by its name, whatever the order; a name that stands there twice is refused."""
    vectors = embeddings(np.ones((2, 2), "f4"))["x"]
    table = pa.table({"z": ["a", "b"], "y": [1, 2], "x": vectors})
    result: Any = PAIR.enforce(table)
    assert {name: tensor.tolist() for name, tensor in result.items()} == {"x": [[1, 1], [1, 1]], "y": [1, 2]}
    twice = pa.table([pa.array([1]), pa.array([2]), vectors.slice(0, 1)], names=["y", "y", "x"])
    assert kind_of(PAIR, twice) == "wrong_shape"
    assert kind_of(PAIR, table.drop_columns("y")) == "missing"
