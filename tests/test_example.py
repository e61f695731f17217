"""Input examples: written, read back, and read from directories that stock MLflow saved."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import math
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from palate._inference.inference import infer_schema
from palate._stored.differences import differences
from palate._stored.examples import read_example, split_example, write_example
from palate._stored.snapshots import snapshot
from palate.errors import InvalidExample, InvalidSignature, UnsafePath
from palate.schema import ColSpec, Schema, TensorSpec
from palate.signature import Signature

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

MLFLOW_MODELS = Path(__file__).parent / "data" / "mlflow_models"
NOON = dt.datetime.fromisoformat("2024-01-02T12:00:00")


def refuse_constant(name: str) -> float:
    """Fail on NaN and Infinity, which are not JSON."""
    raise AssertionError(f"{name} is not JSON")


def files(example: object, directory: Path) -> tuple[Any, Any, dict[str, str]]:
    """Write an example; return both documents, parsed strictly, and the info."""
    info = dict(write_example(example, directory).info)
    texts = [directory / "input_example.json", directory / "serving_input_example.json"]
    both = [json.loads(path.read_text(), parse_constant=refuse_constant) if path.exists() else None for path in texts]
    return both[0], both[1], info


def round_trip(example: object, directory: Path, schema: Schema | None = None) -> Any:
    """Return the data as it is read back with its own schema, or the one given."""
    written = write_example(example, directory)
    read = read_example(directory, written.info, schema or infer_schema(written.data))
    assert read is not None
    return read[0]


# -- the files ---------------------------------------------------------------------------------------------------------


def test_the_file_of_a_frame(tmp_path: Path) -> None:
    """A frame is stored by column names and rows, without its index; the request body wraps the same."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[7, 8])
    document, body, info = files(frame, tmp_path)
    assert document == {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}
    assert body == {"dataframe_split": document}
    assert info == {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }


def test_numbered_columns_are_left_out(tmp_path: Path) -> None:
    """Columns numbered 0 to n-1 are not written, as MLflow does."""
    document, _, info = files(pd.DataFrame([[1.5, 2.5]]), tmp_path)
    assert document == {"data": [[1.5, 2.5]]}
    assert info["pandas_orient"] == "values"


@pytest.mark.parametrize(
    ("example", "document", "kind"),
    [
        (np.array([[1.0, math.nan]]), [[1.0, None]], "ndarray"),
        (np.array([b"x"]), ["eA==\n"], "ndarray"),
        (np.array(["2024-01-01"], dtype="M8[ns]"), [1704067200000000000], "ndarray"),
        (np.array(["2024-01-01", "NaT"], dtype="M8[s]"), ["2024-01-01T00:00:00", None], "ndarray"),
        ({"a": np.array([1, 2]), "b": np.eye(1)}, {"a": [1, 2], "b": [[1.0]]}, "ndarray"),
        ({"a": 1, "b": ["x"]}, {"a": 1, "b": ["x"]}, "json_object"),
        (["a", math.nan], ["a", None], "json_object"),
        ("text", "text", "json_object"),
        (b"\x00" * 60, "A" * 76 + "\nAAAA\n", "json_object"),
        (NOON, "2024-01-02T12:00:00.000000", "json_object"),
        (np.float32(0.5), 0.5, "json_object"),
    ],
    ids=str,
)
def test_the_files_of_other_data(example: object, document: object, kind: str, tmp_path: Path) -> None:
    """Arrays are nested lists, plain data is itself; bytes and NaN take MLflow's forms that are JSON."""
    stored, body, info = files(example, tmp_path)
    assert (stored, body, info["type"]) == (document, {"inputs": document}, kind)


def test_the_files_of_sparse_matrices(tmp_path: Path) -> None:
    """A sparse matrix is stored by its three arrays, and dense in the request body."""
    sparse = pytest.importorskip("scipy.sparse")
    stored, body, info = files(sparse.csr_matrix([[0, 1.5], [math.nan, 0]]), tmp_path)
    assert stored == {"data": [1.5, None], "indices": [1, 0], "indptr": [0, 1, 2], "shape": [2, 2]}
    assert body == {"inputs": [[0.0, 1.5], [None, 0.0]]}
    assert info["type"] == "sparse_matrix_csr"


