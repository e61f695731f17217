"""The Open Inference Protocol: answers as tensors, whatever a model returns, and what is told of a model."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from protocol_models import Served
from v2_requests import LENGTH, X, ask, columns, outputs, refusal, serve, tensor

from palate.errors import InvalidInput, UnsupportedOutput
from palate.schema import ParamSpec, Schema, TensorSpec
from palate.serving._wire import Failure, Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols.inference_v2 import (
    model_metadata,
    model_ready,
    predict_paths,
    server_live,
    server_metadata,
    server_ready,
)


@pytest.fixture(scope="module")
def doubles() -> Served:
    """Return a model of two columns."""
    return serve(columns(a="double", b="double"))


@pytest.fixture(scope="module")
def matrix() -> Served:
    """Return a model of one tensor without a name."""
    return serve(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)))


# -- answers -----------------------------------------------------------------------------------------------------------


def test_the_id_comes_back(matrix: Served) -> None:
    """An id is echoed, and there is none where none was."""
    assert json.loads(ask(matrix, X, id="é-1").answer.body)["id"] == "é-1"
    assert "id" not in json.loads(ask(matrix, X).answer.body)


def test_the_answer_says_which_model_and_version(matrix: Served) -> None:
    """The answer names the model, its version, the datatype and the shape."""
    assert json.loads(ask(matrix, X).answer.body) == {
        "model_name": "giver",
        "model_version": "3",
        "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}],
    }


def test_outputs_are_chosen(doubles: Served) -> None:
    """Only the outputs that are asked for come, in that order; one that there is not is refused."""
    inputs = [tensor("a", [1.0]), tensor("b", [2.0])]
    assert list(outputs(ask(doubles, *inputs, outputs=[{"name": "b"}]))) == ["b"]
    assert list(outputs(ask(doubles, *inputs, outputs=[{"name": "b"}, {"name": "a"}]))) == ["b", "a"]
    assert list(outputs(ask(doubles, *inputs, outputs=[]))) == ["a", "b"]
    with pytest.raises(InvalidInput, match="no such output"):
        ask(doubles, *inputs, outputs=[{"name": "c"}])


def test_binary_outputs_by_request_and_by_output(doubles: Served) -> None:
    """binary_data of an output is stronger than binary_data_output; the data stand in the order of the outputs."""
    inputs = [tensor("a", [1.0]), tensor("b", [2.0])]
    wanted = [{"name": "b"}, {"name": "a", "parameters": {"binary_data": False}}]
    answer = ask(doubles, *inputs, outputs=wanted, parameters={"binary_data_output": True}).answer
    (name, length), *_ = answer.headers
    head, tail = answer.body[: int(length)], answer.body[int(length) :]
    assert (name, answer.content_type, tail) == (LENGTH, b"application/octet-stream", np.float64(2).tobytes())
    b, a = json.loads(head)["outputs"]
    assert (b["parameters"], "data" in b, a["data"]) == ({"binary_data_size": 8}, False, [1.0])


def test_text_outputs_in_binary() -> None:
    """Text leaves as BYTES, each element behind its length."""
    served = serve(columns(a="string"))
    answer = ask(served, tensor("a", ["é", ""], "BYTES"), parameters={"binary_data_output": True}).answer
    assert answer.body.endswith(struct.pack("<I", 2) + "é".encode() + struct.pack("<I", 0))


def test_nan_and_missing_text_are_null(doubles: Served) -> None:
    """No bare NaN leaves: in JSON it is null, in binary data itself; a missing text has no binary form."""
    inputs = [tensor("a", [None]), tensor("b", [2.0])]
    assert outputs(ask(doubles, *inputs))["a"]["data"] == [None]
    answer = ask(doubles, *inputs, parameters={"binary_data_output": True}).answer
    assert np.isnan(np.frombuffer(answer.body[-16:-8])).all()
    served = serve(columns(a="string"))
    assert outputs(ask(served, tensor("a", [None, "x"], "BYTES")))["a"]["data"] == [None, "x"]
    with pytest.raises(UnsupportedOutput, match="missing"):
        ask(served, tensor("a", [None, "x"], "BYTES"), parameters={"binary_data_output": True})


class Unknown:
    """No array and no table."""


SPARSE = pytest.importorskip("scipy.sparse").csr_matrix(np.eye(2))
FRAME = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "c": pd.Categorical(["u", "v"])})


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (np.float32([1.5]), {"output-0": ("FP32", [1], [1.5])}),
        (np.arange(4, dtype=">i4").reshape(2, 2).T, {"output-0": ("INT32", [2, 2], [0, 2, 1, 3])}),
        (2.5, {"output-0": ("FP64", [1], [2.5])}),
        (np.float64(2.5), {"output-0": ("FP64", [1], [2.5])}),
        ("yes", {"output-0": ("BYTES", [1], ["yes"])}),
        (["yes", "no"], {"output-0": ("BYTES", [2], ["yes", "no"])}),
        ([b"yes"], {"output-0": ("BYTES", [1], ["yes"])}),
        (np.array(["yes"]), {"output-0": ("BYTES", [1], ["yes"])}),
        ([1, 2], {"output-0": ("INT64", [2], [1, 2])}),
        ([[1.5], [2]], {"output-0": ("FP64", [2, 1], [1.5, 2.0])}),
        ([True], {"output-0": ("BOOL", [1], [True])}),
        ([["a", "b"]], {"output-0": ("BYTES", [1, 2], ["a", "b"])}),
        ([np.array([1.5]), np.array([2.5])], {"output-0": ("FP64", [2, 1], [1.5, 2.5])}),
        ([np.float32(1.5)], {"output-0": ("FP32", [1], [1.5])}),
        ([2**64 - 1], {"output-0": ("UINT64", [1], [2**64 - 1])}),
        (pd.Series([1, 2], name="y"), {"y": ("INT64", [2], [1, 2])}),
        (pd.Series([1, 2]), {"output-0": ("INT64", [2], [1, 2])}),
        (FRAME, {"n": ("INT64", [2], [1, None]), "c": ("BYTES", [2], ["u", "v"])}),
        ({"p": np.array([0.5]), "label": ["x"]}, {"p": ("FP64", [1], [0.5]), "label": ("BYTES", [1], ["x"])}),
        ((np.array([0.5]), [1]), {"output-0": ("FP64", [1], [0.5]), "output-1": ("INT64", [1], [1])}),
        ([{"s": 1.5, "t": "x"}], {"s": ("FP64", [1], [1.5]), "t": ("BYTES", [1], ["x"])}),
        (SPARSE, {"output-0": ("FP64", [2, 2], [1.0, 0.0, 0.0, 1.0])}),
        (np.array(["2026-01-02", "NaT"], "M8[D]"), {"output-0": ("BYTES", [2], ["2026-01-02", None])}),
        ([[1], [2, 3]], {"output-0": ("BYTES", [2], ["[1]", "[2,3]"])}),
        (np.array([0.5, None], dtype=object), {"output-0": ("FP64", [2], [0.5, None])}),
        ([], {"output-0": ("FP64", [0], [])}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_outputs_of_every_container(output: Any, expected: dict[str, Any]) -> None:
    """Whatever container a model answers with becomes tensors of the right datatype, shape and names."""
    served = serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
    call = served.endpoint.decode(Request(json.dumps({"inputs": [X]}).encode(), {}))
    answer = json.loads(served.endpoint.encode(output, call).body)
    assert {out["name"]: (out["datatype"], out["shape"], out["data"]) for out in answer["outputs"]} == expected


@pytest.mark.parametrize(
    "output",
    [
        Unknown(),
        np.array([1j]),
        np.array([1], "m8[s]"),
        [Unknown()],
        [b"\xff"],
        [1, "x"],
        [True, 2],
        [0.5, 2**53 + 1],
        [[1], {"a": 2}],
        [{"a": 1}, {"b": 2}],
        [2**70],
    ],
    ids=lambda output: re.sub(" at 0x[0-9a-f]+", "", repr(output)),  # addresses are others in another process
)
def test_outputs_that_are_no_tensors(output: Any) -> None:
    """What has no tensor form is an error, never a text of it."""
    served = serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
    call = served.endpoint.decode(Request(json.dumps({"inputs": [X]}).encode(), {}))
    with pytest.raises(UnsupportedOutput):
        served.endpoint.encode(output, call)


def test_outputs_take_the_names_of_the_signature() -> None:
    """An array is called what the signature calls its output; a matrix is taken apart where it names columns."""
    one = serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1, 2), name="scores"),)))
    assert list(outputs(ask(one, X))) == ["scores"]
    two = serve(None, outputs=columns(no="double", yes="double"))
    assert {name: out["data"] for name, out in outputs(ask(two, X)).items()} == {"no": [1.0], "yes": [2.0]}


def test_params_are_parameters() -> None:
    """Parameters reach the model as its params, with their types; unknown ones are refused, Triton's own are not."""
    specs = (ParamSpec(name="scale", type="double", default=1.0), ParamSpec(name="timeout", type="long", default=0))

    def scaled(data: Any, params: Mapping[str, Any]) -> Any:
        return data * params["scale"] + params["timeout"]

    served = serve(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)), params=specs, answer=scaled)
    parameters = {"scale": 2.5, "timeout": 1, "priority": 1, "triton_x": "y", "binary_data_output": False}
    assert ask(served, X, parameters=parameters).output.tolist() == [[3.5, 6.0]]
    assert refusal(served, X, parameters={"scael": 2.5}).where == ("params", "scael")
    assert refusal(served, X, parameters={"scale": "2.5"}).where == ("params", "scale")


