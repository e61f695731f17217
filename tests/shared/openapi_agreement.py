"""What a schema of the document says of a body, and what enforcement says of the same."""

from __future__ import annotations

import json
import warnings
from typing import Any

from jsonschema import Draft202012Validator
from openapi_contracts import contract_of

from palate._enforcement.params import enforce_params
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.matrix import Matrix
from palate.serving._openapi.document import openapi_document
from palate.serving._wire import Endpoint, Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols.typed import TypedEndpoint
from palate.signature import Signature

__all__ = ["call_with", "is_accepted", "is_described", "request_validator"]


def request_validator(document: dict[str, Any], path: str) -> Draft202012Validator:
    """Return what judges a JSON body of a route by the document."""
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document["components"]})


_ROUTES: dict[str, tuple[Draft202012Validator, TypedEndpoint]] = {}


def _typed_route(signature: Signature) -> tuple[Draft202012Validator, TypedEndpoint]:
    """Return what judges a body of the route, and the route itself, made once for each signature."""
    key = repr(signature)  # defaults of params have no hash
    if key not in _ROUTES:
        contract = contract_of(signature)
        validator = request_validator(openapi_document([contract]), "/models/model/predict")
        _ROUTES[key] = validator, TypedEndpoint(contract, "predict")
    return _ROUTES[key]


def is_described(signature: Signature, body: object) -> bool:
    """Tell whether Palate's own route, by its document, takes a body."""
    return bool(_typed_route(signature)[0].is_valid(body))


def is_accepted(signature: Signature, body: dict[str, Any]) -> bool:
    """Tell whether that route calls the model with what stands in a body."""
    try:
        call_with(_typed_route(signature)[1], signature, body)
    except (InvalidInput, MalformedBody):
        return False
    return True


def call_with(endpoint: Endpoint, signature: Signature, body: dict[str, Any]) -> None:
    """Do with a body what is done with it before the model is called. Raises InvalidInput, MalformedBody."""
    call = endpoint.decode(Request(json.dumps(body).encode(), {b"content-type": b"application/json"}))
    data = call.data.to_frame() if isinstance(call.data, Matrix) else call.data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enforce_params(call.params, signature.params)
        compile_inputs(signature.inputs, from_type_hints=signature.from_type_hints).enforce(data)
