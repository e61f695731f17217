"""TensorFlow Serving's REST API: predict in rows and columns, status and metadata.

Followed: tensorflow/serving's ``g3doc/api_rest.md`` and ``util/json_tensor.cc``. Where it differs:

* NaN, Infinity and -Infinity are no JSON. They are refused, and a prediction that is none of the numbers is null.
* A number that the input's type cannot hold is refused, where TensorFlow Serving rounds whole numbers too.
* No instances are no rows, and no error, if the shape of an instance is known.
* A table is a model with an input for each column; its rows may be lists of cells as well.
* ``signature_name`` names a method of the model; "serving_default", or none, the default one.
* Models of other frameworks have no classify and regress.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from palate.errors import InvalidInput, Problem, UnsupportedOutput
from palate.serving._contract import ModelContract
from palate.serving._json import dump_json, parse_json
from palate.serving._wire import Answer, Call, Endpoint, Failure, Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols._answers import encode_json
from palate.serving.protocols._fields import TensorField, tensor_fields
from palate.serving.protocols._json_arrays import Array, writable
from palate.serving.protocols._model_output import name_outputs
from palate.serving.protocols._tf_rows import TfForm

__all__ = ["PredictEndpoint", "UnservedEndpoint", "model_metadata", "model_status", "predict_paths", "unknown_servable"]

_DEFAULT = "serving_default"
_KEYS = frozenset(["inputs", "instances", "signature_name"])


class PredictEndpoint:
    """``POST /v1/models/{name}[/versions/{version}]:predict``."""

    def __init__(self, contract: ModelContract) -> None:
        self._contract = contract
        self._form = TfForm(contract.signature)
        self._outputs = {
            method: tensor_fields(signature.outputs, word="output") for method, signature in contract.signatures.items()
        }

    def decode(self, request: Request) -> Call:
        """Return what is asked; the note of the call is the key of its answer.

        Raises:
            MalformedBody: the body is not JSON, or not a request of this API.
            InvalidInput: there is no such signature, or the data are not what the model's says.
        """
        document = parse_json(request.body or b" ")
        if not isinstance(document, dict):
            raise MalformedBody("it is not an object")
        if document.keys() - _KEYS:
            raise MalformedBody("it has keys that are not known", hint=f"known are {', '.join(sorted(_KEYS))}")
        method = self._find_method(document.get("signature_name", ""))
        if ("instances" in document) == ("inputs" in document):
            raise MalformedBody("it has to have either 'instances' or 'inputs'", hint="send rows, or tensors by name")
        if "instances" in document:
            return Call(method, self._form.read_instances(document["instances"]), None, "predictions")
        return Call(method, self._form.read_inputs(document["inputs"]), None, "outputs")

    def _find_method(self, name: object) -> str:
        if name in ("", _DEFAULT):
            return self._contract.default_method
        if isinstance(name, str) and name in self._contract.signatures:
            return name
        known = ", ".join([_DEFAULT, *self._contract.signatures])
        message = f"no such name was found in the signature def (there is: {known})"
        raise InvalidInput([Problem(("signature_name",), "wrong_value", message)])

    def encode(self, output: object, call: Call) -> Answer:
        """Return predictions, in rows or as outputs by name, whichever form the request had.

        Raises:
            UnsupportedOutput: they are no tensors, or of different lengths where rows are wanted.
        """
        fields = self._outputs[call.method]
        is_bytes = {field.name for field in fields if field.type == "bytes"}
        arrays = name_outputs(output, fields, container="tensors")
        values = {
            name: _plain(array, as_base64=name.endswith("_bytes") or name in is_bytes) for name, array in arrays.items()
        }
        key = str(call.note)
        if len(values) == 1:
            return encode_json({key: next(iter(values.values()))})
        return encode_json({key: values if key == "outputs" else _rows(values)})

    def refuse(self, failure: Failure) -> Answer:
        """Return an error in the API's form."""
        return _refuse(failure)


class UnservedEndpoint:
    """``:classify`` and ``:regress``, for which TensorFlow Serving needs signatures of their own."""

    def __init__(self, verb: str) -> None:
        self._verb = verb

    def decode(self, request: Request) -> Call:  # noqa: ARG002 - whatever is asked
        """Raise InvalidInput."""
        method = f"tensorflow/serving/{self._verb}"
        message = f"Expected a signature with method_name {method}. Was: tensorflow/serving/predict. Hint: use :predict"
        raise InvalidInput([Problem(("signature_name",), "wrong_value", message)])

    def encode(self, output: object, call: Call) -> Answer:  # noqa: ARG002 - there are none
        """Raise UnsupportedOutput: nothing is asked here, so nothing is answered."""
        raise UnsupportedOutput(self._verb, reason="nothing is predicted there")

    def refuse(self, failure: Failure) -> Answer:
        """Return an error in the API's form."""
        return _refuse(failure)


