"""TensorFlow Serving's REST API: rows and columns in, predictions and outputs out, held against real signatures."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from protocol_models import Served
from tf_requests import answer, ask, columns, places, serve, tensors

from palate.errors import InvalidInput, UnsupportedOutput
from palate.schema import Array, ColSpec, Schema, TensorSpec
from palate.serving._wire import Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols.tf_serving import (
    predict_paths,
)


@pytest.fixture(scope="module")
def doubles() -> Served:
    """Return a model of two columns of numbers."""
    return serve(columns(a="double", b="double"))


@pytest.fixture(scope="module")
def matrix() -> Served:
    """Return a model of one tensor without a name."""
    return serve(Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)))


@pytest.fixture(scope="module")
def several() -> Served:
    """Return the model that the API's own documentation has for an example."""
    return serve(tensors(tag=("str", (-1,)), signal=("int64", (-1, 5)), sensor=("float64", (-1, 2, 2))))


# -- tensors -----------------------------------------------------------------------------------------------------------


def test_rows_of_one_tensor(matrix: Served) -> None:
    """Instances are rows, inputs the tensor; with one output its name is dropped, and the key is the request's own."""
    assert answer(matrix, instances=[[1, 2.5], [3, 4]]) == {"predictions": [[1.0, 2.5], [3.0, 4.0]]}
    assert answer(matrix, inputs=[[1, 2.5]]) == {"outputs": [[1.0, 2.5]]}
    assert answer(matrix, inputs={"input-0": [[1, 2.5]]}) == {"outputs": [[1.0, 2.5]]}
    assert answer(matrix, instances=[{"input-0": [1, 2]}]) == {"predictions": [[1.0, 2.0]]}


def test_scalars_of_one_tensor() -> None:
    """Instances of a tensor with one dimension are values."""
    served = serve(tensors(words=("str", (-1,))))
    assert answer(served, instances=["foo", "bar"]) == {"predictions": ["foo", "bar"]}
    assert answer(served, inputs=["foo"]) == {"outputs": ["foo"]}


def test_rows_and_columns_of_several_tensors(several: Served) -> None:
    """The documentation's example says the same in rows and in columns, and comes back in the form that was sent."""
    rows = [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1.0, 2.0], [3.0, 4.0]]},
        {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4.0, 5.0], [6.0, 8.0]]},
    ]
    inputs = {name: [row[name] for row in rows] for name in rows[0]}
    assert answer(several, instances=rows) == {"predictions": rows}
    assert answer(several, inputs=inputs) == {"outputs": inputs}
    assert ask(several, instances=rows).output["sensor"].shape == (2, 2, 2)


def test_bytes_are_base64() -> None:
    """An object with b64 stands for bytes, in and out, where the output is called …_bytes; other bytes are text."""
    schema = tensors(image_bytes=("bytes", (-1,)), caption=("bytes", (-1,)))
    served = serve(schema)
    row = {"image_bytes": {"b64": "AP8="}, "caption": "é"}
    asked = ask(served, instances=[row])
    assert [array.tolist() for array in asked.output.values()] == [[b"\x00\xff"], ["é".encode()]]
    assert json.loads(asked.answer.body) == {"predictions": [row]}
    lone = serve(tensors(image_bytes=("bytes", (-1,))), outputs=columns(raw="binary"))
    assert answer(lone, instances=[{"b64": "AP8="}]) == {"predictions": [{"b64": "AP8="}]}
    with pytest.raises(UnsupportedOutput, match="no text"):
        ask(served, instances=[{**row, "caption": {"b64": "/w=="}}])
    assert places(served, instances=[{**row, "image_bytes": {"b64": "!"}}]) == [("inputs", "image_bytes")]
    assert places(served, instances=[{**row, "image_bytes": {"b65": "AP8="}}]) == [("inputs", "image_bytes")]


def test_decimals_become_the_nearest_float(matrix: Served) -> None:
    """JSON gives decimals no type, so that 0.1 is the float32 next to it; whole numbers have to be exact."""
    assert ask(matrix, instances=[[0.1, 3]]).output.tolist() == [[float(np.float32(0.1)), 3.0]]
    assert places(matrix, instances=[[2**24 + 1, 0]]) == [("inputs",)]
    assert places(matrix, instances=[[1e300, 0.5]]) == [("inputs", "input-0")]


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_no_rows(matrix: Served, several: Served, doubles: Served, key: str) -> None:
    """No instances are no rows, and no error."""
    name = {"instances": "predictions", "inputs": "outputs"}[key]
    assert answer(matrix, **{key: []}) == {name: []}
    assert ask(doubles, **{key: [] if key == "instances" else {"a": [], "b": []}}).output.dtypes.tolist() == [
        float,
        float,
    ]
    if key == "instances":
        assert {name: array.shape for name, array in ask(several, instances=[]).output.items()} == {
            "tag": (0,),
            "signal": (0, 5),
            "sensor": (0, 2, 2),
        }


