"""Cells of columns as JSON Schema (2020-12): what enforcement takes of the JSON that a client can send.

Where a rule has no word in JSON Schema (that an integer is a double), the schema is the wider one and its description
says the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from palate.schema import (
    INTEGERS,
    AnyType,
    Array,
    ColSpec,
    FieldType,
    Map,
    Object,
    Scalar,
    SparkVector,
    whole_bounds,
)
from palate.serving._openapi.moments import ANY_MOMENT, CELL_MOMENT

__all__ = [
    "BASE64",
    "FLOAT_LIMITS",
    "JSONSchema",
    "cell_schema",
    "hinted_schema",
    "nested_schema",
    "or_null",
    "plain_value",
    "scalar_schema",
]

JSONSchema: TypeAlias = dict[str, Any]

_SEXTET = r"(?:[A-Za-z0-9+/]\s*)"
BASE64 = rf"^\s*(?:{_SEXTET}{{4}})*(?:{_SEXTET}{{2}}=\s*=\s*|{_SEXTET}{{3}}=\s*)?$"
"""Base64 as RFC 4648 has it, and broken into lines as MIME has it."""
FLOAT_LIMITS = {"float16": 65520.0, "float32": float(2**128 - 2**103)}
"""By dtype, the least number too large for it: halfway between its greatest and what would come next."""

_MISSING_ITEMS = frozenset(["float", "double", "datetime"])  # an array has NaN or NaT for these
_ASCII: JSONSchema = {"type": "string", "pattern": r"^[\x00-\x7f]*$", "description": "Bytes as text, not as base64."}
_NOTHING: JSONSchema = {"type": "object", "maxProperties": 0, "description": "Empty, for one that is not there."}
_TIMES_TOLD = "ISO 8601, from 1677-09-22 to 2262-04-10; without an offset the time is UTC."
_SHOWN_CATEGORIES = 20


def or_null(schema: JSONSchema) -> JSONSchema:
    """Return the schema of what may also be null."""
    if "type" not in schema:
        return schema if not schema else {"anyOf": [schema, {"type": "null"}]}
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "null" in kinds:
        return schema
    nulled = {**schema, "type": [*kinds, "null"]}
    return {**nulled, "enum": [*schema["enum"], None]} if "enum" in schema else nulled


def scalar_schema(kind: Scalar) -> JSONSchema:
    """Return what one value of a scalar type is in JSON."""
    match kind:
        case "boolean" | "string":
            return {"type": kind}
        case "integer" | "long":
            least, greatest = INTEGERS[kind]
            width = "int32" if kind == "integer" else "int64"
            return {"type": "integer", "format": width, "minimum": least, "maximum": greatest}
        case "float":
            limit = FLOAT_LIMITS["float32"]
            return {"type": "number", "format": "float", "exclusiveMinimum": -limit, "exclusiveMaximum": limit}
        case "double":
            return {"type": "number", "format": "double"}
        case "binary":
            return {"type": "string", "contentEncoding": "base64", "pattern": BASE64}
        case "datetime":
            return {"type": "string", "pattern": CELL_MOMENT, "description": _TIMES_TOLD}


def cell_schema(column: ColSpec, *, named: bool = True) -> JSONSchema:
    """Return what a cell of a column is in JSON.

    Args:
        column: the column.
        named: whether it is found by its name, and so may be absent where it is not required.
    """
    if not isinstance(column.type, str):
        return nested_schema(column.type, required=column.required or not named)
    schema = {**scalar_schema(column.type), **_bounds(column)}
    if column.categories is not None:
        schema = _among_categories(column, schema)
    if column.timezone is not None:
        schema["description"] = f"{_TIMES_TOLD} The model gets it in the zone {column.timezone}."
    return or_null(schema) if _may_be_null(column) else schema


def _may_be_null(column: ColSpec) -> bool:
    if column.nullable is not None and not (column.nullable and column.categorical):
        return column.nullable
    return column.categorical or column.type not in INTEGERS


def _bounds(column: ColSpec) -> JSONSchema:
    if column.minimum is None and column.maximum is None:
        return {}
    if column.type in INTEGERS:
        least, greatest = whole_bounds(column)
        return {"minimum": least, "maximum": greatest}
    bounds = {"minimum": column.minimum, "maximum": column.maximum}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _among_categories(column: ColSpec, schema: JSONSchema) -> JSONSchema:
    values = [plain_value(value) for value in column.categories or ()]
    if not (column.closed or column.categorical):
        return {**schema, "examples": values[:_SHOWN_CATEGORIES]}
    if column.type == "datetime":  # one moment has many texts
        return {**schema, "description": f"{_TIMES_TOLD} One of {', '.join(values)}.", "examples": values[:1]}
    return {"type": schema["type"], "enum": values}


def plain_value(value: object) -> Any:
    """Return a value of a signature (a category, a default) as JSON has it."""
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain_value(member) for name, member in value.items()}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") and not isinstance(value, datetime) else value


# -- nested ------------------------------------------------------------------------------------------------------------


def nested_schema(kind: FieldType, *, required: bool) -> JSONSchema:
    """Return what a value inside of a cell is in JSON; one that is not *required* may be null."""
    if isinstance(kind, AnyType):
        return {}
    if isinstance(kind, Array | SparkVector):
        schema: JSONSchema = {"type": "array", "items": _item_schema(kind, required=required)}
        lenient = isinstance(kind, Array) and isinstance(kind.items, AnyType)
    elif isinstance(kind, Map):
        schema = {"type": "object", "additionalProperties": nested_schema(kind.values, required=required)}
        lenient = isinstance(kind.values, AnyType)
    elif isinstance(kind, Object):
        return _object_schema(kind, required=required)
    else:
        schema, lenient = {"type": "string"} if kind == "binary" else scalar_schema(kind), False
    return schema if required and not lenient else or_null(schema)


def _item_schema(kind: Array | SparkVector, *, required: bool) -> JSONSchema:
    items: FieldType = "double" if isinstance(kind, SparkVector) else kind.items
    if items == "binary":
        return _ASCII
    if isinstance(items, str):
        schema = scalar_schema(items)
        return or_null(schema) if items in _MISSING_ITEMS else schema
    return nested_schema(items, required=required)


def _object_schema(kind: Object, *, required: bool) -> JSONSchema:
    members = {p.name: nested_schema(p.type, required=p.required) for p in kind.properties}
    needed = [p.name for p in kind.properties if p.required]
    schema = {"type": "object", "properties": members, "required": needed, "additionalProperties": False}
    if required:
        return schema
    # Enforcement takes {} for an object that is not there.
    return or_null({"anyOf": [schema, _NOTHING]} if needed else schema)


# -- type hints --------------------------------------------------------------------------------------------------------


def hinted_schema(kind: FieldType, *, required: bool = True) -> JSONSchema:
    """Return what a function with type hints takes for one element of its list.

    The hints knew more than the signature does, and classes in them judge their own members: so what may be right is.
    """
    match kind:
        case AnyType():
            return {}
        case SparkVector():
            schema: JSONSchema = {"type": "array", "items": hinted_schema("double", required=False)}
        case Array(items=items):
            schema = {"type": "array", "items": hinted_schema(items, required=False)}
        case Map(values=values):
            schema = {"type": "object", "additionalProperties": hinted_schema(values, required=False)}
        case Object(properties=properties):
            members = {p.name: hinted_schema(p.type, required=p.required) for p in properties}
            needed = [p.name for p in properties if p.required]
            schema = {"type": "object", "properties": members, "required": needed}
        case "integer" | "long":
            schema = {"type": ["integer", "boolean"]}  # a bool is an int to Python
        case "float":
            schema = {"type": "number"}  # as Python's own, it has 64 bits
        case "datetime":
            schema = {"type": "string", "pattern": ANY_MOMENT, "description": "ISO 8601, to the microsecond."}
        case _:
            schema = scalar_schema(kind)
    return schema if required else or_null(schema)
