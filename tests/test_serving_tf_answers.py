"""TensorFlow Serving's REST API: predictions from every container, and what is told of a model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from protocol_models import Served
from tf_requests import answer, columns, serve, tensors

from palate.schema import Array, Schema, TensorSpec
from palate.serving._wire import Failure, Request
from palate.serving.protocols.tf_serving import (
    model_metadata,
    model_status,
    predict_paths,
    unknown_servable,
)


@pytest.fixture(scope="module")
def doubles() -> Served:
    """Return a model of two columns of numbers."""
    return serve(columns(a="double", b="double"))


@pytest.fixture(scope="module")
def matrix() -> Served:
    """Return a model of one tensor without a name."""
    return serve(Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)))


# -- answers and information -------------------------------------------------------------------------------------------


def test_nan_is_null(doubles: Served) -> None:
    """No bare NaN leaves, in rows or in columns."""
    assert answer(doubles, instances=[{"a": None, "b": 1}]) == {"predictions": [{"a": None, "b": 1.0}]}
    assert answer(doubles, inputs={"a": [None], "b": [1]}) == {"outputs": {"a": [None], "b": [1.0]}}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (np.array([[0.25, 0.75]]), [[0.25, 0.75]]),
        (np.float32([0.1]), [0.1]),
        (np.arange(4, dtype=">i4").reshape(2, 2).T, [[0, 2], [1, 3]]),
        (pd.Series([1, 2], name="y"), [1, 2]),
        (pd.DataFrame({"p": [0.5], "q": ["x"]}), [{"p": 0.5, "q": "x"}]),
        ({"p": np.array([[0.5]]), "q": np.array([True])}, [{"p": [0.5], "q": True}]),
        (["yes", "no"], ["yes", "no"]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        (np.zeros((0, 3)), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_predictions_of_every_container(matrix: Served, output: Any, expected: Any) -> None:
    """Whatever container a model answers with becomes predictions, one for each row."""
    call = matrix.endpoint.decode(Request(b'{"instances": [[1, 2]]}', {}))
    assert json.loads(matrix.endpoint.encode(output, call).body) == {"predictions": expected}


def test_status() -> None:
    """The status of a model lists its versions, each in the shape of GetModelStatusResponse."""
    assert model_status({"123": "AVAILABLE"}) == {
        "model_version_status": [
            {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


def test_metadata() -> None:
    """Metadata have the shape that TensorFlow Serving gives: sizes are text, and signatures stand under their names."""
    served = serve(tensors(x=("float32", (-1, 1))), outputs=tensors(y=("float32", (-1, 1))))
    dims = [{"size": "-1", "name": ""}, {"size": "1", "name": ""}]

    def info(name: str) -> dict[str, Any]:
        shape = {"dim": dims, "unknown_rank": False}
        return {name: {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": f"{name}:0"}}

    definition = {
        "inputs": info("x"),
        "outputs": info("y"),
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    assert model_metadata(served.contract) == {
        "model_spec": {"name": "giver", "signature_name": "", "version": "3"},
        "metadata": {"signature_def": {"signature_def": {"serving_default": definition, "predict": definition}}},
    }


def test_metadata_of_a_table() -> None:
    """Each column is an input of one dimension, of the type that its cells have in JSON."""
    schema = columns(a="double", b="string", c="integer", d="datetime", e=Array(items="double"))
    inputs = model_metadata(serve(schema).contract)["metadata"]["signature_def"]["signature_def"]["predict"]["inputs"]
    dtypes = {name: info["dtype"] for name, info in inputs.items()}
    assert dtypes == {"a": "DT_DOUBLE", "b": "DT_STRING", "c": "DT_INT32", "d": "DT_STRING", "e": "DT_VARIANT"}


def test_paths_and_errors(matrix: Served) -> None:
    """A model answers under its name and its version; errors are an object with one text."""
    paths = [path for path in predict_paths(matrix.contract) if path.endswith(":predict")]
    assert paths == ["/v1/models/giver:predict", "/v1/models/giver/versions/3:predict"]
    failure = Failure(400, "InvalidInput", "no good", (), "r1")
    assert json.loads(matrix.endpoint.refuse(failure).body) == {"error": "no good"}
    assert unknown_servable("half") == {"error": "Servable not found for request: Latest(half)"}
    assert unknown_servable("half", model_version="2") == {"error": "Servable not found for request: Specific(half, 2)"}
