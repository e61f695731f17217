"""Schemas that a document names once and refers to."""

from __future__ import annotations

import re

from palate.serving._openapi.cells import JSONSchema

__all__ = ["Components", "identifier", "mentions_reference"]

_LONGEST = 80
_UNFIT = re.compile(r"[^A-Za-z0-9_]+")
_PREFIX = "#/components/schemas/"


def identifier(text: str) -> str:
    """Return *text* as generators of clients take names: letters, digits and underscores, not too many."""
    return _UNFIT.sub("_", text)[:_LONGEST].strip("_") or "model"


class Components:
    """The named schemas of a document under construction; no two get the same name."""

    def __init__(self) -> None:
        self.schemas: dict[str, JSONSchema] = {}
        self._taken: set[str] = set()

    def add(self, name: str, schema: JSONSchema) -> JSONSchema:
        """Keep a schema under a name like *name*, and return the reference to it."""
        chosen = self.unique(name)
        self.schemas[chosen] = schema
        return {"$ref": _PREFIX + chosen}

    def once(self, name: str, schema: JSONSchema) -> JSONSchema:
        """Return the reference to the one schema of that very name, which is kept at the first call."""
        return {"$ref": _PREFIX + name} if name in self.schemas else self.add(name, schema)

    def unique(self, name: str) -> str:
        """Return *name*, or what is like it and was not given out yet, in whatever case."""
        base, number = identifier(name), 1
        chosen = base
        while chosen.lower() in self._taken:
            number += 1
            chosen = f"{base}_{number}"
        self._taken.add(chosen.lower())
        return chosen

    def resolve(self, schema: JSONSchema) -> JSONSchema:
        """Return the schema itself where *schema* is a reference that ``add`` returned."""
        reference = schema.get("$ref")
        return schema if reference is None else self.schemas[reference.removeprefix(_PREFIX)]


def mentions_reference(value: object) -> bool:
    """Tell whether plain data has a key "$ref", which readers of the document would follow wherever it stands."""
    if isinstance(value, dict):
        return "$ref" in value or any(map(mentions_reference, value.values()))
    return isinstance(value, list) and any(map(mentions_reference, value))
