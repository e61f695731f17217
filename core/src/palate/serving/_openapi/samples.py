"""A value that a schema of ours describes: what a body looks like, for models that were saved without an example."""

from __future__ import annotations

import math
from typing import Any

from palate.serving._openapi.cells import BASE64, JSONSchema
from palate.serving._openapi.components import Components
from palate.serving._openapi.moments import ANY_MOMENT, CELL_MOMENT

__all__ = ["sample_of"]

_MOST_LEAVES = 500  # an image's pixels say nothing more
_MOST_BITS = 20  # after the point
_TEXTS = dict.fromkeys((ANY_MOMENT, CELL_MOMENT), "2024-05-06T07:08:09") | {BASE64: "aGVsbG8="}


class _NoSample(Exception):
    """Nothing fits the schema, or only what has more leaves than anybody reads."""


def sample_of(schema: JSONSchema, components: Components) -> Any:
    """Return a value that fits a schema of ours, with one row, or None where there is none that can be shown."""
    try:
        return _Sampler(components).sample(schema)
    except _NoSample:
        return None


class _Sampler:
    def __init__(self, components: Components) -> None:
        self._components = components
        self._leaves = 0

    def sample(self, schema: JSONSchema) -> Any:
        schema = self._components.resolve(schema)
        if "not" in schema:
            raise _NoSample
        for key in ("default", "enum", "examples"):
            if key in schema:
                return schema[key] if key == "default" else schema[key][0]
        if "type" not in schema and "anyOf" in schema:
            return self.sample(schema["anyOf"][0])
        kinds = schema.get("type", "null")
        return self._of_kind(kinds if isinstance(kinds, str) else kinds[0], schema)

    def _of_kind(self, kind: str, schema: JSONSchema) -> Any:
        if kind == "object":
            members = schema.get("properties", {})
            wanted = {**dict.fromkeys(schema.get("required", ())), **dict.fromkeys(members)}
            return {name: self.sample(members[name]) for name in wanted if name in members}
        if kind == "array":
            return self._array(schema)
        self._leaves += 1
        if self._leaves > _MOST_LEAVES:
            raise _NoSample
        if kind == "integer":
            return max(min(1, schema.get("maximum", 1)), schema.get("minimum", -(2**63)))
        if kind == "number":
            return _number(schema.get("minimum", -math.inf), schema.get("maximum", math.inf))
        return {"boolean": True, "null": None}.get(kind, _TEXTS.get(schema.get("pattern", ""), "text"))

    def _array(self, schema: JSONSchema) -> list[Any]:
        placed = [self.sample(item) for item in schema.get("prefixItems", ())]
        count = max(0 if placed else 1, schema.get("minItems", 0)) - len(placed)
        count = min(count, schema.get("maxItems", count))
        return [*placed, *(self.sample(schema["items"]) for _ in range(count))]


def _number(low: float, high: float) -> float:
    """Return a number between the bounds that few bits hold: a float32 refuses what it cannot hold exactly."""
    if low <= 1.5 <= high:
        return 1.5
    for step in (2.0**-bits for bits in range(_MOST_BITS)):
        near = math.ceil(low / step) * step if low > 1.5 else math.floor(high / step) * step
        if low <= near <= high:
            return near
    return low if low > 1.5 else high
