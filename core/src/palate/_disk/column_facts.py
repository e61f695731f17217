"""What Palate knows of input columns and MLflow's signature grammar has no place for.

They stand in MLmodel under ``palate.inputs``, by column name; in a schema without names, by position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from palate.errors import InvalidModelFile, InvalidSignature, Problem
from palate.schema import ColSpec, Schema
from palate.signature import Signature

__all__ = ["add_facts", "column_facts"]

Where = tuple[str | int, ...]

_HINTED: Final = "facts of columns are for tables, and a function with type hints is given a list of plain values"
_PLACE: Final = ("palate", "inputs")
_OF_CATEGORIES: Final = ("categorical", "closed")
_KINDS: Final = {
    "nullable": ((bool,), "true or false"),
    "minimum": ((int, float), "a number"),
    "maximum": ((int, float), "a number"),
    "timezone": ((str,), "text"),
}


def _key(column: ColSpec, index: int) -> str | int:
    return index if column.name is None else column.name


def column_facts(signature: Signature) -> dict[str | int, dict[str, Any]]:
    """Return the facts of a signature's input columns as plain data; columns without facts are left out.

    Raises:
        InvalidSignature: if a column's categories are not text, numbers or times, or if a function with type hints is
            to be held to facts.
    """
    columns = signature.inputs.columns if signature.inputs else ()
    facts: dict[str | int, dict[str, Any]] = {}
    for index, column in enumerate(columns):
        key = _key(column, index)
        if signature.from_type_hints and not column.plain:
            raise InvalidSignature([Problem(("inputs", key), "wrong_value", _HINTED)])
        if fact := _facts_of(column, key):
            facts[key] = fact
    return facts


def _facts_of(column: ColSpec, key: str | int) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if column.categories is not None:
        facts["categories"] = [_plain(value, key) for value in column.categories]
        facts |= {name: True for name in _OF_CATEGORIES if getattr(column, name)}
    return {**facts, **{name: fact for name in _KINDS if (fact := getattr(column, name)) is not None}}


def _plain(value: Any, key: str | int) -> object:
    if hasattr(value, "isoformat"):
        if getattr(value, "nanosecond", 0):
            message = "categories that are times finer than microseconds cannot be stored"
            raise InvalidSignature([Problem(("inputs", key), "wrong_value", message)])
        return value.isoformat()
    plain = value.item() if hasattr(value, "item") else value  # numpy's scalars, without asking numpy
    if type(plain) not in (str, int, float, bool) or (isinstance(plain, float) and not math.isfinite(plain)):
        message = f"categories of type {type(value).__name__} cannot be stored; use text, finite numbers or times"
        raise InvalidSignature([Problem(("inputs", key), "wrong_type", message)])
    return plain


def add_facts(signature: Signature | None, facts: Mapping[Any, Any]) -> Signature | None:
    """Return *signature* with the facts added to its input columns.

    Raises:
        InvalidModelFile: with everything that is wrong with *facts*.
    """
    if problems := [problem for name in facts for problem in _check(facts[name], (*_PLACE, str(name)))]:
        raise InvalidModelFile(problems)
    if signature is None or signature.inputs is None or signature.inputs.is_tensor or not facts:
        return signature
    # Facts on columns that are gone stay unused: MLflow's set_signature() knows nothing of them.
    columns: list[ColSpec] = []
    for index, column in enumerate(signature.inputs.columns):
        key = _key(column, index)
        try:
            columns.append(_with_facts(column, facts.get(key) or {}, (*_PLACE, str(key))))
            if signature.from_type_hints and not columns[-1].plain:
                problems.append(Problem((*_PLACE, str(key)), "wrong_value", _HINTED))
        except InvalidModelFile as exc:
            problems += exc.problems
    if problems:
        raise InvalidModelFile(problems)
    return replace(signature, inputs=Schema.of_file(tuple(columns)))


def _check(facts: object, where: Where) -> Iterator[Problem]:
    if not isinstance(facts, dict):
        yield Problem(where, "wrong_type", "must be a mapping")
        return
    categories = facts.get("categories")
    for name in _OF_CATEGORIES:
        if not isinstance(facts.get(name, False), bool):
            yield Problem((*where, name), "wrong_type", "must be true or false")
        elif categories is None and facts.get(name):
            yield Problem((*where, "categories"), "missing", f"a {name} column needs its categories")
    is_list = isinstance(categories, list) and all(isinstance(item, str | int | float) for item in categories)
    if not (categories is None or is_list):
        yield Problem((*where, "categories"), "wrong_type", "must be a list of text, numbers, true and false")
    for name, (kinds, text) in _KINDS.items():
        if name in facts and type(facts[name]) not in kinds:  # to isinstance, true is a number
            yield Problem((*where, name), "wrong_type", f"must be {text}")


def _with_facts(column: ColSpec, facts: Mapping[str, Any], where: Where) -> ColSpec:
    known = {name: facts[name] for name in _KINDS if name in facts}
    if facts.get("categories") is not None:
        known["categories"] = tuple(_read(value, column, where) for value in facts["categories"])
        known |= {name: facts.get(name, False) for name in _OF_CATEGORIES}
    try:
        return replace(column, **known) if known else column
    except InvalidSignature as exc:
        named = 0 if column.name is None else 1
        raise InvalidModelFile(replace(p, where=(*where, *p.where[named:])) for p in exc.problems) from exc


def _read(value: object, column: ColSpec, where: Where) -> object:
    if column.type != "datetime" or not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError as exc:
        message = "holds text that is not a time"
        raise InvalidModelFile([Problem((*where, "categories"), "wrong_value", message)]) from exc
