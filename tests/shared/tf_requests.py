"""Requests of TensorFlow Serving's REST API, sent through the endpoint to real models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from protocol_models import Asked, Served, serve_model

from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema, TensorSpec
from palate.serving.protocols.tf_serving import PredictEndpoint

__all__ = ["answer", "ask", "columns", "places", "serve", "tensors"]


def serve(inputs: Schema | None, **more: Any) -> Served:
    """Put the protocol in front of a model."""
    return serve_model(PredictEndpoint, inputs, **more)


def columns(**types: Any) -> Schema:
    """Return a schema of columns."""
    return Schema(tuple(ColSpec(type=kind, name=name) for name, kind in types.items()))


def tensors(**specs: tuple[str, tuple[int, ...]]) -> Schema:
    """Return a schema of named tensors."""
    return Schema(tuple(TensorSpec(dtype=dtype, shape=shape, name=name) for name, (dtype, shape) in specs.items()))


def ask(served: Served, **document: Any) -> Asked:
    """Send a request."""
    return served.ask(json.dumps(document).encode())


def answer(served: Served, **document: Any) -> Any:
    """Return the answer to a request."""
    return json.loads(ask(served, **document).answer.body)


def places(served: Served, **document: Any) -> list[tuple[str | int, ...]]:
    """Return what the error of a request names."""
    with pytest.raises(InvalidInput) as caught:
        ask(served, **document)
    return [problem.where for problem in caught.value.problems]