def _refuse(failure: Failure) -> Answer:
    return Answer(dump_json({"error": failure.message}))


# -- answers -----------------------------------------------------------------------------------------------------------


def _plain(array: Array, *, as_base64: bool) -> Any:
    """Return an array as JSON has it: numbers as they are, text and bytes in lists."""
    if array.dtype != object:
        return writable(array)
    cells = array.tolist()
    return _texts(cells, as_base64=as_base64) if any(isinstance(cell, bytes) for cell in array.flat) else cells


def _texts(cell: Any, *, as_base64: bool) -> Any:
    if isinstance(cell, list):
        return [_texts(item, as_base64=as_base64) for item in cell]
    if not isinstance(cell, bytes):
        return cell
    if as_base64:
        return {"b64": base64.b64encode(cell).decode()}
    try:
        return cell.decode()
    except UnicodeDecodeError as exc:
        raise UnsupportedOutput(
            "JSON", reason="they hold bytes that are no text, in an output not called …_bytes"
        ) from exc


def _rows(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    if len({len(value) for value in values.values()}) > 1:
        raise UnsupportedOutput("rows", reason="the outputs are of different lengths; ask with 'inputs' instead")
    columns = [value if isinstance(value, list) else value.tolist() for value in values.values()]
    return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]


# -- information -------------------------------------------------------------------------------------------------------


def predict_paths(contract: ModelContract) -> Mapping[str, Endpoint]:
    """Return what answers to POST on each path, for the model's name and for its version."""
    predict: Endpoint = PredictEndpoint(contract)
    verbs = {"predict": predict, "classify": UnservedEndpoint("classify"), "regress": UnservedEndpoint("regress")}
    bases = (f"/v1/models/{contract.name}", f"/v1/models/{contract.name}/versions/{contract.version}")
    return {f"{base}:{verb}": endpoint for base in bases for verb, endpoint in verbs.items()}


def unknown_servable(name: str, *, model_version: str | None = None) -> dict[str, Any]:
    """Return the answer, with status 404, about a model or version that is not served."""
    asked = f"Latest({name:.60})" if model_version is None else f"Specific({name:.60}, {model_version:.20})"
    return {"error": f"Servable not found for request: {asked}"}


def model_status(versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to ``GET /v1/models/{name}[/versions/{version}]``.

    Args:
        versions: the state of each version that is asked about: "LOADING", "AVAILABLE", "UNLOADING" or "END".
    """
    status = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [
            {"version": name, "state": state, "status": status} for name, state in versions.items()
        ]
    }


def model_metadata(contract: ModelContract) -> dict[str, Any]:
    """Return the answer to ``GET /v1/models/{name}[/versions/{version}]/metadata``.

    Each method is a signature; the default one is "serving_default" too.
    """
    definitions = {method: _signature_def(contract, method) for method in contract.signatures}
    definitions = {_DEFAULT: definitions[contract.default_method], **definitions}
    spec = {"name": contract.name, "signature_name": "", "version": contract.version}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": definitions}}}


def _signature_def(contract: ModelContract, method: str) -> dict[str, Any]:
    signature = contract.signatures[method]
    return {
        "inputs": _tensor_infos(tensor_fields(signature.inputs, word="input")),
        "outputs": _tensor_infos(tensor_fields(signature.outputs, word="output")),
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


_DTYPES = {
    "bool": "DT_BOOL",
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "complex64": "DT_COMPLEX64",
    "complex128": "DT_COMPLEX128",
    "text": "DT_STRING",
    "bytes": "DT_STRING",
    "moment": "DT_STRING",
    "object": "DT_VARIANT",
    "nested": "DT_VARIANT",
    **{f"{sign}int{bits}": f"DT_{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def _tensor_infos(fields: Sequence[TensorField]) -> dict[str, Any]:
    return {field.name: _tensor_info(field) for field in fields}


def _tensor_info(field: TensorField) -> dict[str, Any]:
    # The sizes are int64, which the JSON of protocol buffers has as text.
    shape = {"dim": [{"size": str(size), "name": ""} for size in field.shape], "unknown_rank": field.type == "nested"}
    return {"dtype": _DTYPES[field.type], "tensor_shape": shape, "name": f"{field.name}:0"}