def test_a_body_of_one_raw_tensor() -> None:
    """Without JSON (its length is 0) the body is the only input, whose shape follows; the answer is binary."""
    served = serve(Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)))
    raw = np.arange(4, dtype="<f4").tobytes()
    asked = served.ask(raw, {LENGTH: b"0"})
    assert asked.output.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert asked.answer.body.endswith(raw)
    with pytest.raises(InvalidInput):
        served.ask(raw[:-4], {LENGTH: b"0"})
    with pytest.raises(MalformedBody):
        serve(columns(a="string")).ask(b"x", {LENGTH: b"0"})


# -- information -------------------------------------------------------------------------------------------------------


def test_metadata_name_what_may_be_sent() -> None:
    """Each column is an input of the datatype that it is read from as it is; sizes that may be any are -1."""
    served = serve(
        columns(a="double", b="string", c="integer"), outputs=Schema((TensorSpec(dtype="float32", shape=(-1, 3)),))
    )
    assert model_metadata(served.contract) == {
        "name": "giver",
        "versions": [served.contract.version],
        "platform": "palate_python_function",
        "inputs": [
            {"name": "a", "datatype": "FP64", "shape": [-1]},
            {"name": "b", "datatype": "BYTES", "shape": [-1]},
            {"name": "c", "datatype": "INT32", "shape": [-1]},
        ],
        "outputs": [{"name": "output-0", "datatype": "FP32", "shape": [-1, 3]}],
    }


def test_information_of_the_server(matrix: Served) -> None:
    """The server names itself and its extensions, and says of itself and the model whether they are ready."""
    server = server_metadata()
    assert (server["name"], server["extensions"]) == ("palate", ["binary_tensor_data", "parameters"])
    assert (server_live(), server_ready(ready=False)) == ({"live": True}, {"ready": False})
    assert model_ready(matrix.contract, ready=True) == {"name": "giver", "ready": True}


def test_paths(matrix: Served) -> None:
    """A model answers under its name, and under its name and version."""
    assert list(predict_paths(matrix.contract)) == ["/v2/models/giver/infer", "/v2/models/giver/versions/3/infer"]


def test_errors_have_the_protocols_shape(matrix: Served) -> None:
    """An error is an object with one text."""
    failure = Failure(400, "InvalidInput", "no good", (), "r1")
    assert json.loads(matrix.endpoint.refuse(failure).body) == {"error": "no good"}