def test_a_huge_sparse_matrix_has_no_request_body(tmp_path: Path) -> None:
    """A matrix that would fill the disk as dense text gets no serving example."""
    sparse = pytest.importorskip("scipy.sparse")
    _, body, info = files(sparse.csr_matrix((10_000, 1_000_000)), tmp_path)
    assert body is None
    assert "serving_input_path" not in info


def test_params_stand_beside_the_data(tmp_path: Path) -> None:
    """``(data, params)`` stores both under their names, and ``params`` is the text 'true' in MLmodel."""
    stored, body, info = files((np.array([1]), {"k": np.float32(0.5), "at": NOON}), tmp_path)
    params = {"k": 0.5, "at": "2024-01-02T12:00:00.000000"}
    assert stored == {"inputs": [1], "params": params}
    assert body == {"inputs": [1], "params": params}
    assert info["params"] == "true"
    assert read_example(tmp_path, info, None)[1] == params


def test_empty_params_are_no_params(tmp_path: Path) -> None:
    """``(data, {})`` is the data alone; MLflow writes a file that it misreads."""
    stored, _, info = files((np.array([1]), {}), tmp_path)
    assert stored == [1]
    assert "params" not in info


def test_chat_requests_are_stored_unwrapped(tmp_path: Path) -> None:
    """A dict with MLflow's chat keys is the request body itself, with the params among its keys."""
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    stored, body, _ = files((chat, {"temperature": 0.5}), tmp_path)
    assert stored == {"inputs": chat, "params": {"temperature": 0.5}}
    assert body == {**chat, "temperature": 0.5}


def test_datetimes_of_a_column_have_one_precision(tmp_path: Path) -> None:
    """Microseconds for all, or nanoseconds for all: pandas refuses to parse a mixture."""
    times = ["2024-01-01T00:00:00", "2024-01-01T00:00:00.5", None]
    coarse = pd.to_datetime(times, format="ISO8601")
    fine = pd.to_datetime([*times[:2], "2024-01-01T00:00:00.000000001"], format="ISO8601")
    document, _, _ = files(pd.DataFrame({"c": coarse, "f": fine, "z": coarse.tz_localize("Europe/Paris")}), tmp_path)
    columns = list(zip(*document["data"], strict=True))
    assert columns[0] == ("2024-01-01T00:00:00.000000", "2024-01-01T00:00:00.500000", None)
    assert columns[1][2] == "2024-01-01T00:00:00.000000001"
    assert {len(text) for text in columns[1]} == {29}
    assert columns[2][0] == "2023-12-31T23:00:00.000000+00:00"


def test_the_files_are_deterministic(tmp_path: Path) -> None:
    """The same example gives the same bytes."""
    frame = pd.DataFrame({"b": [1.5], "a": [{"y": 1, "x": b"z"}]})
    one, other = (tmp_path / "one", tmp_path / "other")
    for directory in (one, other):
        directory.mkdir()
        write_example((frame, {"k": [1]}), directory)
    for name in ("input_example.json", "serving_input_example.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (None, "a NoneType cannot be an input example"),
        ((1, 2), "a tuple means"),
        pytest.param(object(), "a object cannot be", id="object"),
        ({1: "x"}, "text keys only"),
        ([np.eye(2)], "use numpy.stack"),
        ({"a": np.eye(2), "b": [1]}, "either ndarrays only, or none"),
        (np.array([1 + 2j]), "complex128"),
        (np.array([math.inf]), "infinity"),
        ([1.0, -math.inf], "infinity"),
        ({"a": {"b": Decimal(1)}}, "a.b: a value of type decimal.Decimal"),
        ({"a": (1, 2)}, "Hint: use a list"),
        (pd.DataFrame({"a": [Decimal(1)]}), "a: a value of type decimal.Decimal"),
        (pd.DataFrame({"a": pd.to_timedelta([1], unit="s")}), "Timedelta"),
        (pd.DataFrame({"a": [math.inf]}), "a: JSON cannot hold infinity"),
        (pd.DataFrame({1.5: [1]}), "must be text or an integer"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "not a tuple"),
        pytest.param((np.eye(1), {"k": object()}), "params.k", id="object in params"),
    ],
    ids=str,
)
def test_what_json_cannot_hold_is_refused(example: object, reason: str, tmp_path: Path) -> None:
    """Nothing is stored as something else; the error names the place, and nothing is written."""
    with pytest.raises(InvalidExample) as caught:
        write_example(example, tmp_path)
    assert reason in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_all_columns_without_a_form_are_listed(tmp_path: Path) -> None:
    """One error tells every column."""
    with pytest.raises(InvalidExample) as caught:
        write_example(pd.DataFrame({"a": [Decimal(1)], "b": [1], "c": [math.inf]}), tmp_path)
    assert [problem.where for problem in caught.value.problems] == [("a",), ("c",)]


