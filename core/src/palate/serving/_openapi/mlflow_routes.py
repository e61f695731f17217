"""MLflow's scoring server, and what SageMaker asks of a container, which is the same but for one route."""

from __future__ import annotations

from typing import Any

from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS
from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components
from palate.serving._openapi.examples import mlflow_example
from palate.serving._openapi.fields import columns_schema, inputs_schema, outputs_schema, params_schema, record_schema
from palate.serving._openapi.responses import (
    JSON,
    PROBLEM,
    body_of,
    bulk_bodies,
    refusals,
    success,
)
from palate.signature import Signature

__all__ = ["execution_parameters", "invocations", "mlflow_information", "ping"]

_SPLIT: JSONSchema = {
    "type": "object",
    "description": "A table as pandas' DataFrame.to_dict(orient='split') gives it.",
    "properties": {
        "columns": {"type": "array", "items": {"type": ["string", "integer"]}},
        "index": {"description": "Read past."},
        "data": {"type": "array", "items": {"type": "array", "items": {}}},
    },
    "required": ["data"],
}
_CELLS: JSONSchema = {"type": "array", "items": {}, "description": "The cells of the only column."}
_ERROR: JSONSchema = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}
_PARAMETERS: JSONSchema = {
    "type": "object",
    "properties": {
        "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
        "BatchStrategy": {"type": "string", "enum": ["MULTI_RECORD", "SINGLE_RECORD"]},
        "MaxPayloadInMB": {"type": "integer", "minimum": 0},
    },
    "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
}


def ping(tag: str, problem: JSONSchema) -> dict[str, Any]:
    """Return ``GET /ping``, and MLflow's other name for it."""
    # Its body is a line's end, which MLflow calls JSON and is none: nothing is said of it.
    answers = {**success("The model is ready."), **refusals(problem, PROBLEM, statuses=["503"])}
    return {"get": {"tags": [tag], "summary": "Whether the model can predict", "responses": answers}}


def mlflow_information(tag: str, problem: JSONSchema) -> dict[str, dict[str, Any]]:
    """Return the routes of MLflow's scoring server that do not predict."""
    answers = success("The version, as bare text.")
    told = {"tags": [tag], "summary": "The version of the server", "responses": answers}
    return {"/ping": ping(tag, problem), "/health": ping(tag, problem), "/version": {"get": told}}


def execution_parameters(tag: str) -> dict[str, Any]:
    """Return SageMaker's ``GET /execution-parameters``."""
    answer = success("How a batch transform should call.", body_of(_PARAMETERS))
    return {"get": {"tags": [tag], "summary": "For batch transforms", "responses": answer}}


def invocations(contract: ModelContract, components: Components, tag: str) -> dict[str, Any]:
    """Return ``POST /invocations`` for the model that it calls."""
    signature = contract.signature
    predictions = {"predictions": outputs_schema(signature.outputs)}
    answer = {"type": "object", "properties": predictions, "required": ["predictions"]}
    request = components.add("invocations_request", _request(signature, components))
    example = mlflow_example(contract)
    answers = {**body_of(components.add("invocations_answer", answer)), **bulk_bodies(ANSWER_FORMATS)}
    return {
        "post": {
            "tags": [tag],
            "summary": f"Call {contract.default_method} of {contract.name}, as MLflow's clients do",
            "requestBody": {
                "required": True,
                "content": {**body_of(request, JSON, example=example), **bulk_bodies(BODY_FORMATS)},
            },
            "responses": {**success("The predictions.", answers), **refusals(components.add("mlflow_error", _ERROR))},
        }
    }


def _request(signature: Signature, components: Components) -> JSONSchema:
    """Return a body: exactly one of MLflow's forms of the data, and perhaps params; other keys are ignored."""
    forms = _forms(signature, components)
    params = {**params_schema(signature.params), "additionalProperties": True}
    return {
        "type": "object",
        "properties": {**forms, "params": params},
        "oneOf": [{"required": [key]} for key in forms],
    }


def _forms(signature: Signature, components: Components) -> dict[str, JSONSchema]:
    """Return the schema of the data under each key; a client with column names may send more columns."""
    inputs = signature.inputs
    data = inputs_schema(signature, components, "invocations")
    tables = {"dataframe_split": _SPLIT, "dataframe_records": {"type": "array", "items": {"type": "object"}}}
    if inputs is None:
        return {**tables, "instances": {}, "inputs": {}}
    if inputs.is_tensor or not inputs.is_named:
        return {**tables, "instances": {"type": "array", "items": {}} if inputs.is_named else data, "inputs": data}
    row = components.add("invocations_row", record_schema(inputs.columns, closed=False))
    rows = {"type": "array", "items": row, "description": "One record for each row."}
    columns = {**columns_schema(inputs.columns), "additionalProperties": True}
    choices = [rows, columns] if len(inputs) > 1 else [rows, columns, _CELLS]
    whole = {"anyOf": choices}
    return {**tables, "dataframe_records": rows, "instances": whole, "inputs": whole}
