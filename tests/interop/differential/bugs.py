"""Where stock MLflow accepts what Palate refuses, or answers otherwise: its bugs, by name.

``docs/decisions/0002-enforcement.md`` has a paragraph for each under the same name, and each has a smallest case of its
own in ``examples.py``. A name alone excuses nothing: the judge also has to find that MLflow changed what went in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = [
    "ALL_BUGS",
    "BUGS",
    "COLUMN_ZERO",
    "DOUBLED",
    "FRAMES",
    "LABEL_TRUE",
    "MISSING_OBJECTS",
    "NANOSECONDS",
    "PANDAS_2_BUGS",
    "ROWS",
    "Group",
    "bug_of",
    "groups",
    "is_declared",
    "items_of",
    "members_of",
]

Plain = list[Any]

COLUMN_ZERO = "A column named 0 is taken for its position"
FRAMES = "Frames forced into tensors"
DOUBLED = "Doubled columns read by their labels"
LABEL_TRUE = "A label True is taken for the name 1"
NANOSECONDS = "Nanoseconds cut off"
MISSING_OBJECTS = "Objects read as missing"
ROWS = "Rows lost"


@dataclass(frozen=True, slots=True)
class Group:
    """Values that MLflow handles together: a column's cells, the items of one list, or one member of a dict."""

    kind: str
    in_array: bool
    values: list[Plain]

    def has(self, *tags: str) -> bool:
        """Tell whether one of the values is of these sorts."""
        return any(value[0] in tags for value in self.values)


def groups(kind: dict[str, Any], values: list[Plain], *, in_array: bool = False) -> Iterator[Group]:
    """Yield the groups of scalars in values of this type, and of what stands in the place of dicts."""
    match kind["type"]:
        case "array":
            for value in values:
                yield from groups(kind["items"], items_of(value), in_array=True)
        case "sparkml_vector":
            for value in values:
                yield from groups({"type": "double"}, items_of(value), in_array=True)
        case "map":
            yield Group("map", in_array, values)
            for value in values:
                for _, member in members_of(value):
                    yield from groups(kind["values"], [member])
        case "object":
            yield Group("object", in_array, values)
            for value in values:
                for key, member in members_of(value):
                    if key[1:] and key[1] in kind["properties"]:
                        yield from groups(kind["properties"][key[1]], [member])
        case scalar:
            yield Group(scalar, in_array, values)


def items_of(value: Plain) -> list[Plain]:
    """Return the items of a list, tuple or one-dimensional array; of anything else, none."""
    if value[0] in ("list", "tuple"):
        return value[1]
    if value[0] == "array":
        return nested_items(value)
    return []


def nested_items(array: Plain) -> list[Plain]:
    """Return what an array holds along its first dimension, further dimensions as lists."""
    _, dtype, shape, items = array
    if len(shape) < 2:
        return items
    step = len(items) // shape[0] if shape[0] else 0
    rows = [["array", dtype, shape[1:], items[row * step : (row + 1) * step]] for row in range(shape[0])]
    return [["list", nested_items(row)] for row in rows]


def members_of(value: Plain) -> list[tuple[Plain, Plain]]:
    """Return keys and members of a dict; of anything else, none."""
    return value[1] if value[0] == "dict" else []


def _rounds(group: Group) -> bool:
    wholes = [value[1] for value in group.values if value[0] == "number" and value[1].lstrip("-").isdigit()]
    return any(Fraction(float(whole)) != int(whole) for whole in wholes if len(whole) < 300)


def _items_are_made(group: Group) -> bool:
    return group.in_array and group.kind in ("string", "binary", "boolean")


def _ends_in_nul(group: Group) -> bool:
    return any(value[0] in ("text", "bytes") and value[1].endswith("\0") for value in group.values)


def _passes_objects(group: Group) -> bool:
    kinds = ("string", "binary", "boolean")
    return not group.in_array and group.kind in kinds and group.has("instant", "number", "other")


def _holds_only_an_empty_dict(value: Plain) -> bool:
    return value[0] == "array" and value[3] == [["dict", []]]


def _passes_for_no_members(group: Group) -> bool:
    return group.kind in ("map", "object") and any(map(_holds_only_an_empty_dict, group.values))


_CONTAINERS = ("list", "tuple", "dict", "array", "series", "other")

# The more particular first.
BUGS: dict[str, Callable[[Group], bool]] = {
    "Text read as numbers": lambda group: group.kind == "double" and group.has("text", "bytes"),
    MISSING_OBJECTS: lambda group: group.kind == "double" and group.has(*_CONTAINERS),
    "Numbers read as times": lambda group: group.kind == "datetime" and group.has("number", "text", "bytes"),
    "Integers rounded": lambda group: group.kind in ("double", "float") and _rounds(group),
    "Missing text made text": lambda group: group.kind == "string" and not group.in_array and group.has("missing"),
    "Trailing NUL lost": lambda group: group.kind in ("string", "binary") and _ends_in_nul(group),
    "Items made text or truth values": _items_are_made,
    "Objects passed as text or truth values": _passes_objects,
    "Text passed as truth values": lambda group: group.kind == "boolean" and group.has("text"),
    "Anything made one type": lambda group: group.kind == "any",
    "An array passed as an empty dict": _passes_for_no_members,
    "Times read as integers": lambda group: group.in_array and group.kind == "datetime",
}


# What a value of a type may be.
_SORTS = {
    "string": ("text", "bytes", "missing"),
    "binary": ("text", "bytes", "missing"),
    "boolean": ("truth", "missing"),
    "integer": ("number",),
    "long": ("number",),
    "float": ("number", "missing"),
    "double": ("number", "missing"),
    "datetime": ("instant", "missing"),
    "map": ("dict", "missing"),
    "object": ("dict", "missing"),
}


def is_declared(kind: dict[str, Any], values: list[Plain]) -> bool:
    """Tell whether all scalars and dicts in values of this type are what it can hold."""
    return all(
        value[0] in _SORTS.get(group.kind, value) and not (group.kind in ("float", "double") and _rounds(group))
        for group in groups(kind, values)
        for value in group.values
    )


ALL_BUGS = (*BUGS, COLUMN_ZERO, DOUBLED, FRAMES, LABEL_TRUE, NANOSECONDS, ROWS)
PANDAS_2_BUGS = ("Text passed as truth values",)


def bug_of(kind: dict[str, Any], values: list[Plain]) -> str | None:
    """Return the name of the bug that values of this type run into, or None."""
    found = list(groups(kind, values))
    return next((name for name, applies in BUGS.items() if any(map(applies, found))), None)
