"""A schema as people read it: one line for each field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from palate.serving._openapi.cells import FLOAT_LIMITS, JSONSchema

__all__ = ["Field", "exclusive_keys", "list_fields", "resolve", "takes_null"]

_DEEPEST = 5
_SHOWN_VALUES = 15
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}


class Field(NamedTuple):
    """One line of the outline.

    Attributes:
        depth: how deep it stands.
        name: its name; None for one of several forms that the field above may have.
        kind: its type.
        required: whether it has to be there.
        facts: what else is known.
    """

    depth: int
    name: str | None
    kind: str
    required: bool
    facts: str


def resolve(schema: JSONSchema, document: Mapping[str, Any]) -> JSONSchema:
    """Return the schema that a reference of the document leads to, or *schema* itself."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: JSONSchema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def list_fields(schema: JSONSchema, document: Mapping[str, Any], depth: int = 0) -> Iterator[Field]:
    """Yield the fields inside of a schema, outermost first."""
    schema = resolve(schema, document)
    if depth > _DEEPEST:
        return
    for choice in _choices(schema):
        told = resolve(choice, document)
        yield Field(depth, None, _kind_of(told, document), False, _facts_of(told))
        yield from list_fields(told, document, depth + 1)
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        told = resolve(member, document)
        yield Field(depth, name, _kind_of(told, document), name in required, _facts_of(told))
        yield from list_fields(told, document, depth + 1)
    for inner in _inner(schema):
        yield from list_fields(inner, document, depth)


def exclusive_keys(schema: JSONSchema, document: Mapping[str, Any]) -> list[str]:
    """Return the keys of which an object has exactly one, or none where the schema says no such thing."""
    choices = resolve(schema, document).get("oneOf", [])
    return [choice["required"][0] for choice in choices if set(choice) == {"required"}]


def takes_null(schema: JSONSchema, document: Mapping[str, Any]) -> bool:
    """Tell whether a cell of the data in a body may be null, as far as its signature knows."""
    data = {name: told for name, told in resolve(schema, document).get("properties", {}).items() if name != "params"}
    fields = list_fields({"properties": data}, document)
    return any(field.depth > 0 and field.kind.endswith(" or null") and "object" not in field.kind for field in fields)


def _choices(schema: JSONSchema) -> list[JSONSchema]:
    """Return what a value may be one of; a choice that only says what is required adds no form."""
    return [choice for choice in _all_choices(schema) if set(choice) != {"required"} and choice != {"type": "null"}]


def _all_choices(schema: JSONSchema) -> list[JSONSchema]:
    choices: list[JSONSchema] = schema.get("anyOf") or schema.get("oneOf") or []
    return choices


def _inner(schema: JSONSchema) -> list[JSONSchema]:
    found = [schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ())]
    return [inner for inner in found if isinstance(inner, dict)]


def _kind_of(schema: JSONSchema, document: Mapping[str, Any]) -> str:
    schema = resolve(schema, document)
    if "type" not in schema and _all_choices(schema):
        return " or ".join(_kind_of(choice, document) for choice in _all_choices(schema))
    kinds = schema.get("type", "any")
    listed = [kinds] if isinstance(kinds, str) else kinds
    width = f" ({schema['format']})" if "format" in schema else ""
    return " or ".join(kind if kind == "null" else _one_kind(kind, schema, document) + width for kind in listed)


def _one_kind(kind: str, schema: JSONSchema, document: Mapping[str, Any]) -> str:
    if kind == "string" and "contentEncoding" in schema:
        return "base64 text"
    if kind == "string":
        return "text"
    if kind != "array":
        return kind
    if "prefixItems" in schema:
        return f"list of {', '.join(_kind_of(item, document) for item in schema['prefixItems'])}"
    size = f"{schema['minItems']} " if schema.get("minItems") == schema.get("maxItems", -1) else ""
    items = schema.get("items", {})
    return f"list of {size}{_kind_of(items, document) if isinstance(items, dict) else 'nothing'}"


def _facts_of(schema: JSONSchema) -> str:
    own = _own_limits(schema.get("format"))
    facts = [text.format(schema[name]) for name, text in _LIMITS.items() if name in schema and schema[name] not in own]
    if "default" in schema:
        facts.append(f"by default {json.dumps(schema['default'], ensure_ascii=False)}")
    if "enum" in schema:
        facts.append(f"one of {_listed(schema['enum'])}")
    if "examples" in schema:
        facts.append(f"such as {_listed(schema['examples'])}")
    return "; ".join([*facts, *filter(None, [schema.get("description", "").rstrip(".")])])


def _own_limits(width: str | None) -> tuple[float, ...]:
    """Return the bounds that a type has anyway, which its name says better than twenty digits."""
    if width == "float":
        return -FLOAT_LIMITS["float32"], FLOAT_LIMITS["float32"]
    if width is None:
        return -(2**63), 2**64 - 1  # of any whole number that is read at all
    unsigned, _, bits = width.partition("int")
    if not bits:
        return ()
    size = int(bits)
    return (0, 2**size - 1) if unsigned else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)


def _listed(values: list[Any]) -> str:
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:_SHOWN_VALUES])
    return f"{shown} and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else shown