def test_cyclic_examples_are_refused(tmp_path: Path) -> None:
    """Data that holds itself ends in an error."""
    cyclic: dict[str, object] = {}
    cyclic["self"] = cyclic
    with pytest.raises(InvalidExample, match="nested deeper"):
        write_example(cyclic, tmp_path)


# -- conversions -------------------------------------------------------------------------------------------------------


def test_a_series_is_a_frame_of_one_column() -> None:
    """The column has the Series' name, or 0."""
    named, _ = split_example(pd.Series([1.5], name="x"))
    unnamed, _ = split_example(pd.Series([1.5]))
    assert list(named.columns) == ["x"]
    assert list(unnamed.columns) == [0]


def test_tensors_are_arrays(tmp_path: Path) -> None:
    """Tensors, alone or in a dict, are stored as the arrays they hold."""
    torch = pytest.importorskip("torch")
    data, params = split_example((torch.ones(2, 3, requires_grad=True), {"k": 1}))
    assert (type(data), data.dtype, params) == (np.ndarray, np.float32, {"k": 1})
    data, _ = split_example({"a": torch.ones(2)})
    assert isinstance(data["a"], np.ndarray)
    with pytest.raises(InvalidExample, match="numpy has no form"):
        split_example(torch.ones(2, dtype=torch.bfloat16))


class FakeTensor:
    """Stands for a tensor of a framework that is not installed here."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.ones(2, dtype="float32")


def test_tensors_are_known_by_their_package() -> None:
    """Whatever class of TensorFlow's it is, its array is stored."""
    FakeTensor.__module__ = "tensorflow.python.framework.ops"
    data, _ = split_example(FakeTensor())
    assert data.dtype == np.float32


@dataclasses.dataclass
class Question:
    text: str
    at: dt.datetime


def test_records_are_their_fields(tmp_path: Path) -> None:
    """Dataclass and pydantic objects are stored as the dicts they hold."""
    assert files(Question("x", NOON), tmp_path)[0] == {"text": "x", "at": "2024-01-02T12:00:00.000000"}
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("Person", age=(int, ...))
    assert files([person(age=1)], tmp_path)[0] == [{"age": 1}]


