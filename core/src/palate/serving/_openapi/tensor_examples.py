"""The example of Palate's own route, in the words of protocols that know tensors only."""

from __future__ import annotations

import json
from typing import Any

from palate.schema import AnyType, Array, Schema, TensorSpec
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
    for place, (told, field) in enumerate(zip(model_metadata(contract)["inputs"], inputs, strict=True)):
        data = columns.get(str(place) if field.name is None else told["name"])
        if data is None:  # an optional column that the example leaves out
            continue
        if not isinstance(field, TensorSpec) and not isinstance(field.type, str):
            data = [_nested_text(cell) for cell in data]
        if told["datatype"] == "BYTES" and not _is_text(data):
            return None  # complex numbers and others that the protocol has no name for
        tensor = {"name": told["name"], "datatype": told["datatype"], "shape": _shape_of(data, field)}
        tensor["data"] = data if isinstance(data, list) else [data]
        is_bytes = not isinstance(field, TensorSpec) and field.type == "binary"
        tensors.append({**tensor, **({"parameters": {"content_type": "base64"}} if is_bytes else {})})
    return {"inputs": tensors}


def _nested_text(cell: Any) -> str | None:
    return None if cell is None else json.dumps(cell)


def _is_text(data: Any) -> bool:
    return all(map(_is_text, data)) if isinstance(data, list) else data is None or isinstance(data, str)


def tf_example(contract: ModelContract) -> dict[str, Any] | None:
    """Return a body of TensorFlow Serving's that the model takes, or None where none can be shown."""
    inputs = contract.signature.inputs
    given = example_inputs(contract)
    if inputs is None or given is None:
        return None
    key = "inputs" if isinstance(given, dict) or inputs.is_tensor else "instances"
    if not contract.signature.from_type_hints:  # what they describe is taken as it is
        given = _with_bytes(given, inputs) if key == "inputs" else [_instance(row, inputs) for row in given]
    return None if mentions_reference(given) else {key: given}


def _instance(row: Any, inputs: Schema) -> Any:
    if len(inputs) > 1 or inputs.is_named:
        return _with_bytes(row, inputs)
    cell = _only_cell(row, inputs)
    # A bare object would be one of inputs by name.
    return {"input-0": cell} if isinstance(cell, dict) else _with_bytes(cell, inputs)


def _with_bytes(cells: Any, inputs: Schema) -> Any:
    """Return a row, a cell, or columns by name, in which bytes are what that API tells them from text by."""
    if not any(column.type == "binary" for column in inputs.columns):
        return cells
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
        return {name: [record.get(name) for record in given] for name in names}
    rows = given if len(inputs) > 1 else [[_only_cell(row, inputs)] for row in given]
    return {str(place): [row[place] for row in rows] for place in range(len(inputs))}


def _only_cell(row: Any, inputs: Schema) -> Any:
    """Return the cell of an only column without a name, which some examples have in a row and others bare."""
    bare = isinstance(inputs.columns[0].type, Array | AnyType) or not isinstance(row, list)
    return row if bare else row[0]


def _shape_of(data: Any, field: object) -> list[int]:
    shape: list[int] = []
    while isinstance(data, list) and (isinstance(field, TensorSpec) or not shape):
        shape.append(len(data))
        data = data[0] if data else None
    return shape
