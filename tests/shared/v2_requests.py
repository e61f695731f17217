"""Requests of the Open Inference Protocol, sent through the endpoint to real models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from protocol_models import Asked, Served, serve_model

from palate.errors import InvalidInput, Problem
from palate.schema import ColSpec, Schema
from palate.serving.protocols.inference_v2 import InferEndpoint

__all__ = ["DTYPES", "LENGTH", "X", "ask", "ask_binary", "binary", "columns", "outputs", "refusal", "serve", "tensor"]

LENGTH = b"inference-header-content-length"
DTYPES = {
    "BOOL": "?",
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}


def serve(inputs: Schema | None, **more: Any) -> Served:
    """Put the protocol in front of a model."""
    return serve_model(InferEndpoint, inputs, **more)


def columns(**types: Any) -> Schema:
    """Return a schema of columns."""
    return Schema(tuple(ColSpec(type=kind, name=name) for name, kind in types.items()))


def tensor(name: str, data: Any, datatype: str = "FP64", shape: Any = None, **more: Any) -> dict[str, Any]:
    """Return an input with data in JSON."""
    return {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data, **more}


def ask(served: Served, *inputs: Any, **more: Any) -> Asked:
    """Send inputs in JSON."""
    return served.ask(json.dumps({"inputs": list(inputs), **more}).encode())


def ask_binary(served: Served, document: Mapping[str, Any], *parts: bytes) -> Asked:
    """Send JSON with binary data behind it."""
    head = json.dumps(document).encode()
    return served.ask(b"".join([head, *parts]), {LENGTH: str(len(head)).encode()})


def binary(name: str, raw: bytes, datatype: str, shape: list[int]) -> dict[str, Any]:
    """Return an input with binary data."""
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(raw)}}


def outputs(asked: Asked) -> dict[str, Any]:
    """Return the outputs of an answer in JSON by name."""
    return {output["name"]: output for output in json.loads(asked.answer.body)["outputs"]}


def refusal(served: Served, *inputs: Any, **more: Any) -> Problem:
    """Return the only problem of a request."""
    with pytest.raises(InvalidInput) as caught:
        ask(served, *inputs, **more)
    (problem,) = caught.value.problems
    return problem


X = tensor("x", [1.0, 2.0], shape=[1, 2])
"""An input of one row and two columns."""