def test_arrow_and_polars_frames_are_stored_as_frames(tmp_path: Path) -> None:
    """They take the same file form, with nanoseconds and gaps, and are read back as DataFrames."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int64()),
            "t": pa.array([1, None], pa.timestamp("ns")),
            "z": pa.array([NOON, None], pa.timestamp("us", "UTC")),
            "s": pa.array(["a", None]).dictionary_encode(),
            "l": [[1.5, None], []],
        }
    )
    document, _, info = files(table, tmp_path)
    assert info["type"] == "dataframe"
    assert document["data"][0] == [
        1,
        "1970-01-01T00:00:00.000000001",
        "2024-01-02T12:00:00.000000+00:00",
        "a",
        [1.5, None],
    ]
    assert document["data"][1] == [None, None, None, None, []]
    pl = pytest.importorskip("polars")
    assert files(pl.from_arrow(table.drop_columns("s")), tmp_path)[0]["data"] == [
        row[:3] + row[4:] for row in document["data"]
    ]
    assert files(pl.Series("x", [1.5]), tmp_path)[0] == {"columns": ["x"], "data": [[1.5]]}


# -- reading -----------------------------------------------------------------------------------------------------------


def example_frame() -> Any:
    """Return a frame of every type that a column can have."""
    return pd.DataFrame(
        {
            "boolean": [True, False],
            "integer": np.array([1, -2], dtype="int32"),
            "long": [1, 2**62],
            "float": np.array([0.1, math.nan], dtype="float32"),
            "double": [0.1, math.nan],
            "string": ["x", None],
            "binary": [b"x" * 100, b""],
            "datetime": pd.to_datetime(["2024-01-01T00:00:00.5", None]).as_unit("ns"),
            "zoned": pd.to_datetime(["2024-01-01", None], utc=True).as_unit("ns"),
            "category": pd.Categorical(["u", "v"], categories=["w", "v", "u"]),
            "array": [[1.5, math.nan], []],
            "object": [{"a": 1}, {"a": 2, "b": b"x"}],
            "nullable": [1.0, None],
        }
    )


def test_frames_come_back_with_their_dtypes(tmp_path: Path) -> None:
    """With the schema, every column has its dtype, categories, bytes, and datetimes again."""
    frame = example_frame()
    back = round_trip(frame, tmp_path)
    pd.testing.assert_frame_equal(back, frame)


def test_frames_without_a_schema_come_back_by_their_json(tmp_path: Path) -> None:
    """Numbers, text and gaps are told by the JSON alone; dates and bytes stay text."""
    frame = example_frame()[["boolean", "long", "double", "string", "nullable"]]
    info = write_example(frame, tmp_path).info
    back, _ = read_example(tmp_path, info, None)
    pd.testing.assert_frame_equal(back, frame)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1.5, 2.5]]),
        pd.DataFrame([[1, "a"]], columns=[5, "x"]),
        pd.DataFrame({"a": [], "b": []}),
        pd.DataFrame(index=[0, 1]),
        pd.DataFrame({"a": np.array(["1500-01-01", "NaT"], dtype="datetime64[s]")}),
        pd.DataFrame({"a": [dt.date(2024, 1, 2)]}, dtype=object),
        pd.DataFrame({"a": [None, None]}, dtype=object),
        pd.DataFrame({"a": pd.to_datetime([None, None])}),
        pd.DataFrame({"a": [np.array([1.5]), np.array([2.5])]}),
    ],
    ids=lambda frame: str(frame.shape) + str(list(frame.dtypes)),
)
def test_unusual_frames_come_back(frame: Any, tmp_path: Path) -> None:
    """Numbered columns, no rows, no columns, far dates, gaps only: all come back equal."""
    info = write_example(frame, tmp_path).info
    schema = infer_schema(frame) if len(frame.columns) else None
    back, _ = read_example(tmp_path, info, schema)
    assert list(back.columns) == list(frame.columns)
    assert len(back) == len(frame)
    for label in frame.columns:
        assert [plain(now) for now in back[label]] == [plain(was) for was in frame[label]]


def plain(value: Any) -> object:
    """Return a cell as something that compares equal whatever class pandas made of it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dt.date):
        return None if value is pd.NaT else pd.Timestamp(value)
    return value


