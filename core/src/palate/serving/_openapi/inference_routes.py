"""The Open Inference Protocol (v2) and TensorFlow Serving's REST API: shapes fixed by their specifications.

v2: https://github.com/kserve/open-inference-protocol (rest.md) with Triton's binary data extension; TensorFlow
Serving: https://www.tensorflow.org/tfx/serving/api_rest. What the tensors of a model are stands in its metadata.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components
from palate.serving._openapi.responses import body_of, refusals, success
from palate.serving._openapi.tensor_examples import tf_example, v2_example

__all__ = ["tf_paths", "v2_paths", "v2_server"]

_TEXT: JSONSchema = {"type": "string"}
_ANY_OBJECT: JSONSchema = {"type": "object"}
_PARAMETERS: JSONSchema = {"type": ["object", "null"]}
_ERROR: JSONSchema = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
_SHAPE: JSONSchema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
_DATATYPE: JSONSchema = {
    "type": "string",
    "enum": [
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FP16", "FP32", "FP64", "BYTES"),
    ],
}
_TENSOR: JSONSchema = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "shape": _SHAPE,
        "datatype": _DATATYPE,
        "parameters": _PARAMETERS,
        "data": {
            "type": "array",
            "items": {},
            "description": "Flat in row-major order, or nested; absent where it is binary.",
        },
    },
    "required": ["name", "shape", "datatype"],
    "additionalProperties": False,
}
_INFER: JSONSchema = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "null"]},
        "model_name": {},
        "model_version": {},
        "parameters": {**_PARAMETERS, "description": "The signature's params, and binary_data_output."},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
        "outputs": {
            "type": ["array", "null"],
            "description": "The outputs that are wanted; all where none is named.",
            "items": {
                "type": "object",
                "properties": {"name": _TEXT, "parameters": _PARAMETERS},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["inputs"],
    "additionalProperties": False,
}
_INFERRED: JSONSchema = {
    "type": "object",
    "properties": {
        "model_name": _TEXT,
        "model_version": _TEXT,
        "id": _TEXT,
        "parameters": _ANY_OBJECT,
        "outputs": {"type": "array", "items": _TENSOR},
    },
    "required": ["model_name", "outputs"],
}
_BINARY: dict[str, Any] = {
    "application/octet-stream": {"schema": {"description": "The same JSON, then the tensors that shall be binary."}}
}
_DESCRIBED: JSONSchema = {
    "type": "object",
    "properties": {"name": _TEXT, "datatype": _TEXT, "shape": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name", "datatype", "shape"],
}
_MODEL: JSONSchema = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "versions": {"type": "array", "items": _TEXT},
        "platform": _TEXT,
        "inputs": {"type": "array", "items": _DESCRIBED},
        "outputs": {"type": "array", "items": _DESCRIBED},
        "properties": {"type": "object", "properties": {"digest": _TEXT}, "additionalProperties": _TEXT},
    },
    "required": ["name", "platform", "inputs", "outputs"],
}
_SERVER: JSONSchema = {
    "type": "object",
    "properties": {"name": _TEXT, "version": _TEXT, "extensions": {"type": "array", "items": _TEXT}},
    "required": ["name", "version", "extensions"],
}
_PREDICT: JSONSchema = {
    "type": "object",
    "properties": {
        "signature_name": _TEXT,
        "instances": {"type": "array", "items": {}, "description": "The row form: values, or an object for each row."},
        "inputs": {"description": "The column form: all rows of the only input, or an object of inputs."},
    },
    "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    "additionalProperties": False,
}
_PREDICTED: JSONSchema = {
    "type": "object",
    "properties": {"predictions": {"description": "For the row form."}, "outputs": {"description": "For columns."}},
    "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
}
_STATUS: JSONSchema = {
    "type": "object",
    "properties": {
        "model_version_status": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"version": _TEXT, "state": _TEXT, "status": _ANY_OBJECT},
                "required": ["version", "state", "status"],
            },
        }
    },
    "required": ["model_version_status"],
}
_METADATA: JSONSchema = {
    "type": "object",
    "properties": {"model_spec": _ANY_OBJECT, "metadata": _ANY_OBJECT},
    "required": ["model_spec", "metadata"],
}


def _flag(name: str) -> JSONSchema:
    return {"type": "object", "properties": {name: {"type": "boolean"}}, "required": [name]}


def _get(tag: str, summary: str, schema: JSONSchema, *, refused: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a route that tells something."""
    answers = {**success("As the protocol says.", body_of(schema)), **refusals(_ERROR, statuses=refused)}
    return {"get": {"tags": [tag], "summary": summary, "responses": answers}}


def _post(tag: str, summary: str, request: dict[str, Any], answer: dict[str, Any], error: JSONSchema) -> dict[str, Any]:
    """Return a route that predicts; *request* and *answer* are the content of the bodies."""
    return {
        "post": {
            "tags": [tag],
            "summary": summary,
            "requestBody": {"required": True, "content": request},
            "responses": {**success("The predictions.", answer), **refusals(error)},
        }
    }


def v2_server(tag: str) -> dict[str, dict[str, Any]]:
    """Return the routes of the Open Inference Protocol that are about the server."""
    return {
        "/v2": _get(tag, "The server's name and extensions", _SERVER),
        "/v2/health/live": _get(tag, "Whether the server lives", _flag("live")),
        "/v2/health/ready": _get(tag, "Whether all models are ready", _flag("ready"), refused=("503",)),
    }


def v2_paths(contract: ModelContract, components: Components, tag: str, *, latest: bool) -> dict[str, dict[str, Any]]:
    """Return the routes of the Open Inference Protocol for a model."""
    request, answer, error = _shared(components, ("v2_request", _INFER), ("v2_answer", _INFERRED), ("v2_error", _ERROR))
    name, sent = contract.name, body_of(request, example=v2_example(contract))
    paths: dict[str, dict[str, Any]] = {}
    for place in _places("/v2", contract, latest=latest):
        paths[place] = _get(tag, f"What {name} takes and returns", _MODEL)
        paths[f"{place}/ready"] = _get(tag, f"Whether {name} is ready", _flag("ready"), refused=("503",))
        paths[f"{place}/infer"] = _post(tag, f"Call {name}, tensors in and out", sent, body_of(answer) | _BINARY, error)
    return paths


def tf_paths(contract: ModelContract, components: Components, tag: str, *, latest: bool) -> dict[str, dict[str, Any]]:
    """Return TensorFlow Serving's routes for a model."""
    shapes = (("tf_request", _PREDICT), ("tf_answer", _PREDICTED), ("tf_error", _ERROR))
    request, answer, error = _shared(components, *shapes)
    name, sent = contract.name, body_of(request, example=tf_example(contract))
    paths: dict[str, dict[str, Any]] = {}
    for place in _places("/v1", contract, latest=latest):
        paths[place] = _get(tag, f"The state of {name}", _STATUS)
        paths[f"{place}/metadata"] = _get(tag, f"What {name} takes and returns", _METADATA)
        paths[f"{place}:predict"] = _post(tag, f"Call {name}, rows or columns", sent, body_of(answer), error)
    return paths


def _shared(components: Components, *schemas: tuple[str, JSONSchema]) -> list[JSONSchema]:
    """Return references to schemas that are the same for every model."""
    return [components.once(name, schema) for name, schema in schemas]


def _places(root: str, contract: ModelContract, *, latest: bool) -> list[str]:
    place = f"{root}/models/{quote(contract.name, safe='')}"
    versioned = f"{place}/versions/{quote(contract.version, safe='')}"
    return [place, versioned] if latest else [versioned]
