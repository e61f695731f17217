"""What Palate knows of input columns and MLflow's signature grammar has no place for.

They stand in MLmodel under ``palate.inputs``, by column name; in a schema without names, by position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from palate.errors import InvalidModelFile, InvalidSignature, Problem
from palate.schema import ColSpec, Schema
from palate.signature import Signature

__all__ = ["add_facts", "column_facts"]

Where = tuple[str | int, ...]


def _key(column: ColSpec, index: int) -> str | int:
    return index if column.name is None else column.name


def column_facts(signature: Signature) -> dict[str | int, dict[str, Any]]:
    """Return the facts of a signature's input columns as plain data.

    Raises:
        InvalidSignature: if a column's categories are not text, numbers or times.
    """
    facts: dict[str | int, dict[str, Any]] = {}
    for index, column in enumerate(signature.inputs.columns if signature.inputs else ()):
        if column.categories is None:
            continue
        key = _key(column, index)
        values = [_plain(value, key) for value in column.categories]
        fact = {"categories": values, **({"categorical": True} if column.categorical else {})}
        if facts.setdefault(key, fact) != fact:
            message = "two columns of this name have different categories"
            raise InvalidSignature([Problem(("inputs", key), "wrong_value", message)])
    return facts


def _plain(value: Any, key: str | int) -> object:
    if hasattr(value, "isoformat"):
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
    if problems := [problem for name in facts for problem in _check(facts[name], ("palate", "inputs", str(name)))]:
        raise InvalidModelFile(problems)
    if signature is None or signature.inputs is None or signature.inputs.is_tensor or not facts:
        return signature
    # Facts on columns that are gone stay unused: MLflow's set_signature() knows nothing of them.
    columns = signature.inputs.columns
    added = tuple(_with_fact(column, facts.get(_key(column, index)) or {}) for index, column in enumerate(columns))
    return replace(signature, inputs=Schema(added))


def _check(fact: object, where: Where) -> Iterator[Problem]:
    if not isinstance(fact, dict):
        yield Problem(where, "wrong_type", "must be a mapping")
        return
    categories, categorical = fact.get("categories"), fact.get("categorical", False)
    if not isinstance(categorical, bool):
        yield Problem((*where, "categorical"), "wrong_type", "must be true or false")
    if categories is None:
        if categorical is True:
            yield Problem((*where, "categories"), "missing", "a categorical column needs its categories")
    elif not isinstance(categories, list) or not all(isinstance(item, str | int | float) for item in categories):
        yield Problem((*where, "categories"), "wrong_type", "must be a list of text, numbers, true and false")


def _with_fact(column: ColSpec, fact: Mapping[str, Any]) -> ColSpec:
    categories = fact.get("categories")
    if categories is None:
        return column
    values = tuple(_read(value, column) for value in categories)
    return replace(column, categories=values, categorical=fact.get("categorical", False))


def _read(value: object, column: ColSpec) -> object:
    if column.type != "datetime" or not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError as exc:
        where = ("palate", "inputs", str(column.name), "categories")
        raise InvalidModelFile([Problem(where, "wrong_value", "holds text that is not a time")]) from exc