def test_a_model_without_inputs_takes_whatever_comes() -> None:
    """Without a signature rows are an array, and objects a dict of arrays."""
    served = serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
    assert answer(served, instances=[1, 2]) == {"predictions": [1, 2]}
    assert answer(served, instances=[]) == {"predictions": []}
    assert answer(served, instances=[{"x": 1, "y": "a"}]) == {"predictions": [{"x": 1, "y": "a"}]}
    assert answer(served, inputs={"x": [1], "y": [2, 3]}) == {"outputs": {"x": [1], "y": [2, 3]}}
    with pytest.raises(UnsupportedOutput, match="lengths"):
        served.endpoint.encode({"x": [1], "y": [2, 3]}, served.endpoint.decode(Request(b'{"instances": [1]}', {})))


# -- tables ------------------------------------------------------------------------------------------------------------


def test_rows_of_a_table(doubles: Served) -> None:
    """Rows of a table are objects in any order, or lists in the signature's; inputs are columns, or lists of rows."""
    rows = [{"a": 1.0, "b": 2.5}, {"a": 3.0, "b": 4.0}]
    for document in (
        {"instances": [{"b": 2.5, "a": 1}, {"a": 3, "b": 4}]},
        {"instances": [[1, 2.5], [3, 4]]},
        {"inputs": {"b": [2.5, 4], "a": [1, 3]}},
        {"inputs": {"b": [[2.5], [4]], "a": [1, 3]}},
        {"inputs": [[1, 2.5], [3, 4]]},
    ):
        asked = ask(doubles, **document)
        pd.testing.assert_frame_equal(asked.output, pd.DataFrame(rows))
    assert answer(doubles, instances=rows) == {"predictions": rows}
    assert answer(doubles, inputs={"a": [1.5], "b": [2.5]}) == {"outputs": {"a": [1.5], "b": [2.5]}}


def test_a_table_of_every_type() -> None:
    """Cells are what JSON has: text, base64 for bytes, ISO times, lists for arrays, null for what is missing."""
    schema = Schema(
        (
            ColSpec(type="boolean", name="flag"),
            ColSpec(type="long", name="large"),
            ColSpec(type="long", name="gap", nullable=True),
            ColSpec(type="float", name="single"),
            ColSpec(type="double", name="double"),
            ColSpec(type="string", name="text"),
            ColSpec(type="binary", name="raw"),
            ColSpec(type="datetime", name="when"),
            ColSpec(type=Array(items="double"), name="list"),
            ColSpec(type="double", name="may", required=False),
        )
    )
    row = {
        "flag": True,
        "large": 2**53 + 1,
        "gap": None,
        "single": 0.1,
        "double": None,
        "text": "é",
        "raw": {"b64": "AP8="},
        "when": "2026-01-02T03:04:05+01:00",
        "list": [1, 2.5],
    }
    served = serve(schema, outputs=schema)
    for document in ({"instances": [row]}, {"inputs": {name: [cell] for name, cell in row.items()}}):
        found = ask(served, **document).output.iloc[0].to_dict()
        assert math.isnan(found.pop("double"))
        assert found == {
            **{name: cell for name, cell in row.items() if name != "double"},
            "single": np.float32(0.1),
            "raw": b"\x00\xff",
            "when": pd.Timestamp("2026-01-02T02:04:05"),
        }


def test_optional_columns_may_be_absent_in_some_rows() -> None:
    """A column that is not required is missing in the rows that do not have it, and absent where none has."""
    served = serve(Schema((ColSpec(type="double", name="a"), ColSpec(type="double", name="b", required=False))))
    assert ask(served, instances=[{"a": 1}]).output.columns.tolist() == ["a"]
    found = ask(served, instances=[{"a": 1}, {"a": 2, "b": 3}]).output["b"].tolist()
    assert (math.isnan(found[0]), found[1]) == (True, 3.0)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("long", 1.7),
        ("long", "1"),
        ("long", True),
        ("long", 2**63),
        ("long", None),
        ("integer", 2**31),
        ("boolean", "false"),
        ("boolean", 0),
        ("double", "1"),
        ("double", True),
        ("double", 2**53 + 1),
        ("float", 2**24 + 1),
        ("float", 1e300),
        ("string", 1),
        ("datetime", 1),
        ("double", [1, 2]),
        ("double", {"x": 1}),
        ("binary", {"b64": "!"}),
        (Array(items="long"), [1.5]),
        (Array(items="long"), "[1]"),
    ],
)
@pytest.mark.parametrize("form", ["records", "rows", "columns"])
def test_no_value_changes(kind: Any, cell: Any, form: str) -> None:
    """What a column cannot hold as it was sent is refused in every form, and the error names the column."""
    served = serve(columns(a=kind, b="double"))
    documents = {
        "records": {"instances": [{"a": cell, "b": 1.5}]},
        "rows": {"instances": [[cell, 1.5]]},
        "columns": {"inputs": {"a": [cell], "b": [1.5]}},
    }
    assert {place[:2] for place in places(served, **documents[form])} == {("inputs", "a")}


