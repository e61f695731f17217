"""Tensors as JSON Schema: nested arrays, of fixed length where the signature fixes a size."""

from __future__ import annotations

from palate.schema import TensorSpec
from palate.serving._openapi.cells import FLOAT_LIMITS, JSONSchema, or_null, scalar_schema

__all__ = ["item_schema", "nest", "tensor_schema"]

_UNSAID: JSONSchema = {"not": {}, "description": "JSON has no form for it here: send a binary body."}


def tensor_schema(tensor: TensorSpec) -> JSONSchema:
    """Return the nested arrays that a tensor is in JSON."""
    return nest(item_schema(tensor.dtype), tensor.shape)


def nest(item: JSONSchema, shape: tuple[int, ...]) -> JSONSchema:
    """Return *item* in as many arrays as *shape* has sizes; -1 is any size."""
    schema = item
    for size in reversed(shape):
        length = {} if size == -1 else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **length}
    return schema


def item_schema(dtype: str) -> JSONSchema:
    """Return what one number, text or time of a tensor is in JSON."""
    if dtype in ("bool", "str"):
        return scalar_schema("boolean" if dtype == "bool" else "string")
    if dtype.startswith(("int", "uint")):
        return _integer_schema(dtype)
    if dtype.startswith("complex"):
        return {"type": "number", "description": "A real number; others need a binary body."}
    if dtype.startswith("datetime64"):
        return or_null(scalar_schema("datetime"))
    if dtype == "bytes" or dtype.startswith("timedelta64"):
        return _UNSAID
    # A list would be one more dimension.
    return {"type": ["string", "number", "boolean", "object", "null"]} if dtype == "object" else _float_schema(dtype)


def _integer_schema(dtype: str) -> JSONSchema:
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    least, greatest = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return {"type": "integer", "format": dtype, "minimum": least, "maximum": greatest}


def _float_schema(dtype: str) -> JSONSchema:
    """Return a number, or null for NaN."""
    schema: JSONSchema = {"type": ["number", "null"]}
    if limit := FLOAT_LIMITS.get(dtype):
        return {**schema, "exclusiveMinimum": -limit, "exclusiveMaximum": limit}
    return {**schema, "format": "double"}
