"""Two schemas, of inputs or of outputs, matched field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from palate._diff.change import Change, Place
from palate._diff.columns import compare_columns
from palate._diff.field_types import Rules
from palate._diff.readings import compare_readings
from palate._diff.tensors import compare_tensors
from palate.schema import ColSpec, Schema, TensorSpec, type_text

__all__ = ["compare_schemas"]

Field: TypeAlias = "ColSpec | TensorSpec"


def compare_schemas(old: Schema | None, new: Schema | None, where: Place, rules: Rules) -> Iterator[Change]:
    """Yield what differs between two schemas.

    Args:
        old: of the first model; None where nothing is declared.
        new: of the second.
        where: what leads to the schema.
        rules: which side of the model it is, and how columns are judged.
    """
    if old is None or new is None:
        if old is not new:
            yield _declared_change(new, where, rules)
        return
    if _form(old) != _form(new):
        detail = f"was {_form(old)}, is {_form(new)}"
        yield Change(part=rules.side, where=where, kind="changed", detail=detail, breaks=True)
    elif old.is_named:
        yield from _compare_named(old, new, where, rules)
    else:
        yield from _compare_nameless(old, new, where, rules)


def _declared_change(new: Schema | None, where: Place, rules: Rules) -> Change:
    if new is None:
        lost = "inputs are passed on unchecked" if rules.side == "inputs" else "nothing is promised"
        detail = f"no longer declared: {lost}"
        return Change(part=rules.side, where=where, kind="widened", detail=detail)
    detail = f"declared now, as {_form(new)}, {len(new)} in number; until now everything passed"
    if rules.side == "outputs":
        detail = f"declared now, as {_form(new)}, {len(new)} in number"
    return Change(part=rules.side, where=where, kind="narrowed", detail=detail, breaks=rules.side == "inputs")


def _form(schema: Schema) -> str:
    kind = "tensors" if schema.is_tensor else "columns"
    return f"{'named' if schema.is_named else 'nameless'} {kind}"


# -- fields with names -------------------------------------------------------------------------------------------------


def _compare_named(old: Schema, new: Schema, where: Place, rules: Rules) -> Iterator[Change]:
    # Of two columns with one name, as they may stand in a file, the last counts.
    before, after = ({_name(field): field for field in schema} for schema in (old, new))
    for name, field in before.items():
        if name in after:
            yield from _compare_fields(field, after[name], (*where, name), rules)
        else:
            yield _removed(field, (*where, name), rules)
    for name, field in after.items():
        if name not in before:
            yield _added(field, (*where, name), rules)
    if rules.side == "inputs":
        yield from compare_readings(old, new, where)
    if [name for name in before if name in after] != [name for name in after if name in before]:
        detail = "in another order, which matters only to who goes by position and not by name"
        yield Change(part=rules.side, where=where, kind="changed", detail=detail)


def _name(field: Field) -> str | int:
    assert field.name is not None  # a named schema has no others
    return field.name


def _removed(field: Field, where: Place, rules: Rules) -> Change:
    inputs = rules.side == "inputs"
    detail = f"no longer {'asked for' if inputs else 'returned'} ({_text(field)})"
    if inputs:
        detail += "; what is sent is left out"
    return Change(part=rules.side, where=where, kind="removed", detail=detail, breaks=not inputs)


def _added(field: Field, where: Place, rules: Rules) -> Change:
    if rules.side == "outputs":
        return Change(part="outputs", where=where, kind="added", detail=f"returned besides ({_text(field)})")
    optional = not field.required
    detail = f"{'may' if optional else 'has to'} be sent besides ({_text(field)})"
    return Change(part="inputs", where=where, kind="added", detail=detail, breaks=not optional)


def _text(field: Field) -> str:
    return type_text(field.type) if isinstance(field, ColSpec) else field.dtype


def _compare_fields(old: Field, new: Field, where: Place, rules: Rules) -> Iterator[Change]:
    if isinstance(old, ColSpec) and isinstance(new, ColSpec):
        yield from compare_columns(old, new, where, rules)
    elif isinstance(old, TensorSpec) and isinstance(new, TensorSpec):
        yield from compare_tensors(old, new, where, rules.side)


# -- fields without --------------------------------------------------------------------------------------------------


def _compare_nameless(old: Schema, new: Schema, where: Place, rules: Rules) -> Iterator[Change]:
    before, after = len(old), len(new)
    if before != after:
        # Fewer would be taken, the rest left out: nobody can tell whether the first of them still are what they were.
        detail = f"were {before} columns without names, are {after}, and all are told by their position"
        yield Change(part=rules.side, where=where, kind="changed", detail=detail, breaks=True)
    for position, (was, now) in enumerate(zip(old, new, strict=False)):
        place = where if old.is_tensor else (*where, position)
        yield from _compare_fields(was, now, place, rules)
    if rules.side == "inputs":
        yield from compare_readings(old, new, where)
