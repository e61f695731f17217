"""Columns come in from lists, dicts, arrays and tensors; a query has to be collected."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from strangers import Answers, Exchanged

from palate._containers import frames
from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput, Problem
from palate.schema import ColSpec, Schema, TensorSpec

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


def plan(*kinds: Any, names: tuple[Any, ...] | None = ("a", "b", "c"), **more: Any) -> InputPlan:
    """Compile a schema of required columns; names None leaves them unnamed."""
    specs = (ColSpec(type=kind, name=names[i] if names else None, **more) for i, kind in enumerate(kinds))
    return compile_inputs(Schema(tuple(specs)))


PLAN = plan("double", names=("x",))

UNNAMED = (ColSpec(type="double"),)


def problem_of(compiled: InputPlan, data: Any) -> Problem:
    """Return the one problem with this input."""
    with pytest.raises(InvalidInput) as failure:
        compiled.enforce(data)
    (problem,) = failure.value.problems
    return problem


# -- containers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1.0, 2.0], "b": np.array(["x", "y"])},
        {"a": np.array([1, 2]), "b": ("x", "y")},
        [{"a": 1.0, "b": "x"}, {"b": "y", "a": 2.0}],
        pa.table({"b": ["x", "y"], "a": [1, 2]}),
        pa.record_batch({"b": ["x", "y"], "a": [1.0, 2.0]}),
        np.array([(1.0, "x"), (2.0, "y")], dtype=[("a", "f8"), ("b", "O")]),
    ],
)
def test_containers_become_the_same_frame(data: Any) -> None:
    """Dicts of columns, records, Arrow tables and structured arrays are all read as columns."""
    result: Any = plan("double", "string").enforce(data)
    assert result.to_dict("list") == {"a": [1.0, 2.0], "b": ["x", "y"]}


def test_polars_frames_are_read_by_way_of_arrow() -> None:
    """Polars integers with missing ones become doubles only as far as they are exact; its dates and text come along."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"b": ["x", None], "a": [2, None], "c": [dt.date(2020, 1, 1), None]})
    result: Any = plan("double", "string", "datetime").enforce(frame)
    assert result["a"].tolist()[0] == 2.0
    assert result["b"].isna().tolist() == [False, True]
    assert result["c"].tolist()[0] == pd.Timestamp("2020-01-01")
    with pytest.raises(InvalidInput, match="exactly"):
        plan("double").enforce(pl.DataFrame({"a": [2**53 + 1, None]}))
    assert plan("long").enforce(pl.Series("a", [1, 2])).equals(pd.DataFrame({"a": [1, 2]}))  # type: ignore[attr-defined]


def test_arrow_integers_beside_missing_ones_are_not_rounded() -> None:
    """Arrow's own way to pandas makes such a column a float column; ours refuses what no double holds."""
    with pytest.raises(InvalidInput, match="exactly"):
        plan("double").enforce(pa.table({"a": [2**53 + 1, None]}))


def test_a_dict_of_scalars_is_one_row() -> None:
    """Scalars, and as in MLflow lists of text, make one row; lists for number columns make rows."""
    assert plan("double", "string").enforce({"a": 1.0, "b": "x"}).shape == (1, 2)  # type: ignore[attr-defined]
    one: Any = plan("string").enforce({"a": ["x", "y"]})
    assert one["a"].tolist() == [["x", "y"]]
    times: Any = plan("datetime").enforce({"a": ["2020-01-01", "2020-01-02"]})
    assert len(times) == 2
    assert plan("double").enforce({"a": []}).shape == (0, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [None, (1.0,), object(), {1.0}, {"a": [1.0, 2.0], "b": ["x"]}, {"a": np.array(1.0)}])
def test_what_has_no_rows_and_columns_is_refused(data: Any) -> None:
    """Other objects, and ragged columns, are one problem that shows no values."""
    with pytest.raises(InvalidInput, match="inputs"):
        plan("double").enforce(data)


def test_sparse_matrices_have_no_columns() -> None:
    """A sparse matrix for a column signature is refused with the way to make a frame of it."""
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InvalidInput, match="from_spmatrix"):
        plan("double").enforce(sparse.csr_matrix(np.eye(1)))


def test_one_value_is_enough_for_one_unnamed_column() -> None:
    """A scalar is a frame of one cell, labelled 0."""
    result: Any = plan("string", names=None).enforce("x")
    assert result.to_dict("list") == {0: ["x"]}


# -- queries, arrays and tensors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        Schema((ColSpec(type="double", name="a"),)),
        Schema((TensorSpec(dtype="float64", shape=(-1,)),)),
        Schema((TensorSpec(dtype="float64", shape=(-1,), name="a"),)),
        Schema(
            (TensorSpec(dtype="float64", shape=(-1,), name="a"), TensorSpec(dtype="float64", shape=(-1,), name="b"))
        ),
    ],
)
def test_a_query_has_to_be_collected(schema: Schema) -> None:
    """A LazyFrame is refused with the way out, by columns, tensors and lists alike."""
    query = pytest.importorskip("polars").LazyFrame({"a": [1.0]})
    compiled = [compile_inputs(schema)]
    compiled += [compile_inputs(schema, from_type_hints=True)] if schema.columns else []
    for each in compiled:
        assert "Hint: collect() it" in problem_of(each, query).message