@given(
    npst.arrays(
        dtype=npst.boolean_dtypes()
        | npst.integer_dtypes(endianness="=")
        | npst.unsigned_integer_dtypes(endianness="=")
        | npst.floating_dtypes(endianness="=", sizes=(16, 32, 64))
        | npst.unicode_string_dtypes(endianness="=")
        | npst.byte_string_dtypes()
        | npst.datetime64_dtypes(endianness="=")
        | npst.timedelta64_dtypes(endianness="="),
        shape=npst.array_shapes(max_dims=3, min_side=0, max_side=3),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_array_comes_back(tmp_path: Path, array: Any) -> None:
    """Arrays of every storable dtype come back with dtype, shape and values."""
    try:
        back = round_trip(array, tmp_path)
    except InvalidExample:
        assert array.dtype.kind == "f"
        assert np.isinf(array).any()
        return
    assert back.dtype.kind == array.dtype.kind
    assert array.dtype.kind in "US" or back.dtype == array.dtype
    assert back.shape == array.shape or array.size == 0
    np.testing.assert_array_equal(back.reshape(array.shape), array)


COLUMNS = {
    "boolean": st.booleans(),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_infinity=False) | st.none(),
    "string": st.text() | st.none(),
    "binary": st.binary(),
    "datetime": st.datetimes(dt.datetime.fromisoformat("1700-01-01"), dt.datetime.fromisoformat("2200-01-01"))
    | st.none(),
    "array": st.lists(st.floats(allow_infinity=False)),
}


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_frame_comes_back(tmp_path: Path, data: st.DataObject) -> None:
    """Frames of any columns and rows come back equal, given their schema."""
    kinds = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    rows = data.draw(st.integers(1, 5))
    columns = {}
    for position, kind in enumerate(kinds):
        values = data.draw(st.lists(COLUMNS[kind], min_size=rows, max_size=rows))
        column = pd.Series(values, dtype={"double": "float64", "string": "str"}.get(kind))
        columns[f"{kind} {position}"] = pd.to_datetime(column) if kind == "datetime" else column
    frame = pd.DataFrame(columns)
    back = round_trip(frame, tmp_path)
    assert differences(snapshot(frame), snapshot(back), rtol=0, atol=0) == []


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.booleans() | NUMBERS | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_plain_data_comes_back(tmp_path: Path, value: object) -> None:
    """JSON data comes back as it was, with or without a schema."""
    info = write_example(value, tmp_path).info
    assert read_example(tmp_path, info, None) == (value, None)
    try:
        schema = infer_schema(value)
    except InvalidSignature:
        return
    assert read_example(tmp_path, info, schema) == (value, None)


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 100,
        NOON,
        [b"x", b"y"],
        [NOON, NOON.replace(microsecond=5)],
        {"a": b"x", "b": {"c": NOON}, "d": [b"z"]},
        [{"a": b"x"}, {"a": b"y"}],
        [1.5, None],
        np.array([b"a", b"bc"]),
        np.array([{"a": 1}, [1, 2], None], dtype=object),
        np.array(1.5),
        np.zeros((0, 3), dtype="float32"),
        np.zeros((2, 0, 2)),
        {"a": np.zeros((0, 3)), "b": np.array(["x"])},
    ],
    ids=str,
)
def test_a_schema_brings_types_back(value: Any, tmp_path: Path) -> None:
    """Bytes, datetimes and dtypes, which JSON has not, are told by the schema."""
    back = round_trip(value, tmp_path)
    expected = [1.5, math.nan] if isinstance(value, list) and None in value else value
    assert differences(snapshot(expected), snapshot(back), rtol=0, atol=0) == []


def test_unsigned_integers_keep_every_digit(tmp_path: Path) -> None:
    """Integers above 2**63 among small ones come back exactly, which numpy alone would round."""
    array = np.array([2**63 + 1, 0], dtype="uint64")
    info = write_example(array, tmp_path).info
    for schema in (infer_schema(array), None):
        back, _ = read_example(tmp_path, info, schema)
        assert (back.dtype, back.tolist()) == (array.dtype, array.tolist())


