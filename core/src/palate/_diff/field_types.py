"""Types of cells and params: whether every value of one will do where another is asked for.

The rules are those of enforcement, which takes what it can convert without changing a value. Inside of objects it is
strict where a reader is not: a property that nobody knows is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from palate._diff.change import Side
from palate.schema import INTEGERS, AnyType, Array, FieldType, Map, Object, Scalar, type_text

__all__ = ["EXACT_INTEGERS", "Rules", "find_misfit"]

EXACT_INTEGERS: Final = {"float": 2**24, "double": 2**53}
"""Up to which integer the types of floats hold every one."""

_WIDER: Final[frozenset[tuple[str, str]]] = frozenset([("integer", "long"), ("integer", "double"), ("float", "double")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How types are judged.

    Attributes:
        side: whether they are of what callers send or of what they read.
        from_type_hints: whether a function's type hints are enforced, to which integers are of any size.
    """

    side: Side
    from_type_hints: bool = False


def find_misfit(given: FieldType, wanted: FieldType, rules: Rules) -> str | None:
    """Return why a value of the type *given* may not do for *wanted*; None where every one does."""
    if given == wanted or isinstance(wanted, AnyType):
        return None
    match given, wanted:
        case str(), str():
            return _scalar_misfit(given, wanted, rules)
        case Array(items=inner), Array(items=outer):
            return find_misfit(inner, outer, rules)
        case Map(values=inner), Map(values=outer):
            return find_misfit(inner, outer, rules)
        case Object(), Object():
            return next(_property_misfits(given, wanted, rules), None)
    return _not_a(given, wanted)


def _not_a(given: FieldType, wanted: FieldType) -> str:
    return f"{type_text(given)} is no {type_text(wanted)}"


def _scalar_misfit(given: Scalar, wanted: Scalar, rules: Rules) -> str | None:
    if given in INTEGERS and wanted in EXACT_INTEGERS and (rules.from_type_hints or (given, wanted) not in _WIDER):
        return f"{wanted} holds every integer only up to 2**{EXACT_INTEGERS[wanted].bit_length() - 1}"
    return None if (given, wanted) in _WIDER else _not_a(given, wanted)


def _property_misfits(given: Object, wanted: Object, rules: Rules) -> Iterator[str]:
    there, asked = ({p.name: p for p in side.properties} for side in (given, wanted))
    for name, member in asked.items():
        shown = f"the property {name!r:.60}"
        if name not in there:
            if member.required:
                yield f"{shown} is required"
        elif member.required and not there[name].required:
            yield f"{shown} may be missing from the one, and is required by the other"
        elif (reason := find_misfit(there[name].type, member.type, rules)) is not None:
            yield f"{shown}: {reason}"
    if rules.side == "inputs" and (unknown := [name for name in there if name not in asked]):
        yield f"properties that are not declared are refused: {', '.join(f'{name!r:.60}' for name in unknown)}"