def test_types_that_arrow_does_not_know_are_refused() -> None:
    """polars' 128-bit integers, for columns and tensors; the error names the column and the way out."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)})
    tensors = [TensorSpec(dtype="int64", shape=(-1,), name=name) for name in (None, "a")]
    for compiled in (plan("long"), *(compile_inputs(Schema((tensor,))) for tensor in tensors)):
        message = problem_of(compiled, frame).message
        assert message.startswith("pyarrow has no form for the column 'a' of this polars DataFrame. Hint: cast it")


@pytest.mark.parametrize("make", [Answers, Exchanged])
def test_arrays_of_other_packages_come_in(make: Any) -> None:
    """As columns without names, as a tensor, and as columns of a dict: like the array they hold, and uncopied."""
    array = np.arange(6.0).reshape(3, 2)
    tensor: Any = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),))).enforce(make(array))
    assert np.shares_memory(tensor, array)
    frame: Any = compile_inputs(Schema((ColSpec(type="double"), ColSpec(type="double")))).enforce(make(array))
    assert frame.to_numpy().tolist() == array.tolist()
    columns: Any = PLAN.enforce({"x": make(array[:, 1])})
    assert columns["x"].tolist() == [1.0, 3.0, 5.0]
    assert "without names" in problem_of(PLAN, make(array)).message


def test_an_array_that_numpy_cannot_have_is_refused() -> None:
    """As CuPy refuses to copy from the GPU unasked."""

    class OnDevice(Answers):
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise TypeError("Implicit conversion to a NumPy array is not allowed")

    for compiled in (PLAN, compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1,)),)))):
        assert "bring it to the CPU" in problem_of(compiled, OnDevice()).message


def test_fields_of_a_structured_array_are_columns() -> None:
    """By their names, for columns and for named tensors; views where it can be."""
    array = np.array([(1, 0.5), (2, 1.5)], dtype=[("y", "i8"), ("x", "f8")])
    frame: Any = PLAN.enforce(array)
    assert frame["x"].tolist() == [0.5, 1.5]
    tensors = [TensorSpec(dtype=dtype, shape=(-1,), name=name) for name, dtype in (("x", "float64"), ("y", "int64"))]
    named: Any = compile_inputs(Schema(tuple(tensors))).enforce(array)
    assert {name: tensor.tolist() for name, tensor in named.items()} == {"x": [0.5, 1.5], "y": [1, 2]}
    assert problem_of(compile_inputs(Schema((tensors[0],))), array[["y"]]).kind == "missing"


def test_masked_values_stay_masked_or_missing() -> None:
    """A tensor that fits passes with its mask; in columns of floats masked is missing, elsewhere it is refused."""
    bare = compile_inputs(Schema(UNNAMED))
    floats, integers = np.ma.masked_array([1.0, 7.0], [0, 1]), np.ma.masked_array([1, 7], [0, 1])
    tensor: Any = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1,)),))).enforce(integers)
    assert tensor.mask.tolist() == [False, True]
    for given in (floats, {"x": floats}):
        frame: Any = (PLAN if isinstance(given, dict) else bare).enforce(given)
        np.testing.assert_array_equal(frame.iloc[:, 0], [1.0, np.nan])
    for given in (integers, {"x": integers}):
        assert problem_of(PLAN if isinstance(given, dict) else bare, given).kind == "missing"
    unmasked: Any = bare.enforce(np.ma.masked_array([1.0, 7.0]))
    assert unmasked[0].tolist() == [1.0, 7.0]


def test_pandas_arrays_in_a_dict_keep_their_types() -> None:
    """Categories and nullable integers are columns as they are in a DataFrame."""
    given = {"x": pd.Categorical(["a", "b"]), "y": pd.array([1, 2], "Int64")}
    assert frames.to_frame(given, ()).dtypes.astype(str).tolist() == ["category", "Int64"]


def test_columns_in_a_dict_keep_their_order_beside_an_index() -> None:
    """Columns of several packages stand row by row, not joined by the labels of one of them."""
    given = {"x": pd.Series([1.0, 2.0], index=[5, 6]), "y": pa.array([3, None]), "z": np.array([5.0, 6.0])}
    frame: Any = plan("double", "double", "double", names=("x", "y", "z")).enforce(given)
    np.testing.assert_array_equal(frame.to_numpy(), [[1.0, 3.0, 5.0], [2.0, np.nan, 6.0]])


def test_without_pyarrow_the_error_tells_what_to_install() -> None:
    """A polars frame for columns needs pyarrow; that it is not there is told, with the way to get it."""
    pytest.importorskip("polars")
    code = """
import sys
sys.modules["pyarrow"] = None
import polars as pl
from palate._enforcement.plan import compile_inputs
from palate.errors import DependencyMissing
from palate.schema import ColSpec, Schema
try:
    compile_inputs(Schema((ColSpec(type="double", name="x"),))).enforce(pl.DataFrame({"x": [1.0]}))
except DependencyMissing as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "A polars DataFrame needs pyarrow. Hint: pip install palate[parquet]."


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA], ids=["None", "NaN", "NA"])
def test_what_is_missing_among_tuples_is_a_row_without_values(missing: Any) -> None:
    """As pandas has it, and without the warning that pandas gives of it."""
    rows: Any = compile_inputs(Schema((ColSpec(type="double"), ColSpec(type="double")))).enforce([(1.0, 2.0), missing])
    assert rows.isna().to_numpy().tolist() == [[False, False], [True, True]]
