"""Whether a value fits a schema of ours: an example that does not is worse than none.

Only the words of JSON Schema that this package writes are known here. A whole validator is a dependency that a server
would carry for this alone; the tests hold this one against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components

__all__ = ["fits"]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: _is_number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def fits(value: Any, schema: JSONSchema | bool, components: Components) -> bool:
    """Tell whether plain JSON data is what a schema describes."""
    if isinstance(schema, bool):
        return schema
    told = components.resolve(schema)
    if "anyOf" in told and not any(fits(value, choice, components) for choice in told["anyOf"]):
        return False
    if "not" in told or not _has_type(value, told) or not _is_among(value, told):
        return False
    if isinstance(value, dict):
        return _fits_object(value, told, components)
    if isinstance(value, list):
        return _fits_array(value, told, components)
    return not _is_number(value) or _within(value, told)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_type(value: Any, schema: JSONSchema) -> bool:
    kinds = schema.get("type", ())
    listed = [kinds] if isinstance(kinds, str) else kinds
    if listed and not any(_TYPES[kind](value) for kind in listed):
        return False
    pattern = schema.get("pattern")
    return pattern is None or not isinstance(value, str) or re.search(pattern, value) is not None


def _is_among(value: Any, schema: JSONSchema) -> bool:
    """Tell whether a value is in the ``enum``; to JSON, true is not 1."""
    if "enum" not in schema:
        return True
    return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in schema["enum"])


def _within(value: float, schema: JSONSchema) -> bool:
    return (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )


def _fits_array(value: list[Any], schema: JSONSchema, components: Components) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return False
    placed = schema.get("prefixItems", [])
    if not all(fits(item, kind, components) for item, kind in zip(value, placed, strict=False)):
        return False
    return all(fits(item, schema.get("items", True), components) for item in value[len(placed) :])


def _fits_object(value: Mapping[str, Any], schema: JSONSchema, components: Components) -> bool:
    known = schema.get("properties", {})
    if not all(name in value for name in schema.get("required", ())) or len(value) > schema.get("maxProperties", 1e9):
        return False
    others = schema.get("additionalProperties", True)
    return all(fits(member, known.get(name, others), components) for name, member in value.items())
