"""The Open Inference Protocol: tensors in, as JSON and as binary data, become what a model's signature says."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from protocol_models import Served
from v2_requests import DTYPES, ask, ask_binary, binary, columns, outputs, refusal, serve, tensor

from palate.errors import InvalidInput
from palate.schema import Array, ColSpec, Object, Property, Schema, TensorSpec


@pytest.fixture(scope="module")
def doubles() -> Served:
    """Return a model of two columns."""
    return serve(columns(a="double", b="double"))


@pytest.fixture(scope="module")
def matrix() -> Served:
    """Return a model of one tensor without a name."""
    return serve(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)))


# -- columns -----------------------------------------------------------------------------------------------------------


def test_a_column_is_a_tensor(doubles: Served) -> None:
    """One tensor for each column, of shape [n] or [n, 1], in any order, makes rows."""
    asked = ask(doubles, tensor("b", [3.0, 4.5], shape=[2, 1]), tensor("a", [1.0, 2.0]))
    pd.testing.assert_frame_equal(asked.output, pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.5]}))


def test_all_columns_are_one_tensor(doubles: Served) -> None:
    """A tensor of shape [n, columns] under another name is all columns, in the signature's order, flat or nested."""
    expected = pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]})
    for data in ([1, 2.0, 3, 4], [[1, 2], [3.0, 4]]):
        pd.testing.assert_frame_equal(ask(doubles, tensor("inputs", data, shape=[2, 2])).output, expected)


def test_columns_of_every_type() -> None:
    """Text, bytes, times and nested values come as BYTES; numbers as their datatype."""
    schema = columns(
        flag="boolean",
        small="integer",
        large="long",
        single="float",
        text="string",
        raw="binary",
        when="datetime",
        list=Array(items="double"),
        pair=Object(properties=(Property(name="x", type="long"),)),
    )
    served = serve(schema, outputs=schema)
    asked = ask(
        served,
        tensor("flag", [True], "BOOL"),
        tensor("small", [7], "INT32"),
        tensor("large", [2**53 + 1], "INT64"),
        tensor("single", [0.1], "FP32"),
        tensor("text", ["é: 1"], "BYTES"),
        tensor("raw", ["AP8="], "BYTES", parameters={"content_type": "base64"}),
        tensor("when", ["2026-01-02T03:04:05+01:00"], "BYTES"),
        tensor("list", ["[1, 2.5]"], "BYTES"),
        tensor("pair", ['{"x": 3}'], "BYTES"),
    )
    row = asked.output.iloc[0].to_dict()
    assert row == {
        "flag": True,
        "small": 7,
        "large": 2**53 + 1,
        "single": np.float32(0.1),
        "text": "é: 1",
        "raw": b"\x00\xff",
        "when": pd.Timestamp("2026-01-02T02:04:05"),
        "list": [1, 2.5],
        "pair": {"x": 3},
    }
    assert asked.output.dtypes["single"] == np.float32
    shown = outputs(asked)
    assert (shown["raw"]["data"], shown["when"]["data"]) == (["AP8="], ["2026-01-02T02:04:05.000000000"])
    assert shown["list"]["data"] == ["[1.0,2.5]"]


def test_columns_without_names_are_numbered() -> None:
    """Columns without names are input-0, input-1, …, and each has to be there: without names they cannot be told."""
    served = serve(Schema((ColSpec(type="long"), ColSpec(type="string"))))
    asked = ask(served, tensor("input-1", ["x"], "BYTES"), tensor("input-0", [5], "INT64"))
    assert asked.output.to_numpy().tolist() == [[5, "x"]]
    assert refusal(served, tensor("input-1", ["x"], "BYTES")).where == ("inputs", "input-0")


def test_columns_with_numbers_for_names() -> None:
    """A column that is called 0 comes under the name "0"."""
    served = serve(Schema((ColSpec(type="long", name=0), ColSpec(type="double", name=1))))
    asked = ask(served, tensor("0", [5], "INT64"), tensor("1", [0.5]))
    assert asked.output.columns.tolist() == [0, 1]


