"""A schema as people read it: one line for each field, and a value that fits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from palate.serving._openapi.cells import BASE64, JSONSchema
from palate.serving._openapi.moments import ANY_MOMENT, CELL_MOMENT

__all__ = ["Field", "list_fields", "resolve", "sample_of"]

_DEEPEST = 5
_SHOWN_VALUES = 12
_MOST_LEAVES = 500  # of a sample; an image's pixels say nothing more
_TEXTS = dict.fromkeys((ANY_MOMENT, CELL_MOMENT), "2024-05-06T07:08:09") | {BASE64: "aGVsbG8="}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "default": "by default {}",
}


class Field(NamedTuple):
    """One line: how deep it stands, its name, its type, whether it is required, and what else is known."""

    depth: int
    name: str
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
    for number, choice in enumerate(_choices(schema), 1):
        told = resolve(choice, document)
        name = told.get("title") or f"form {number}"
        yield Field(depth, name, _kind_of(told, document), False, _facts_of(told))
        yield from list_fields(told, document, depth + 1)
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        told = resolve(member, document)
        yield Field(depth, name, _kind_of(told, document), name in required, _facts_of(told))
        yield from list_fields(told, document, depth + 1)
    for inner in _inner(schema):
        yield from list_fields(inner, document, depth)


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
    facts = [text.format(schema[name]) for name, text in _LIMITS.items() if name in schema]
    if "enum" in schema:
        facts.append(f"one of {_listed(schema['enum'])}")
    if "examples" in schema:
        facts.append(f"such as {_listed(schema['examples'])}")
    return "; ".join([*facts, *filter(None, [schema.get("description", "").rstrip(".")])])


def _listed(values: list[Any]) -> str:
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:_SHOWN_VALUES])
    return f"{shown} and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else shown


# -- samples -----------------------------------------------------------------------------------------------------------


class _TooLarge(Exception):
    """A sample has more leaves than anybody reads."""


def sample_of(schema: JSONSchema, document: Mapping[str, Any]) -> Any:
    """Return a value that fits a schema of ours, or None where it would be too large to show."""
    try:
        return _Sampler(document).sample(schema)
    except _TooLarge:
        return None


class _Sampler:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._leaves = 0

    def sample(self, schema: JSONSchema) -> Any:
        schema = resolve(schema, self._document)
        for key in ("default", "enum", "examples"):
            if key in schema:
                return schema[key] if key == "default" else schema[key][0]
        if "type" not in schema and _all_choices(schema):
            return self.sample(_all_choices(schema)[0])
        kinds = schema.get("type", "null")
        return self._of_kind(kinds if isinstance(kinds, str) else kinds[0], schema)

    def _of_kind(self, kind: str, schema: JSONSchema) -> Any:
        if kind == "object":
            members = schema.get("properties", {})
            wanted = {**dict.fromkeys(schema.get("required", ())), **dict.fromkeys(members)}
            return {name: self.sample(members[name]) for name in wanted if name in members}
        if kind == "array":
            placed = [self.sample(item) for item in schema.get("prefixItems", ())]
            items = schema.get("items", True)
            count = max(0 if placed else 1, schema.get("minItems", 0)) - len(placed)
            count = min(count, schema.get("maxItems", count))
            return [*placed, *(self.sample(items) for _ in range(count if isinstance(items, dict) else 0))]
        self._leaves += 1
        if self._leaves > _MOST_LEAVES:
            raise _TooLarge
        if kind in ("integer", "number"):
            return _number(schema, 1 if kind == "integer" else 1.5)
        return {"boolean": True, "null": None}.get(kind, _TEXTS.get(schema.get("pattern", ""), "text"))


def _number(schema: JSONSchema, wanted: float) -> float:
    low: float = max(wanted, schema.get("minimum", wanted))
    high: float = schema.get("maximum", low)
    return min(low, high)