@pytest.mark.parametrize("cells", [[1, True], [1.5, True], ["a", 1], [True, "x"], [[1], 2], [[1, 2], [3]]], ids=str)
def test_mixtures_are_refused(doubles: Served, cells: list[Any]) -> None:
    """Truth values, numbers and text in one column, and lists of unequal lengths, are refused."""
    assert places(doubles, inputs={"a": cells, "b": [1.5] * 2}) == [("inputs", "a")]


# -- requests that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"instances = [1, 2]",
        b"[]",
        b"null",
        b"{}",
        b'{"instances": [[1, NaN]]}',
        b'{"instances": [[1, Infinity]]}',
        b'{"instances": [[1, 1e999]]}',
        b'{"instances": [[1, 2]], "inputs": [[1, 2]]}',
        b'{"instances": [[1, 2]], "instances": [[1, 2]]}',
        b'{"instances": [[1, 2]], "typo": 1}',
        b'{"signature_name": "serving_default"}',
    ],
)
def test_requests_that_are_none(matrix: Served, body: bytes) -> None:
    """A body that is not JSON, or has not exactly one of instances and inputs, is told as such."""
    with pytest.raises(MalformedBody):
        matrix.ask(body)


def test_instances_that_do_not_fit(matrix: Served, several: Served, doubles: Served) -> None:
    """Rows of unequal names, shapes or kinds are refused, and the name is told where there is one, no value."""
    assert places(matrix, instances={"a": 1}) == [("instances",)]
    assert places(matrix, instances=[[1, 2], [3]]) == [("inputs", "input-0")]
    assert places(matrix, instances=[[1, 2], {"input-0": [1, 2]}]) == [("instances",)]
    assert places(matrix, instances=[[1, 2, 3]]) == [("inputs",)]
    assert places(several, instances=[1]) == [("instances",)]
    assert places(several, inputs=[1]) == [("inputs",)]
    assert places(several, instances=[{"tag": "a", "signal": [1] * 5}]) == [("inputs", "sensor")]
    assert places(doubles, instances=[{"a": 1, "b": 2}, {"a": 1}]) == [("inputs", "b")]
    assert places(doubles, instances=[{"a": 1, "b": 2, "c": 41}]) == [("inputs", "c")]
    assert places(doubles, instances=[[1, 2], [3]]) == [("instances",)]
    assert places(doubles, instances=[1, 2]) == [("instances",)]
    assert places(doubles, inputs={"a": [1]}) == [("inputs", "b")]
    assert places(doubles, inputs={"a": [1], "b": [1, 2]}) == [("inputs",)]
    assert places(doubles, inputs=5) == [("inputs",)]
    with pytest.raises(InvalidInput) as caught:
        ask(doubles, instances=[{"a": 1, "b": 2, "c": 41}])
    assert "41" not in str(caught.value)


def test_signature_names(matrix: Served) -> None:
    """The default signature has two names, and each method is a signature; another name is refused."""
    for name in ("", "serving_default", "predict"):
        assert ask(matrix, instances=[[1, 2]], signature_name=name).call.method == "predict"
    for name in ("classify", 1, None, ["predict"]):
        assert places(matrix, instances=[[1, 2]], signature_name=name) == [("signature_name",)]


def test_classify_and_regress_are_refused(matrix: Served) -> None:
    """Models of other frameworks have no signature for them, and TensorFlow Serving's words say so."""
    for verb in ("classify", "regress"):
        endpoint = predict_paths(matrix.contract)[f"/v1/models/giver:{verb}"]
        with pytest.raises(InvalidInput, match=f"method_name tensorflow/serving/{verb}"):
            endpoint.decode(Request(b'{"examples": [{"x": 1}]}', {}))
