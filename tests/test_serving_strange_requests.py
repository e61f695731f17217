"""Whatever a request says, it is answered or refused by a typed error; what is taken comes back unchanged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from protocol_models import Served, serve_model
from v2_requests import DTYPES, LENGTH, ask, ask_binary, binary, tensor

from palate.errors import PalateError
from palate.schema import AnyType, Array, ColSpec, Map, Schema, TensorSpec
from palate.serving.protocols.inference_v2 import InferEndpoint
from palate.serving.protocols.tf_serving import PredictEndpoint


def columns(a: Any, b: Any) -> Schema:
    """Return a schema of two columns."""
    return Schema((ColSpec(type=a, name="a"), ColSpec(type=b, name="b")))


SCHEMAS = {
    "open": None,
    "numbers": columns("double", "double"),
    "text": columns("string", "long"),
    "bytes": columns("binary", "float"),
    "times": columns("datetime", "boolean"),
    "nested": columns(Array(items="double"), Map(values="long")),
    "anything": columns(AnyType(), "integer"),
    "nameless": Schema((ColSpec(type="double"),)),
    "tensor": Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)),
    "tensors": Schema(
        (TensorSpec(dtype="str", shape=(-1,), name="a"), TensorSpec(dtype="int64", shape=(-1, 2), name="b"))
    ),
}
OUTPUTS = Schema((TensorSpec(dtype="float64", shape=(-1,)),))

ATOMS: st.SearchStrategy[Any] = st.sampled_from(
    [
        0,
        1,
        -1,
        1.5,
        1e308,
        True,
        None,
        "",
        "é",
        "[1]",
        "AP8=",
        "2026-01-02",
        2**53 + 1,
        2**63,
        2**64 - 1,
        {"b64": "AP8="},
        [],
    ]
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
CELLS = st.lists(ATOMS, max_size=3) | VALUES
NAMES = st.sampled_from(["a", "b", "c", "input-0"])
SHAPES = st.lists(st.sampled_from([0, 1, 2, -1, 2**40, 2**62]), max_size=3) | VALUES
INPUTS = st.fixed_dictionaries(
    {"name": NAMES, "shape": SHAPES, "datatype": st.sampled_from([*DTYPES, "BYTES", "BF16"])},
    optional={
        "data": CELLS,
        "parameters": st.fixed_dictionaries(
            {}, optional={"binary_data_size": st.integers(-1, 16), "content_type": ATOMS}
        ),
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(INPUTS, max_size=2)}, optional={"outputs": VALUES, "parameters": VALUES}
)
ROWS = st.lists(st.dictionaries(NAMES, ATOMS, max_size=2), max_size=2) | CELLS
BODIES = st.fixed_dictionaries({"instances": ROWS}) | st.fixed_dictionaries(
    {"inputs": st.dictionaries(NAMES, CELLS, max_size=2) | CELLS}
)


def serve(endpoint: Any, name: str) -> Served:
    """Put a protocol in front of a model of a schema."""
    return serve_model(endpoint, SCHEMAS[name], outputs=OUTPUTS)


@pytest.mark.filterwarnings("ignore")  # of pandas, about what a model with columns of anything is given
@pytest.mark.parametrize("name", SCHEMAS)
@given(document=REQUESTS, tail=st.binary(max_size=16))
def test_inference_requests(name: str, document: Any, tail: bytes) -> None:
    """A request of the Open Inference Protocol is answered in JSON, or refused by an error of ours."""
    served, head = serve(InferEndpoint, name), json.dumps(document).encode()
    try:
        answer = served.ask(head + tail, {LENGTH: str(len(head)).encode()} if tail else {}).answer
    except PalateError:
        return
    if not answer.headers or answer.headers[0][0] != LENGTH:
        assert json.loads(answer.body)["outputs"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCHEMAS)
@given(document=BODIES)
def test_tensorflow_serving_requests(name: str, document: Any) -> None:
    """A request of TensorFlow Serving's is answered in JSON under its own key, or refused by an error of ours."""
    try:
        answer = serve(PredictEndpoint, name).ask(json.dumps(document).encode()).answer
    except PalateError:
        return
    assert list(json.loads(answer.body)) == ["predictions" if "instances" in document else "outputs"]


@pytest.mark.parametrize("datatype", DTYPES)
@given(data=st.data())
def test_arrays_come_back(datatype: str, data: st.DataObject) -> None:
    """Any array goes through as JSON and as binary data without a bit changing; NaN and infinity do as binary data."""
    dtype = np.dtype(DTYPES[datatype])
    array = data.draw(arrays.arrays(dtype, arrays.array_shapes(max_dims=3, max_side=4)))
    served = serve_model(InferEndpoint, None, outputs=OUTPUTS)
    raw = array.tobytes()
    document = {"inputs": [binary("x", raw, datatype, list(array.shape))], "parameters": {"binary_data_output": True}}
    asked = ask_binary(served, document, raw)
    assert asked.answer.body.endswith(raw)
    if np.isfinite(array).all():
        (output,) = json.loads(ask(served, tensor("x", array.tolist(), datatype, list(array.shape))).answer.body)[
            "outputs"
        ]
        assert np.array(output["data"], dtype).tobytes() == raw
        assert (output["shape"], output["datatype"]) == (list(array.shape), datatype)