@pytest.mark.parametrize("build", ["csr_matrix", "csc_matrix", "csr_array", "coo_matrix"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool"])
def test_sparse_matrices_come_back(build: str, dtype: str, tmp_path: Path) -> None:
    """Values, dtype and orientation come back; MLflow's format has no sparse arrays, so these become matrices."""
    sparse = pytest.importorskip("scipy.sparse")
    matrix = getattr(sparse, build)(np.array([[0, 1, 0], [1, 0, 1]], dtype=dtype))
    back = round_trip(matrix, tmp_path)
    assert (back.format, back.dtype) == ("csc" if "csc" in build else "csr", matrix.dtype)
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())


def test_what_does_not_fit_the_schema_stays_as_stored(tmp_path: Path) -> None:
    """Reading never changes a value and never fails on one: enforcement tells what is wrong with it."""
    frame = pd.DataFrame({"i": [1.5, 2.5], "l": ["x", "y"], "b": ["%", "ü"], "d": ["soon", "now"], "f": [0.1, 1e300]})
    kinds = {"i": "integer", "l": "long", "b": "binary", "d": "datetime", "f": "float"}
    schema = Schema(tuple(ColSpec(type=kind, name=name) for name, kind in kinds.items()))
    back = round_trip(frame, tmp_path, schema)
    assert {label: back[label].tolist() for label in back} == {label: frame[label].tolist() for label in frame}
    array = round_trip(np.array([1.5, 2.5]), tmp_path, Schema((TensorSpec(dtype="int64", shape=(-1,)),)))
    assert array.tolist() == [1.5, 2.5]


@pytest.mark.parametrize("text", ["now", "today", "soon", "2024-01-01T00:00:00+25:99"])
def test_texts_that_are_no_dates_stay_text(text: str, tmp_path: Path) -> None:
    """What pandas or numpy would read as the present moment is not a date in a file."""
    column = Schema((ColSpec(type="datetime", name="d"),))
    info = write(tmp_path, json.dumps({"columns": ["d"], "data": [[text]]}), type="dataframe")
    frame, _ = read_example(tmp_path, info, column)
    assert frame["d"].tolist() == [text]
    tensor = Schema((TensorSpec(dtype="datetime64[s]", shape=(-1,)),))
    assert read_example(tmp_path, write(tmp_path, json.dumps([text]), type="ndarray"), tensor)[0].tolist() == [text]


def write(directory: Path, text: str, **info: str) -> dict[str, str]:
    """Write an input example by hand and return its info."""
    (directory / "input_example.json").write_text(text)
    return {"artifact_path": "input_example.json", **info}


def test_what_other_writers_write_is_understood(tmp_path: Path) -> None:
    """NaN tokens, "NaT", datetimes of several precisions, base64 with newlines, and an index are read."""
    text = '{"columns": ["d", "f", "b"], "index": [5, 6], "data": [["2024-01-01", NaN, "eA==\\n"], ["NaT", 1, "eQ=="]]}'
    info = write(tmp_path, text, type="dataframe", pandas_orient="split")
    kinds = {"d": "datetime", "f": "double", "b": "binary"}
    schema = Schema(tuple(ColSpec(type=kind, name=name) for name, kind in kinds.items()))
    frame, _ = read_example(tmp_path, info, schema)
    assert frame["d"].isna().tolist() == [False, True]
    assert frame["f"].isna().tolist() == [True, False]
    assert frame["b"].tolist() == [b"x", b"y"]
    assert frame.index.tolist() == [5, 6]
    mixed = '{"columns": ["d"], "data": [["2024-01-01T00:00:00"], ["2024-01-01T00:00:00.5"]]}'
    info = write(tmp_path, mixed, type="dataframe")
    frame, _ = read_example(tmp_path, info, Schema((ColSpec(type="datetime", name="d"),)))
    assert frame["d"].dtype == "datetime64[ns]"
    old = write(tmp_path, '{"inputs": [[1.5]]}', type="ndarray", format="tf-serving")
    assert read_example(tmp_path, old, None)[0].tolist() == [[1.5]]


def test_unknown_types_are_no_example(tmp_path: Path) -> None:
    """What only a later MLflow knows is treated as if there were no example."""
    assert read_example(tmp_path, write(tmp_path, "{}", type="video"), None) is None
    assert read_example(tmp_path, {"artifact_path": "input_example.json"}, None) is None


@pytest.mark.parametrize("kind", ["dataframe", "ndarray", "json_object", "sparse_matrix_csr"])
@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", "1" * 5000])
def test_files_that_are_not_json_are_refused(kind: str, text: str, tmp_path: Path) -> None:
    """A broken file is an InvalidExample."""
    with pytest.raises(InvalidExample):
        read_example(tmp_path, write(tmp_path, text, type=kind), None)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("dataframe", "[]"),
        ("dataframe", "{}"),
        ("dataframe", '{"data": 5}'),
        ("dataframe", '{"data": [5]}'),
        ("dataframe", '{"data": [[1], [1, 2]]}'),
        ("dataframe", '{"columns": ["a"], "data": [[1, 2]]}'),
        ("dataframe", '{"columns": [[1]], "data": [[1]]}'),
        ("dataframe", '{"columns": "a", "data": [[1]]}'),
        ("dataframe", '{"index": [1, 2], "data": [[1]]}'),
        ("dataframe", '{"index": 5, "data": [[1]]}'),
        ("sparse_matrix_csr", "[]"),
        ("sparse_matrix_csr", "{}"),
        ("sparse_matrix_csr", '{"data": [1], "indices": [9], "indptr": [0, 1], "shape": [1, 2]}'),
        ("sparse_matrix_csr", '{"data": [1], "indices": [-1], "indptr": [0, 1], "shape": [1, 2]}'),
        ("sparse_matrix_csr", '{"data": [1], "indices": [0.5], "indptr": [0, 1], "shape": [1, 2]}'),
        ("sparse_matrix_csr", '{"data": [1], "indices": [0], "indptr": [0, 9], "shape": [1, 2]}'),
        ("sparse_matrix_csc", '{"data": [1], "indices": [0], "indptr": [0, 1], "shape": [1, 99999999999999999999]}'),
        ("sparse_matrix_csc", '{"data": ["x"], "indices": [0], "indptr": [0, 1], "shape": [1, 1]}'),
        ("sparse_matrix_csc", '{"data": [[1], [2]], "indices": [0], "indptr": [0, 1], "shape": [1, 1]}'),
    ],
)
def test_malformed_files_are_refused(kind: str, text: str, tmp_path: Path) -> None:
    """A document that does not fit together is an InvalidExample."""
    with pytest.raises(InvalidExample):
        read_example(tmp_path, write(tmp_path, text, type=kind), None)


