"""The example of Palate's own route, in the words of protocols that know tensors only."""

from __future__ import annotations

import json
from typing import Any

from palate.schema import Schema, TensorSpec
from palate.serving._contract import ModelContract
from palate.serving._openapi.components import mentions_reference
from palate.serving._openapi.examples import example_inputs
from palate.serving.protocols.inference_v2 import model_metadata

__all__ = ["tf_example", "v2_example"]


def v2_example(contract: ModelContract) -> dict[str, Any] | None:
    """Return a body of the Open Inference Protocol that the model takes, or None where none can be shown."""
    inputs = contract.signature.inputs
    given = example_inputs(contract)
    if inputs is None or given is None:
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
    given = example_inputs(contract)
    if inputs is None or given is None:
        return None
    key = "inputs" if isinstance(given, dict) or inputs.is_tensor else "instances"
    if any(column.type == "binary" for column in inputs.columns):
        given = _with_bytes(given, inputs) if key == "inputs" else [_with_bytes(row, inputs) for row in given]
    return None if mentions_reference(given) else {key: given}


def _with_bytes(cells: Any, inputs: Schema) -> Any:
    """Return a row, or columns by name, in which bytes are what that API tells them from text by."""
    if not isinstance(cells, list | dict):
        return _marked(cells)
    names = [str(place if column.name is None else column.name) for place, column in enumerate(inputs.columns)]
    binary = {name for name, column in zip(names, inputs.columns, strict=True) if column.type == "binary"}
    if isinstance(cells, dict):
        return {name: _marked(cell) if name in binary else cell for name, cell in cells.items()}
    return [_marked(cell) if name in binary else cell for name, cell in zip(names, cells, strict=True)]


def _marked(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_marked(item) for item in cell]
    return cell if cell is None else {"b64": cell}


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
