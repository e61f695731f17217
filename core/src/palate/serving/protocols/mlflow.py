"""MLflow's scoring protocol: ``POST /invocations``.

Bodies and the shape of success are those of ``mlflow.pyfunc.scoring_server`` (MLflow 3.17). Errors have the status of
their kind: bad input is the client's (400), a model's own fault the server's (500), and neither shows a traceback or
the caller's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.codecs import JSON_WRAPPERS, ModelInput, read_document
from palate.errors import InvalidInput, Problem
from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS, choose_format, format_of_body
from palate.serving._contract import ModelContract
from palate.serving._json import dump_json, parse_json, parse_unchecked
from palate.serving._problems import list_problems
from palate.serving._wire import Answer, Call, Failure, Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols._answers import encode_output, read_table
from palate.serving.protocols._numbers import MatrixReader, TensorReader
from palate.serving.protocols._typed_input import check_text

__all__ = ["InvocationsEndpoint", "predict_paths"]


def predict_paths(contract: ModelContract) -> Mapping[str, InvocationsEndpoint]:
    """Return the endpoint by its path."""
    return {"/invocations": InvocationsEndpoint(contract)}


class InvocationsEndpoint:
    """The default method of a model."""

    __slots__ = ("_matrix", "_method", "_schema", "_tensor")

    def __init__(self, contract: ModelContract) -> None:
        self._method = contract.default_method
        self._schema = contract.signature.inputs
        self._matrix = MatrixReader.of(self._schema)
        self._tensor = TensorReader.of(self._schema)

    def decode(self, request: Request) -> Call:
        """Read a body in any of BODY_FORMATS. Raises MalformedBody, InvalidInput, UnsupportedContent, NotAcceptable."""
        wanted = choose_format(request.headers, ANSWER_FORMATS)
        given = format_of_body(request.headers, BODY_FORMATS)
        if given != "json":
            return Call(self._method, read_table(request, given, self._schema), None, wanted)
        data = self._read_numbers(request.body)
        if data is not None:
            return Call(self._method, data, None, wanted)
        read = _read_slowly(request.body, self._schema)
        return Call(self._method, read.data, read.params, wanted)

    def encode(self, output: Any, call: Call) -> Answer:
        """Write predictions in the form that the request asked for. Raises UnsupportedOutput."""
        wanted: Any = call.note
        return encode_output(output, wanted)

    def refuse(self, failure: Failure) -> Answer:
        """Write an error with the names that MLflow's clients know."""
        return Answer(dump_json(_error_document(failure)))

    def _read_numbers(self, body: bytes) -> Any:
        """Return the data of a body with nothing but numbers in it, or None."""
        if self._matrix is None and self._tensor is None:
            return None
        document = parse_unchecked(body)
        if type(document) is not dict or len(document) != 1:
            return None
        if self._tensor is not None:
            nested = document.get("inputs") or document.get("instances")
            # With one key in the text, none stands there twice; with two quotes, it is all the text there is.
            return self._tensor.read(nested, body) if body.count(b":") == 1 and body.count(b'"') == 2 else None
        matrix = self._matrix
        split = document.get("dataframe_split")
        if matrix is None or type(split) is not dict or len(split) != 2 or split.get("columns") != matrix.names:
            return None
        if body.count(b":") != 3 + matrix.colons or body.count(b'"') != 6 + matrix.quotes:
            return None
        return matrix.read(split.get("data"), body)


def _read_slowly(body: bytes, schema: Any) -> ModelInput:
    document = parse_json(body)
    if not isinstance(document, dict):
        raise MalformedBody(
            "it must be an object", hint=f"give one of {', '.join(JSON_WRAPPERS)}, and params if you like"
        )
    given = [key for key in JSON_WRAPPERS if key in document]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise MalformedBody(f"it has {found}", hint=f"give exactly one of {', '.join(JSON_WRAPPERS)}")
    params = document.get("params")
    if not (params is None or isinstance(params, dict)):
        raise InvalidInput([Problem(("params",), "wrong_type", "must be an object")])
    payload = document[given[0]]
    if schema is None:
        payload = _by_position(payload) if given[0] == "instances" else payload
    elif schema.is_named:
        payload = _by_name(payload, given[0], schema)
    if schema is not None and schema.is_tensor:
        check_text(payload, schema)
    return read_document({**document, given[0]: payload}, schema)


def _by_position(instances: Any) -> Any:
    """Return rows that are objects as an object of arrays, as MLflow has them where nothing says what they are."""
    if not isinstance(instances, list) or not instances or not all(isinstance(row, dict) for row in instances):
        return instances
    import numpy as np

    columns = _stack(instances)
    # Of text, and of lists of different lengths, no array is made.
    return {
        name: np.array(cells) if {bool, int, float}.issuperset(map(type, cells)) else cells
        for name, cells in columns.items()
    }


def _stack(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = list(records[0])
    if any(record.keys() != records[0].keys() for record in records):
        raise InvalidInput([Problem(("inputs",), "missing", "the rows have not all the same keys")])
    return {name: [record[name] for record in records] for name in names}


def _by_name(payload: Any, wrapper: str, schema: Any) -> Any:
    """Return a payload under the schema's names, where MLflow finds them: in rows of tensors, and of a lone field."""
    if wrapper == "dataframe_split" or not isinstance(payload, list):
        return payload
    records = all(isinstance(row, dict) for row in payload)
    if not records and len(schema) == 1:
        return {schema.fields[0].name: payload}
    if records and schema.is_tensor and payload:
        return _stack(payload)
    return payload


def _error_document(failure: Failure) -> dict[str, Any]:
    """Return an error as MLflow words it."""
    codes = {400: "BAD_REQUEST", 404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE"}
    is_misfit = failure.kind == "InvalidInput"
    default = "INTERNAL_ERROR" if failure.status >= 500 else "BAD_REQUEST"
    document: dict[str, Any] = {
        "error_code": "INVALID_PARAMETER_VALUE" if is_misfit else codes.get(failure.status, default),
        "message": failure.message,
        "error_class": "SCHEMA_ENFORCEMENT_FAILED" if is_misfit else failure.kind,
        "request_id": failure.request_id,
    }
    if failure.problems:
        document["problems"] = list_problems(failure.problems)
    return document