@pytest.mark.parametrize("text", ["[]", "{}", '{"inputs": 1}', '{"inputs": 1, "params": 5}', '{"params": {}}'])
def test_params_that_are_not_there_are_refused(text: str, tmp_path: Path) -> None:
    """Where MLmodel announces params, the file must hold them."""
    with pytest.raises(InvalidExample, match="must hold 'inputs' and 'params'"):
        read_example(tmp_path, write(tmp_path, text, type="json_object", params="true"), None)


@pytest.mark.parametrize("path", ["../input_example.json", "/etc/passwd", "a\x00b"])
def test_examples_outside_the_directory_are_refused(path: str, tmp_path: Path) -> None:
    """The file named by MLmodel must be in the model's directory."""
    with pytest.raises(UnsafePath):
        read_example(tmp_path, {"artifact_path": path, "type": "ndarray"}, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["columns", "data", "indices", "indptr", "shape", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)
SCHEMAS = [
    None,
    *map(infer_schema, (example_frame(), np.eye(2), np.array(["x"]), [b"x"], np.array([None]))),
    infer_schema({"a": np.array(["2024"], dtype="M8[s]")}),
]
KINDS = ["dataframe", "ndarray", "json_object", "sparse_matrix_csr", "sparse_matrix_csc"]


@given(st.sampled_from(KINDS), JSON, st.sampled_from(SCHEMAS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_json_is_read_or_refused(tmp_path: Path, kind: str, document: object, schema: Schema | None) -> None:
    """Whatever the file holds, reading ends in data or in an InvalidExample."""
    info = write(tmp_path, json.dumps(document), type=kind)
    with contextlib.suppress(InvalidExample):
        assert read_example(tmp_path, info, schema) is not None


# -- directories that stock MLflow saved -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    ["ex_df_nat", "ex_dict_nd", "ex_nd_float", "pyf_code_paths", "pyf_from_code", "sk_cloudpickle", "sk_sparse_csr"],
)
def test_examples_of_mlflow_are_read(model: str) -> None:
    """The examples in directories of stock MLflow come back as the data that MLflow was given."""
    directory = MLFLOW_MODELS / model / "model"
    document = yaml.safe_load((directory / "MLmodel").read_text())
    signature = Signature.from_dict(document["signature"]) if document.get("signature") else None
    data, params = read_example(directory, document["saved_input_example_info"], signature and signature.inputs)
    expected = pickle.loads((MLFLOW_MODELS / model / "input.pkl").read_bytes())
    assert differences(snapshot(expected), snapshot(data), rtol=0, atol=0) == []
    assert params is None