def test_optional_columns_may_be_absent() -> None:
    """A column that is not required need not be sent."""
    served = serve(Schema((ColSpec(type="double", name="a"), ColSpec(type="double", name="b", required=False))))
    assert ask(served, tensor("a", [1.5])).output.to_dict("records") == [{"a": 1.5}]


def test_no_rows_are_rows(doubles: Served) -> None:
    """Tensors without elements are a table without rows, which keeps its types."""
    asked = ask(doubles, tensor("a", []), tensor("b", []))
    assert (len(asked.output), asked.output.dtypes.tolist()) == (0, [np.float64, np.float64])


# -- tensors -----------------------------------------------------------------------------------------------------------


def test_a_tensor_without_a_name_takes_any(matrix: Served) -> None:
    """The only tensor of a signature may have any name, and no other may stand beside it."""
    assert ask(matrix, tensor("whatever", [1.0, 2.0], shape=[1, 2])).output.tolist() == [[1.0, 2.0]]
    more = [tensor("one", [1.0, 2.0], shape=[1, 2]), tensor("two", [1.0])]
    assert refusal(matrix, *more).where == ("inputs", "two")


def test_tensors_by_name() -> None:
    """Named tensors are found by their names."""
    served = serve(
        Schema((TensorSpec(dtype="int64", shape=(-1,), name="ids"), TensorSpec(dtype="str", shape=(-1,), name="words")))
    )
    asked = ask(served, tensor("words", ["a", "bc"], "BYTES"), tensor("ids", [1, 2], "INT64"))
    assert {name: array.tolist() for name, array in asked.output.items()} == {"ids": [1, 2], "words": ["a", "bc"]}
    assert refusal(served, tensor("ids", [1], "INT64")).where == ("inputs", "words")


def test_a_model_without_inputs_takes_whatever_comes() -> None:
    """Without a signature one tensor is an array, and several are a dict of them."""
    served = serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
    assert ask(served, tensor("x", [1.5])).output.tolist() == [1.5]
    asked = ask(served, tensor("x", [1], "INT8"), tensor("y", ["t"], "BYTES"))
    assert {name: array.tolist() for name, array in asked.output.items()} == {"x": [1], "y": ["t"]}


@pytest.mark.parametrize("datatype", DTYPES)
@pytest.mark.parametrize("as_binary", [False, True])
def test_datatypes(datatype: str, as_binary: bool) -> None:
    """Every datatype arrives as its own numpy type, with its limits exact, and leaves as the same datatype."""
    dtype = np.dtype(DTYPES[datatype])
    if dtype.kind == "b":
        values = np.array([True, False, True])
    else:
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        values = np.array([limits.min, 1, limits.max], dtype=dtype)
    served = serve(Schema((TensorSpec(dtype=dtype.name, shape=(-1,)),)))
    if as_binary:
        document = {
            "inputs": [binary("x", values.tobytes(), datatype, [3])],
            "parameters": {"binary_data_output": True},
        }
        asked = ask_binary(served, document, values.tobytes())
        assert asked.answer.body.endswith(values.tobytes())
    else:
        asked = ask(served, tensor("x", values.tolist(), datatype))
        answer = outputs(asked)["output-0"]
        assert (answer["datatype"], np.array(answer["data"], dtype).tolist()) == (datatype, values.tolist())
    assert asked.output.dtype == dtype
    assert asked.output.tolist() == values.tolist()


