"""The Open Inference Protocol, version 2, over REST: what KServe, Triton, MLServer and their clients speak.

Followed: kserve's open-inference-protocol (``inference_rest.md``) and Triton's binary tensor data extension.

How a signature reads as tensors. A column is an input of shape [n] (or [n, 1]); all columns may come as one input of
another name and the shape [n, columns], in the signature's order. Text, times (ISO 8601) and nested values (JSON) are
BYTES. An input whose parameters say ``"content_type": "base64"`` (MLServer's word) has base64 for its BYTES in JSON,
for bytes that are no text. The only tensor of a signature without names may have any.

Parameters of a request are the model's params. ``binary_data_output`` and those that Triton keeps to itself are not,
unless the model has a param of that name.

null stands for NaN in JSON, in and out. A missing text is null as well, and has no binary form.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from palate.errors import InvalidInput, Problem
from palate.serving._contract import ModelContract
from palate.serving._json import dump_json
from palate.serving._wire import Answer, Call, Endpoint, Failure, Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols._answers import encode_json
from palate.serving.protocols._fields import TensorField, tensor_fields
from palate.serving.protocols._json_arrays import Array
from palate.serving.protocols._model_input import compile_form
from palate.serving.protocols._model_output import name_outputs
from palate.serving.protocols._v2_requests import (
    LENGTH_HEADER,
    Wish,
    read_inputs,
    read_parameters,
    read_request,
    read_wish,
    split_body,
)
from palate.serving.protocols._v2_tensors import datatype_of, read_binary, write_binary, write_json

__all__ = [
    "InferEndpoint",
    "model_metadata",
    "model_ready",
    "predict_paths",
    "server_live",
    "server_metadata",
    "server_ready",
]

# What Triton's clients may send that is no custom parameter (``extension_parameters.md``), and MLServer's own.
_RESERVED = frozenset(
    [
        "binary_data_output",
        "content_type",
        "headers",
        "priority",
        "sequence_end",
        "sequence_id",
        "sequence_start",
        "timeout",
    ]
)
_EXTENSIONS = ("binary_tensor_data", "parameters")


class InferEndpoint:
    """``POST /v2/models/{name}[/versions/{version}]/infer``; it calls the model's default method."""

    def __init__(self, contract: ModelContract) -> None:
        self._contract = contract
        self._form = compile_form(contract.signature, nested_text=True)
        self._outputs = tensor_fields(contract.signature.outputs, word="output")
        self._bytes = frozenset(field.name for field in self._outputs if field.type == "bytes")
        self._params = frozenset(param.name for param in contract.signature.params)

    def decode(self, request: Request) -> Call:
        """Return what is asked.

        Raises:
            MalformedBody: the body is not what the protocol says.
            InvalidInput: the tensors are not what they say, or not the model's.
        """
        head, tail = split_body(request)
        if not head:
            return self._decode_raw(tail)
        document = read_request(head)
        arrays = read_inputs(document.get("inputs"), tail)
        parameters = read_parameters(document, "the request")
        note = read_wish(document, parameters)
        params = self._read_params(parameters)
        return Call(self._contract.default_method, self._form.assemble(arrays), params, note)

    def _decode_raw(self, tail: memoryview) -> Call:
        """Read one tensor without JSON, whose shape follows from its size; the answer is binary."""
        if len(self._form.fields) != 1 or (field := self._form.fields[0]).shape.count(-1) > 1:
            reason = f"{LENGTH_HEADER.decode()} is 0, which is for models of one input with one size that may be any"
            raise MalformedBody(reason, hint="say in JSON before the data what it is")
        datatype, where = datatype_of(field), ("inputs", field.name)
        if datatype == "BYTES":
            raise MalformedBody("BYTES need JSON before them", hint="say what they are")
        given = len(tail) // np.dtype(field.type).itemsize
        known = abs(int(np.prod(field.shape, dtype=np.int64)))
        shape = tuple(given // max(known, 1) if size == -1 else size for size in field.shape)
        array = read_binary(tail, datatype, shape, where)
        wish = Wish(None, {}, True)
        return Call(self._contract.default_method, self._form.assemble({field.name: array}), None, wish)

    def _read_params(self, parameters: Mapping[str, object]) -> Mapping[str, object] | None:
        given = {name: value for name, value in parameters.items() if name in self._params or not _is_reserved(name)}
        if unknown := [name for name in given if name not in self._params]:
            takes = ", ".join(sorted(self._params)) or "none"
            message = f"the model has no such param (it has: {takes})"
            raise InvalidInput([Problem(("params", f"{name:.60}"), "extra", message) for name in unknown])
        return given or None

    def encode(self, output: object, call: Call) -> Answer:
        """Return the outputs as tensors.

        Raises:
            UnsupportedOutput: they are none.
            InvalidInput: the request asks for an output that there is not.
        """
        wish = call.note
        assert isinstance(wish, Wish)
        arrays = name_outputs(output, self._outputs, container="tensors")
        if unknown := [name for name in wish.outputs if name not in arrays]:
            message = f"the model has no such output (it has: {', '.join(list(arrays)[:20])})"
            raise InvalidInput([Problem(("outputs", f"{name:.60}"), "extra", message) for name in unknown])
        names = wish.outputs or dict.fromkeys(arrays, wish.binary)
        return self._answer({name: (arrays[name], binary) for name, binary in names.items()}, wish.id)

    def _answer(self, outputs: Mapping[str, tuple[Array, bool]], request_id: str | None) -> Answer:
        tensors, parts = [], []
        for name, (array, binary) in outputs.items():
            tensor, raw = write_binary(array) if binary else (write_json(array, as_base64=name in self._bytes), b"")
            tensors.append({"name": name, **tensor})
            parts.append(raw)
        document: dict[str, Any] = {
            "model_name": self._contract.name,
            "model_version": self._contract.version,
            "outputs": tensors,
        }
        if request_id is not None:
            document["id"] = request_id
        if not any(binary for _, binary in outputs.values()):
            return encode_json(document)
        head = dump_json(document)
        length = (LENGTH_HEADER, str(len(head)).encode())
        return Answer(b"".join([head, *parts]), b"application/octet-stream", (length,))

    def refuse(self, failure: Failure) -> Answer:
        """Return an error in the protocol's form."""
        return Answer(dump_json({"error": failure.message}))


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith("triton_")


# -- information -------------------------------------------------------------------------------------------------------


def predict_paths(contract: ModelContract) -> Mapping[str, Endpoint]:
    """Return what answers to POST on each path, for the model's name and for its version."""
    endpoint = InferEndpoint(contract)
    base = f"/v2/models/{contract.name}"
    return {f"{base}/infer": endpoint, f"{base}/versions/{contract.version}/infer": endpoint}


def server_metadata() -> dict[str, Any]:
    """Return the answer to ``GET /v2``."""
    return {"name": "palate", "version": version("palate"), "extensions": list(_EXTENSIONS)}


def server_live() -> dict[str, Any]:
    """Return the answer to ``GET /v2/health/live``."""
    return {"live": True}


def server_ready(*, ready: bool) -> dict[str, Any]:
    """Return the answer to ``GET /v2/health/ready``; of a server that is not, the status says so as well."""
    return {"ready": ready}


def model_ready(contract: ModelContract, *, ready: bool) -> dict[str, Any]:
    """Return the answer to ``GET /v2/models/{name}[/versions/{version}]/ready``."""
    return {"name": contract.name, "ready": ready}


def model_metadata(contract: ModelContract) -> dict[str, Any]:
    """Return the answer to ``GET /v2/models/{name}[/versions/{version}]``.

    Without a schema there are no tensors to tell of: such a model takes any. The protocol's place for what it does not
    know itself is ``properties``: there is the model's identity.
    """
    signature, digest = contract.signature, contract.facts.get("digest")
    return {
        "name": contract.name,
        "versions": [contract.version],
        "platform": f"palate_{contract.flavor}",
        "inputs": [_describe(field) for field in tensor_fields(signature.inputs, word="input")],
        "outputs": [_describe(field) for field in tensor_fields(signature.outputs, word="output")],
        **({"properties": {"digest": f"sha256:{digest}"}} if digest else {}),
    }


def _describe(field: TensorField) -> dict[str, Any]:
    return {"name": field.name, "datatype": datatype_of(field), "shape": list(field.shape)}
