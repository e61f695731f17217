"""Requests of the Open Inference Protocol taken apart: tensors, parameters, and what is said of the answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from palate.serving._json import parse_json
from palate.serving._wire import Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols._json_arrays import Array, Where, object_array, refuse
from palate.serving.protocols._v2_tensors import read_binary, read_json, read_shape

__all__ = ["LENGTH_HEADER", "Wish", "read_inputs", "read_parameters", "read_request", "read_wish", "split_body"]

LENGTH_HEADER = b"inference-header-content-length"
_TOP_KEYS = frozenset(["id", "inputs", "model_name", "model_version", "outputs", "parameters"])
_INPUT_KEYS = frozenset(["data", "datatype", "name", "parameters", "shape"])
_OUTPUT_KEYS = frozenset(["name", "parameters"])


class Wish(NamedTuple):
    """What a request says about its answer: its id, the outputs that are asked for, and which of them are binary."""

    id: str | None
    outputs: Mapping[str, bool]
    binary: bool


def read_request(head: bytes) -> dict[str, Any]:
    """Return the JSON of a request. Raises MalformedBody."""
    return _read_object(parse_json(head), "the request", _TOP_KEYS)


def split_body(request: Request) -> tuple[bytes, memoryview]:
    """Return the JSON and what stands behind it; without the header, all is JSON, whatever its content type."""
    given = request.headers.get(LENGTH_HEADER)
    if given is None:
        return request.body or b" ", memoryview(b"")
    if not given.isdigit() or len(given) > 20 or int(given) > len(request.body):
        raise MalformedBody(f"{LENGTH_HEADER.decode()} is not the length of the JSON that it begins with")
    length = int(given)
    return request.body[:length], memoryview(request.body)[length:]


def _read_object(document: object, what: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise MalformedBody(f"{what} is not an object")
    if unknown := document.keys() - keys:
        raise MalformedBody(
            f"{what} has {len(unknown)} key(s) that the protocol does not know",
            hint=f"it knows {', '.join(sorted(keys))}",
        )
    return document


def read_parameters(document: Mapping[str, Any], what: str) -> Mapping[str, object]:
    """Return the parameters of a part of a request, none where there are none. Raises MalformedBody."""
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise MalformedBody(f"the parameters of {what} are not an object")
    return parameters


def _read_name(tensor: Mapping[str, Any], what: str, taken: Mapping[str, object]) -> str:
    name = tensor.get("name")
    if not isinstance(name, str):
        raise MalformedBody(f"{what} has no name")
    if name in taken:
        raise MalformedBody(f"two {what.partition(' ')[2]}s have the same name")
    return name


def _read_list(tensors: object, word: str) -> list[Any]:
    if not isinstance(tensors, list) or not tensors:
        raise MalformedBody(f"the {word} are not a list of tensors")
    return tensors


def read_inputs(inputs: object, tail: memoryview) -> dict[str, Array]:
    """Return the tensors by name; BYTES are arrays of objects, of str from JSON and of bytes from binary data.

    Args:
        inputs: what the request has under that key.
        tail: the binary data behind its JSON, which has to be used up.

    Raises:
        MalformedBody: the tensors are not described as the protocol says, or the binary data are not theirs.
        InvalidInput: one is not of the datatype or shape that it says.
    """
    arrays: dict[str, Array] = {}
    place = 0
    for given in _read_list(inputs, "inputs"):
        tensor = _read_object(given, "an input", _INPUT_KEYS)
        name = _read_name(tensor, "an input", arrays)
        where: Where = ("inputs", f"{name:.60}")
        parameters = read_parameters(tensor, "an input")
        shape = read_shape(tensor.get("shape"), where)
        size = _read_size(parameters, len(tail) - place)
        if size is None:
            array = read_json(tensor.get("data"), tensor.get("datatype"), shape, where)
            arrays[name] = _from_base64(array, where) if parameters.get("content_type") == "base64" else array
        elif "data" in tensor:
            raise MalformedBody("an input has data in JSON and binary_data_size")
        else:
            arrays[name] = read_binary(tail[place : place + size], tensor.get("datatype"), shape, where)
            place += size
    if place != len(tail):
        raise MalformedBody(f"{len(tail) - place:,} bytes behind the JSON belong to no input")
    return arrays


def _read_size(parameters: Mapping[str, object], left: int) -> int | None:
    if any(name.startswith("shared_memory") for name in parameters):
        raise MalformedBody("shared memory is not read here", hint="send the data, as binary data for instance")
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or not 0 <= size <= left:
        raise MalformedBody("binary_data_size is not the size of data that is there")
    return size


def _from_base64(array: Array, where: Where) -> Array:
    try:
        cells = [None if text is None else base64.b64decode(text, validate=True) for text in array.ravel().tolist()]
    except (binascii.Error, ValueError, TypeError) as exc:
        raise refuse(where, "wrong_value", "holds text that is not base64, which its content_type says") from exc
    return object_array(cells).reshape(array.shape)


def read_wish(document: Mapping[str, Any], parameters: Mapping[str, object]) -> Wish:
    """Return what a request, with these parameters, says of its answer. Raises MalformedBody."""
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise MalformedBody("the id is not text")
    binary = _read_flag(parameters, "binary_data_output", default=False)
    outputs: dict[str, bool] = {}
    given = document.get("outputs")
    for item in [] if given is None or given == [] else _read_list(given, "outputs"):
        tensor = _read_object(item, "an output", _OUTPUT_KEYS)
        name = _read_name(tensor, "an output", outputs)
        wishes = read_parameters(tensor, "an output")
        if wishes.get("classification"):
            raise MalformedBody("classification of an output is not made here", hint="ask for the output and sort it")
        if any(wish.startswith("shared_memory") for wish in wishes):
            raise MalformedBody("shared memory is not written here", hint="ask for binary_data")
        outputs[name] = _read_flag(wishes, "binary_data", default=binary)
    return Wish(request_id, outputs, binary)


def _read_flag(parameters: Mapping[str, object], name: str, *, default: bool) -> bool:
    flag = parameters.get(name, default)
    if not isinstance(flag, bool):
        raise MalformedBody(f"{name} is neither true nor false")
    return flag