def test_models_may_write_into_what_they_are_given() -> None:
    """Arrays of binary data are the model's own, wherever in the body their bytes begin."""

    def add_one(data: Any, params: Mapping[str, Any]) -> Any:
        data += 1
        return data

    served = serve(Schema((TensorSpec(dtype="float64", shape=(-1,)),)), answer=add_one)
    raw = np.array([1.0, 2.0]).tobytes()
    for padding in range(8):
        document = {"inputs": [binary("x", raw, "FP64", [2])], "id": "i" * padding}
        assert ask_binary(served, document, raw).output.tolist() == [2.0, 3.0]


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "datatype"),
    [
        ("long", [1.7], "INT64"),
        ("long", [1.0], "INT64"),
        ("long", [True], "INT64"),
        ("long", ["1"], "INT64"),
        ("long", [2**63], "INT64"),
        ("long", [-1, 2**64 - 1], "INT64"),
        ("integer", [2**31], "INT32"),
        ("integer", [2**31], "INT64"),
        ("integer", [1.5], "FP64"),
        ("boolean", ["false"], "BOOL"),
        ("boolean", [0], "BOOL"),
        ("boolean", ["false"], "BYTES"),
        ("boolean", [1], "INT64"),
        ("double", [True], "FP64"),
        ("double", ["1"], "FP64"),
        ("double", ["1"], "BYTES"),
        ("double", [1.5, True], "FP64"),
        ("double", [2**53 + 1], "FP64"),
        ("double", [0.5, 2**53 + 1], "FP64"),
        ("double", [2**53 + 1], "INT64"),
        ("float", [0.1], "FP64"),
        ("float", [2**24 + 1], "FP32"),
        ("float", [1e300], "FP32"),
        ("string", [1], "BYTES"),
        ("string", ["a", 1], "BYTES"),
        ("string", [1], "INT64"),
        ("datetime", ["yesterday"], "BYTES"),
        ("datetime", [1], "INT64"),
        ("long", [None], "INT64"),
        (Array(items="long"), ["[1"], "BYTES"),
        (Array(items="long"), ["[1.5]"], "BYTES"),
    ],
)
def test_no_value_changes(kind: Any, data: list[Any], datatype: str) -> None:
    """What a datatype, or then the column, cannot hold as it was sent is refused, and the error names the column."""
    assert refusal(serve(columns(a=kind)), tensor("a", data, datatype)).where[:2] == ("inputs", "a")


@pytest.mark.parametrize(
    ("kind", "data", "datatype", "expected"),
    [
        ("double", [0.1], "FP32", float(np.float32(0.1))),
        ("double", [7], "INT64", 7.0),
        ("double", [2**60], "INT64", 2.0**60),
        ("double", [None], "FP64", math.nan),
        ("double", [1, None], "FP32", 1.0),
        ("float", [0.1], "FP32", float(np.float32(0.1))),
        ("long", [5], "UINT8", 5),
        ("long", [5.0], "FP64", 5),
        ("string", [None], "BYTES", None),
        ("boolean", [None, True], "BOOL", None),
    ],
)
def test_values_that_fit_are_converted(kind: Any, data: list[Any], datatype: str, expected: Any) -> None:
    """Other datatypes than the column's pass where every value stays what it is; null is a missing value."""
    (found, *_) = ask(serve(columns(a=kind)), tensor("a", data, datatype)).output["a"].tolist()
    assert found == expected or (pd.isna(found) and pd.isna(expected))


def test_whole_numbers_stay_exact_beside_null() -> None:
    """A nullable column of integers takes null, and its neighbour keeps its last digit."""
    served = serve(Schema((ColSpec(type="long", name="a", nullable=True),)))
    assert ask(served, tensor("a", [2**53 + 1, None], "INT64")).output["a"].tolist() == [2**53 + 1, pd.NA]


def test_bytes_are_text_where_the_column_is() -> None:
    """Binary BYTES are decoded for text, kept for bytes, and no text is refused."""
    raw = struct.pack("<I", 3) + "aé".encode() + struct.pack("<I", 0)
    document = {"inputs": [binary("a", raw, "BYTES", [2])]}
    assert ask_binary(serve(columns(a="string")), document, raw).output["a"].tolist() == ["aé", ""]
    assert ask_binary(serve(columns(a="binary")), document, raw).output["a"].tolist() == ["aé".encode(), b""]
    broken = struct.pack("<I", 1) + b"\xff"
    with pytest.raises(InvalidInput, match="UTF-8"):
        ask_binary(serve(columns(a="string")), {"inputs": [binary("a", broken, "BYTES", [1])]}, broken)
