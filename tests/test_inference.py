"""Schemas, params and signatures inferred from data."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import subprocess
import sys
from decimal import Decimal

import pytest

from palate._inference.inference import infer_outputs, infer_schema
from palate.errors import InvalidSignature
from palate.schema import AnyType, Array, ColSpec, Object, Property, Schema, TensorSpec, type_text

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

NEW_YEAR = dt.datetime.fromisoformat("2024-01-01T02:03:04")


def types(data: object) -> dict[object, str]:
    """Return the inferred type of every column, as text: "?" for what may be absent, "gaps" for what is nullable."""
    return {
        c.name: type_text(c.type) + ("" if c.required else "?") + (" gaps" if c.nullable else "")
        for c in infer_schema(data).columns
    }


def refusals(data: object) -> dict[tuple[str | int, ...], str]:
    """Return the problems that keep a schema from being inferred."""
    with pytest.raises(InvalidSignature) as caught:
        infer_schema(data)
    return {problem.where: problem.message for problem in caught.value.problems}


# -- frames ------------------------------------------------------------------------------------------------------------


def test_every_numpy_dtype_of_a_column() -> None:
    """Integers up to 32 bits are integers, wider ones longs; floats up to 32 bits are floats."""
    found = types(
        pd.DataFrame({d: np.array([0, 1], dtype=d) for d in "int8 int32 int64 uint16 uint32 float16".split()})
    )
    assert found == {
        "int8": "integer",
        "int32": "integer",
        "int64": "long",
        "uint16": "integer",
        "uint32": "long",
        "float16": "float",
    }


def test_missing_values_make_a_column_optional() -> None:
    """A column in which any value is missing is not required, whatever marks it as missing."""
    frame = pd.DataFrame(
        {
            "nan": [1.0, None],
            "none": pd.Series([True, None], dtype=object),
            "nat": pd.to_datetime(["2024-01-01", None]),
            "na": pd.array([1, None], dtype="Int64"),
            "full": [1, 2],
        }
    )
    assert types(frame) == {
        "nan": "double?",
        "none": "boolean?",
        "nat": "datetime?",
        "na": "long? gaps",
        "full": "long",
    }


def test_a_category_keeps_its_values_in_order() -> None:
    """A categorical column has the type of its categories, and remembers them in their order."""
    frame = pd.DataFrame({"c": pd.Categorical(["b", None], categories=["b", "a"]), "n": pd.Categorical([3, 1])})
    text, number = infer_schema(frame).columns
    assert text == ColSpec(type="string", name="c", required=False, categories=("b", "a"), categorical=True)
    assert number == ColSpec(type="long", name="n", categories=(1, 3), categorical=True)


def test_categories_of_intervals_are_refused() -> None:
    """Categories that JSON cannot hold are refused with a way out."""
    assert "convert them to text" in refusals(pd.DataFrame({"c": pd.cut(pd.Series([1, 2]), 2)}))["inputs", "c"]


def test_column_zero_has_a_name() -> None:
    """A column called 0 keeps its name, which MLflow drops."""
    assert [column.name for column in infer_schema(pd.DataFrame(np.eye(2)))] == [0, 1]


@pytest.mark.parametrize(
    ("frame", "where", "reason"),
    [
        (pd.DataFrame({"a": np.array([1], dtype="uint64")}), "a", "uint64"),
        (pd.DataFrame({"a": [Decimal(1)]}), "a", "decimal.Decimal"),
        (pd.DataFrame({"a": [(1, 2)]}), "a", "tuple"),
        (pd.DataFrame({"a": pd.to_timedelta([1], unit="s")}), "a", "timedelta64"),
        (pd.DataFrame({"a": [["x"], [1]]}), "a", "both string and long"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a", "several columns"),
        (pd.DataFrame({1.5: [1]}), "1.5", "not a float"),
        (pd.DataFrame({True: [1]}), "True", "not a bool"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "('a', 'b')", "multi-level"),
    ],
)
def test_a_column_without_a_type_is_named(frame: object, where: str, reason: str) -> None:
    """What has no type in a signature is refused with the column and the reason, never called "any"."""
    assert reason in refusals(frame)["inputs", where]


def test_all_problems_are_told_at_once() -> None:
    """Every column that has no type is listed."""
    frame = pd.DataFrame({"a": [Decimal(1)], "b": [1], "c": np.array([1], dtype="uint64")})
    assert list(refusals(frame)) == [("inputs", "a"), ("inputs", "c")]


def test_an_unnamed_series_is_required_even_with_gaps() -> None:
    """The grammar has no optional column without a name; MLflow gives up there."""
    assert infer_schema(pd.Series([1.5, None])) == Schema((ColSpec(type="double"),))


def test_frames_without_columns_are_refused() -> None:
    """A schema has at least one field."""
    assert refusals(pd.DataFrame()) == {("inputs",): "the data has no columns"}
    assert refusals({}) == {("inputs",): "the data has no columns"}


def test_arrow_tables_declare_their_types() -> None:
    """Arrow's types decide, its nulls and NaN make a column optional, and dictionaries are categories."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "f": pa.array([1.0, math.nan]),
            "s": ["a", "b"],
            "t": pa.array([NEW_YEAR] * 2, pa.timestamp("us", "UTC")),
            "l": [[1.5], []],
            "o": pa.array([{"x": 1}] * 2),
            "m": pa.array([[("k", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
            "d": pa.array(["u", "v"]).dictionary_encode(),
        }
    )
    assert types(table) == {
        "i": "integer? gaps",
        "f": "double?",
        "s": "string",
        "t": "datetime",
        "l": "array(double)",
        "o": "object(x?: long)",
        "m": "map(long)",
        "d": "string",
    }
    assert infer_schema(table).columns[-1].categories == ("u", "v")
    assert infer_schema(table.to_batches()[0].select(["i", "s"])) == infer_schema(table.select(["i", "s"]))
    assert "decimal128" in refusals(pa.table({"x": [Decimal(1)]}))["inputs", "x"]


def test_arrow_dtypes_of_pandas_are_inferred() -> None:
    """A pandas column backed by Arrow has the type that Arrow declares."""
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "s": pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
            "i": pd.Series([1, 2], dtype=pd.ArrowDtype(pa.int64())),
            "l": pd.Series([[1], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        }
    )
    assert types(frame) == {"s": "string?", "i": "long", "l": "array(long)"}


def test_polars_frames_declare_their_types() -> None:
    """polars' types decide as Arrow's do."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None], dtype=pl.Int8),
            "f": [1.5, math.nan],
            "s": ["a", "b"],
            "d": [dt.date(2024, 1, 1)] * 2,
            "l": [[1.5], []],
            "o": [{"x": 1}] * 2,
            "c": pl.Series(["u", "v"], dtype=pl.Enum(["v", "u"])),
        }
    )
    assert types(frame) == {
        "i": "integer? gaps",
        "f": "double?",
        "s": "string",
        "d": "datetime",
        "l": "array(double)",
        "o": "object(x?: long)",
        "c": "string",
    }
    assert infer_schema(frame).columns[-1].categories == ("v", "u")
    assert infer_schema(frame["s"]) == Schema((ColSpec(type="string", name="s"),))


# -- tensors -----------------------------------------------------------------------------------------------------------


def test_arrays_are_tensors_with_a_free_first_dimension() -> None:
    """The first dimension is the number of rows; text and bytes have no width; a scalar array has no dimension."""
    assert infer_schema(np.zeros((2, 3), "f4")) == Schema((TensorSpec(dtype="float32", shape=(-1, 3)),))
    assert infer_schema(np.array(["ab"])) == Schema((TensorSpec(dtype="str", shape=(-1,)),))
    assert infer_schema(np.array([b"ab"])) == Schema((TensorSpec(dtype="bytes", shape=(-1,)),))
    assert infer_schema(np.array(1)) == Schema((TensorSpec(dtype="int64", shape=()),))


def test_dicts_of_arrays_are_named_tensors() -> None:
    """Each array is a tensor under its name."""
    schema = infer_schema({"a": np.zeros((2, 3)), "b": np.array([True])})
    assert schema == Schema(
        (TensorSpec(dtype="float64", shape=(-1, 3), name="a"), TensorSpec(dtype="bool", shape=(-1,), name="b"))
    )
    assert "must be text" in refusals({1: np.zeros(2)})["inputs", "1"]


def test_sparse_matrices_and_arrays_are_tensors() -> None:
    """Every sparse format of scipy is a tensor of its dtype."""
    sparse = pytest.importorskip("scipy.sparse")
    for build in (sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix, sparse.coo_array):
        assert infer_schema(build(np.eye(3, dtype="f4"))) == Schema((TensorSpec(dtype="float32", shape=(-1, 3)),))


def test_dtypes_without_a_name_are_refused() -> None:
    """Structured arrays have no place in a signature."""
    assert "dtype" in refusals(np.zeros(2, dtype=[("a", "i4")]))[("inputs",)]


def test_predictions_of_one_dimension_are_a_column() -> None:
    """A 1-D array predicted from columns is one unnamed column; from tensors it is a tensor."""
    columns, tensors = infer_schema({"a": 1}), infer_schema(np.eye(2))
    assert infer_outputs(np.array([1.5]), columns) == Schema((ColSpec(type="double"),))
    assert infer_outputs(np.array(["x"], dtype=object), columns) == Schema((ColSpec(type="string"),))
    assert infer_outputs(np.array([1.5]), tensors) == Schema((TensorSpec(dtype="float64", shape=(-1,)),))
    assert infer_outputs(np.eye(2), columns).is_tensor


# -- plain data --------------------------------------------------------------------------------------------------------


def test_records_become_columns() -> None:
    """In a list of dicts each key is a column, optional when a row lacks it or has None there."""
    assert types([{"a": 1, "b": "x"}, {"a": 2, "c": [1.5]}]) == {"a": "long", "b": "string?", "c": "array(double)?"}
    records = [{"a": 1, "b": 1, "c": True}, {"a": 2, "b": None, "c": None}, {"a": 3, "d": 1}]
    assert types(records) == {"a": "long", "b": "long? gaps", "c": "boolean?", "d": "long? gaps"}


def test_nested_objects_merge() -> None:
    """What only some objects have becomes optional, at every depth."""
    (column,) = infer_schema([{"o": {"a": 1, "n": {"x": 1}}}, {"o": {"n": {"x": 2, "y": "z"}}}]).columns
    assert type_text(column.type) == "object(a?: long, n: object(x: long, y?: string))"


def test_dicts_of_scalars_and_lists_become_columns() -> None:
    """A scalar is a scalar column, a list an array column; None and {} tell nothing."""
    found = types({"a": 1, "b": [1.5], "c": None, "d": {}, "e": [None, "x"]})
    assert found == {"a": "long", "b": "array(double)", "c": "any?", "d": "any", "e": "array(string)?"}


def test_lists_and_scalars_are_one_unnamed_column() -> None:
    """A list is a column of its items' type, a scalar one of its own."""
    assert infer_schema(["a", None]) == Schema((ColSpec(type="string"),))
    assert infer_schema([[1], [2]]) == Schema((ColSpec(type=Array("long")),))
    assert infer_schema("text") == Schema((ColSpec(type="string"),))
    assert infer_schema([]) == Schema((ColSpec(type="string"),))
    assert infer_schema(None) == Schema((ColSpec(type=AnyType()),))


def test_numbers_of_several_types_widen() -> None:
    """A list of whole and broken numbers holds doubles, as the arrays made from it do."""
    assert infer_schema([1, 2.5]) == Schema((ColSpec(type="double"),))
    assert infer_schema([np.int32(1), 2]) == Schema((ColSpec(type="long"),))


def test_mixtures_are_refused() -> None:
    """Text among numbers has no common type, and the way out is told."""
    assert "both long and string" in refusals([1, "a"])[("inputs",)]
    assert "in 'b': it holds both" in refusals({"a": {"b": [1, "a"]}})["inputs", "a"]


def test_integers_beyond_64_bits_are_refused() -> None:
    """A long has 64 bits."""
    assert "64 bits" in refusals([2**70])[("inputs",)]


def test_cyclic_data_is_refused() -> None:
    """A list that holds itself ends in an error, not in a crash."""
    cyclic: list[object] = []
    cyclic.append(cyclic)
    assert "nested deeper" in refusals(cyclic)[("inputs",)]


@pytest.mark.parametrize("data", [(1, 2), {1, 2}, object(), Decimal(1), dt.timedelta(1), lambda: None])
def test_unknown_data_is_refused(data: object) -> None:
    """What is no container known here is refused with the list of those that are."""
    assert "Known are frames" in refusals(data)[("inputs",)]


def test_dataclasses_declare_their_columns() -> None:
    """The fields of a dataclass are columns in their order; Optional ones are not required."""
    inner = dataclasses.make_dataclass("Inner", [("x", float)])
    outer = dataclasses.make_dataclass("Outer", [("b", int), ("a", inner | None), ("c", list[str])])
    expected = Schema(
        (
            ColSpec(type="long", name="b"),
            ColSpec(type=Object((Property("x", "double"),)), name="a", required=False),
            ColSpec(type=Array("string"), name="c"),
        )
    )
    assert infer_schema(outer) == expected
    assert infer_schema(outer(1, None, [])) == expected


def test_pydantic_objects_point_to_type_hints() -> None:
    """A pydantic object is told to be declared by a hint."""
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("Person", age=(int, ...))
    assert "list[Person]" in refusals(person(age=1))[("inputs",)]


def test_inferring_from_plain_data_imports_nothing() -> None:
    """Plain lists and dicts are judged without numpy or pandas being imported."""
    script = (
        "import sys; from palate._inference.inference import infer_schema; infer_schema([{'a': 1, 'b': ['x']}]); "
        "sys.exit(bool({'numpy', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
