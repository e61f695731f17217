"""All inputs, all params and all outputs of a method as JSON Schema."""

from __future__ import annotations

from collections.abc import Sequence

from palate.schema import Array, ColSpec, Map, Object, ParamSpec, Schema, SparkVector, TensorSpec
from palate.serving._openapi.cells import (
    JSONSchema,
    cell_schema,
    hinted_schema,
    nested_schema,
    or_null,
    plain_value,
    scalar_schema,
)
from palate.serving._openapi.components import Components, mentions_reference
from palate.serving._openapi.moments import ANY_MOMENT
from palate.serving._openapi.tensors import item_schema, nest, tensor_schema
from palate.signature import Signature

__all__ = ["columns_schema", "inputs_schema", "outputs_schema", "params_schema", "record_schema"]

_PARAM_INTEGER: JSONSchema = {"type": "integer", "minimum": -(2**63), "maximum": 2**64 - 1}  # what JSON is read to here


def inputs_schema(signature: Signature, components: Components, name: str) -> JSONSchema:
    """Return what ``inputs`` are for a signature.

    Args:
        signature: the signature.
        components: gets what is worth a name of its own.
        name: what those names begin with.
    """
    inputs = signature.inputs
    if inputs is None:
        return {"description": "Whatever the model takes: it declares no inputs."}
    if inputs.is_tensor:
        return _tensors_schema(inputs)
    if signature.from_type_hints:
        return {"type": "array", "items": hinted_schema(inputs.columns[0].type)}
    if not inputs.is_named:
        return _rows_schema(inputs.columns)
    record = components.add(f"{name}_record", record_schema(inputs.columns))
    records = {"type": "array", "items": record, "description": "One record for each row."}
    if any(isinstance(column.type, Array | Object | SparkVector) for column in inputs.columns):
        return records  # an object of lists would then be one record, as it is to MLflow
    return {"anyOf": [records, components.add(f"{name}_columns", columns_schema(inputs.columns))]}


def record_schema(columns: Sequence[ColSpec], *, closed: bool = True) -> JSONSchema:
    """Return one row of named columns; unless *closed*, with others beside them."""
    cells = {str(column.name): cell_schema(column) for column in columns}
    return _closed(cells, columns) if closed else {**_closed(cells, columns), "additionalProperties": True}


def columns_schema(columns: Sequence[ColSpec]) -> JSONSchema:
    """Return all rows of named columns, column by column."""
    lists = {str(column.name): {"type": "array", "items": cell_schema(column)} for column in columns}
    return {**_closed(lists, columns), "description": "A list for each column, all of the same length."}


def _closed(members: dict[str, JSONSchema], columns: Sequence[ColSpec]) -> JSONSchema:
    required = {str(column.name): column.required for column in columns}
    return {
        "type": "object",
        "properties": members,
        "required": [name for name, needed in required.items() if needed],
        "additionalProperties": False,
    }


def _rows_schema(columns: Sequence[ColSpec]) -> JSONSchema:
    """Return rows of columns that have a place and no name."""
    cells = [cell_schema(column, named=False) for column in columns]
    rows = {"type": "array", "items": _row_schema(cells), "description": "One list for each row."}
    if len(cells) > 1:
        return rows
    if isinstance(columns[0].type, Map | Object | SparkVector):
        return rows
    flat = {"type": "array", "items": cells[0], "description": "The cells of the only column."}
    return {"anyOf": [flat, rows]} if isinstance(columns[0].type, str) else flat


def _row_schema(cells: list[JSONSchema]) -> JSONSchema:
    length = {"minItems": len(cells), "maxItems": len(cells)}
    if all(cell == cells[0] for cell in cells):
        return {"type": "array", "items": cells[0], **length}
    return {"type": "array", "prefixItems": cells, "items": {}, **length}  # makers of clients want items of each array


def _tensors_schema(inputs: Schema) -> JSONSchema:
    if not inputs.is_named:
        return tensor_schema(inputs.tensors[0])
    members = {str(tensor.name): tensor_schema(tensor) for tensor in inputs.tensors}
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


# -- params ------------------------------------------------------------------------------------------------------------


def params_schema(params: Sequence[ParamSpec]) -> JSONSchema:
    """Return the object that ``params`` is."""
    members = {param.name: _param_schema(param) for param in params}
    told = {} if params else {"description": "This method takes none."}
    return {"type": ["object", "null"], "properties": members, "additionalProperties": False, **told}


def _param_schema(param: ParamSpec) -> JSONSchema:
    if not isinstance(param.type, str):
        value = nested_schema(param.type, required=True)
    elif param.type in ("integer", "long"):
        value = or_null(_PARAM_INTEGER)  # MLflow lets Python's own integers through, whatever their size
    elif param.type in ("float", "double"):
        value = {"type": ["number", "null"], "format": "double"}
    elif param.type == "datetime":
        value = {"type": ["string", "null"], "pattern": ANY_MOMENT, "description": "ISO 8601."}
    else:
        value = or_null(scalar_schema(param.type))
    schema = value if param.shape is None else {"type": "array", "items": value}
    default = plain_value(param.default)
    # A reader of the document would follow a "$ref" in it.
    return schema if mentions_reference(default) else {**schema, "default": default}


# -- outputs -----------------------------------------------------------------------------------------------------------


def outputs_schema(outputs: Schema | None) -> JSONSchema:
    """Return what ``predictions`` are; outputs are recorded and never enforced, so any of them may be missing."""
    if outputs is None:
        return {"description": "Whatever the model returns: it declares no outputs."}
    if outputs.is_tensor:
        tensors = {str(tensor.name): _answered_tensor(tensor) for tensor in outputs.tensors}
        return _members_of(tensors) if outputs.is_named else _answered_tensor(outputs.tensors[0])
    cells = {str(column.name): _answered_cell(column) for column in outputs.columns}
    if outputs.is_named:
        return {"type": "array", "items": _members_of(cells)}
    listed = [_answered_cell(column) for column in outputs.columns]
    if len(listed) > 1:
        return {"type": "array", "items": _row_schema(listed)}
    # A Series without a name is written as MLflow writes it.
    return {"type": "array", "items": {"anyOf": [listed[0], _members_of({"0": listed[0]})]}}


def _members_of(members: dict[str, JSONSchema]) -> JSONSchema:
    return {"type": "object", "properties": members, "required": list(members)}


def _answered_cell(column: ColSpec) -> JSONSchema:
    if isinstance(column.type, str):
        return or_null(_as_answered(scalar_schema(column.type)))
    return nested_schema(column.type, required=False)


def _answered_tensor(tensor: TensorSpec) -> JSONSchema:
    if tensor.dtype.startswith(("timedelta64", "complex", "object")):
        return {}
    item = scalar_schema("binary") if tensor.dtype == "bytes" else item_schema(tensor.dtype)
    return nest(or_null(_as_answered(item)), tensor.shape)


def _as_answered(schema: JSONSchema) -> JSONSchema:
    """Return a schema without the limits of what may be sent."""
    return {name: schema[name] for name in ("type", "format", "contentEncoding") if name in schema}
