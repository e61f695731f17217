"""MLflow's scoring server, and what SageMaker asks of a container, which is the same but for one route."""

from __future__ import annotations

from typing import Any

from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components
from palate.serving._openapi.examples import mlflow_example
from palate.serving._openapi.fields import columns_schema, inputs_schema, outputs_schema, params_schema, record_schema
from palate.serving._openapi.responses import JSON, body_of, refusals, success
from palate.signature import Signature

__all__ = ["execution_parameters", "invocations", "mlflow_information", "ping"]

_CSV: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string", "description": "A line of column names, then a line for each row."}}
}
_PARQUET: dict[str, Any] = {"application/vnd.apache.parquet": {"schema": {"description": "A parquet file."}}}
_SPLIT: JSONSchema = {
    "type": "object",
    "description": "A table as pandas' DataFrame.to_dict(orient='split') gives it.",
    "properties": {
        "columns": {"type": "array", "items": {"type": ["string", "integer"]}},
        "index": {"type": "array"},
        "data": {"type": "array", "items": {"type": "array"}},
    },
    "required": ["data"],
    "additionalProperties": False,
}
_ERROR: JSONSchema = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}
_PARAMETERS: JSONSchema = {
    "type": "object",
    "properties": {
        "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
        "BatchStrategy": {"enum": ["MultiRecord", "SingleRecord"]},
        "MaxPayloadInMB": {"type": "integer", "minimum": 0},
    },
    "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
}


def ping(tag: str) -> dict[str, Any]:
    """Return ``GET /ping``, and MLflow's other name for it."""
    answers = {**success("The model is ready.", body_of({})), **refusals(_ERROR, statuses=["503"])}
    return {"get": {"tags": [tag], "summary": "Whether the model can predict", "responses": answers}}


def mlflow_information(tag: str) -> dict[str, dict[str, Any]]:
    """Return the routes of MLflow's scoring server that do not predict."""
    version = success("The version of MLflow whose server this one stands in for.", body_of({}))
    told = {"tags": [tag], "summary": "MLflow's version", "responses": version}
    return {"/ping": ping(tag), "/health": ping(tag), "/version": {"get": told}}


def execution_parameters(tag: str) -> dict[str, Any]:
    """Return SageMaker's ``GET /execution-parameters``."""
    answer = success("How a batch transform should call.", body_of(_PARAMETERS))
    return {"get": {"tags": [tag], "summary": "For batch transforms", "responses": answer}}


def invocations(contract: ModelContract, components: Components, tag: str) -> dict[str, Any]:
    """Return ``POST /invocations`` for the model that it calls."""
    name = "invocations"
    signature = contract.signature
    request = components.add(f"{name}_request", _request(signature, components))
    answer = {"type": "object", "properties": {"predictions": {}}, "required": ["predictions"]}
    if signature.outputs is None or signature.outputs.is_tensor:
        answer["properties"] = {"predictions": outputs_schema(signature.outputs)}
    content = {**body_of(request, JSON, example=mlflow_example(contract)), **_tables(signature)}
    error = components.add("mlflow_error", _ERROR)
    return {
        "post": {
            "tags": [tag],
            "summary": f"Call {contract.default_method} of {contract.name}, as MLflow's clients do",
            "requestBody": {"required": True, "content": content},
            "responses": {
                **success("The predictions.", body_of(components.add(f"{name}_answer", answer))),
                **refusals(error),
            },
        }
    }


def _tables(signature: Signature) -> dict[str, Any]:
    takes_columns = signature.inputs is None or not signature.inputs.is_tensor
    return {**_CSV, **_PARQUET} if takes_columns else {}


def _request(signature: Signature, components: Components) -> JSONSchema:
    """Return a body: exactly one of MLflow's four forms of the data, and perhaps params."""
    return {"oneOf": [_form(key, schema, signature) for key, schema in _forms(signature, components).items()]}


def _form(key: str, schema: JSONSchema, signature: Signature) -> JSONSchema:
    return {
        "type": "object",
        "title": key,
        "properties": {key: schema, "params": params_schema(signature.params)},
        "required": [key],
        "additionalProperties": False,
    }


def _forms(signature: Signature, components: Components) -> dict[str, JSONSchema]:
    inputs = signature.inputs
    data = inputs_schema(signature, components, "invocations")
    if inputs is not None and inputs.is_tensor and not inputs.is_named:
        return {"inputs": data, "instances": data}
    split = {"dataframe_split": _SPLIT, "dataframe_records": {"type": "array", "items": {"type": "object"}}}
    if inputs is None or inputs.is_tensor or not inputs.is_named:
        return {**split, "inputs": data, "instances": {} if inputs is None or inputs.is_tensor else data}
    record = components.add("invocations_row", record_schema(inputs.columns, closed=False))
    rows = {"type": "array", "items": record}
    columns = {**columns_schema(inputs.columns), "additionalProperties": True}
    return {**split, "dataframe_records": rows, "instances": rows, "inputs": {"anyOf": [rows, columns]}}
