"""The example of Palate's own route, in the words of protocols that know tensors only."""

from __future__ import annotations

import json
from typing import Any

from palate.schema import Schema, TensorSpec
from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components
from palate.serving._openapi.examples import typed_example
from palate.serving._openapi.fields import inputs_schema, params_schema
from palate.serving._openapi.outline import sample_of
from palate.serving.protocols.inference_v2 import model_metadata

__all__ = ["tf_example", "v2_example"]


def v2_example(contract: ModelContract) -> dict[str, Any] | None:
    """Return a body of the Open Inference Protocol that the model takes, or None where none can be shown."""
    inputs = contract.signature.inputs
    given = _inputs_of(contract)
    if inputs is None or given is None or contract.signature.from_type_hints:
        return None
    columns = _columns_of(given, inputs)
    tensors: list[dict[str, Any]] = []
    for told, field in zip(model_metadata(contract)["inputs"], inputs, strict=True):
        data = columns.get(told["name"] if field.name is not None else str(len(tensors)))
        if data is None:  # an optional column that the example leaves out
            continue
        tensor = {"name": told["name"], "datatype": told["datatype"], "shape": _shape_of(data, field)}
        tensor["data"] = data if isinstance(data, list) else [data]
        is_bytes = field.type == "binary" if not isinstance(field, TensorSpec) else field.dtype == "bytes"
        tensors.append({**tensor, **({"parameters": {"content_type": "base64"}} if is_bytes else {})})
    return {"inputs": tensors}


def tf_example(contract: ModelContract) -> dict[str, Any] | None:
    """Return a body of TensorFlow Serving's that the model takes, or None where none can be shown."""
    inputs = contract.signature.inputs
    given = _inputs_of(contract)
    if inputs is None or given is None or contract.signature.from_type_hints:
        return None
    if any(column.type == "binary" for column in inputs.columns) or any(t.dtype == "bytes" for t in inputs.tensors):
        return None  # they are {"b64": …} there
    return {"inputs" if isinstance(given, dict) or inputs.is_tensor else "instances": given}


def _inputs_of(contract: ModelContract) -> Any:
    """Return the inputs of the model's example, or of one that is made of its schema."""
    components = Components()
    signature = contract.signature
    inputs = inputs_schema(signature, components, "example")
    body: JSONSchema = {"type": "object", "properties": {"inputs": inputs, "params": params_schema(signature.params)}}
    example = typed_example(contract, body, components)
    if example is not None:
        return example["inputs"]
    return sample_of(inputs, {"components": {"schemas": components.schemas}})


def _columns_of(given: Any, inputs: Schema) -> dict[str, Any]:
    """Return the data of each field by its name, or by its place where it has none."""
    if isinstance(given, dict):
        return given
    if inputs.is_tensor:
        return {"0": given}
    if inputs.is_named:
        names = dict.fromkeys(name for record in given for name in record)
        return {name: [_cell(record.get(name)) for record in given] for name in names}
    rows = given if len(inputs) > 1 else [[cell] for cell in given]
    return {str(place): [_cell(row[place]) for row in rows] for place in range(len(inputs))}


def _cell(value: Any) -> Any:
    """Return a cell as it is, or the text of what is nested."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _shape_of(data: Any, field: object) -> list[int]:
    shape: list[int] = []
    while isinstance(data, list) and (isinstance(field, TensorSpec) or not shape):
        shape.append(len(data))
        data = data[0] if data else None
    return shape
