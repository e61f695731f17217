"""What a model knows of its input: names, types and categories of the columns that it was trained on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from palate.schema import AnyType, ColSpec, FieldType, Schema
from xgboost_flavor._document import Document
from xgboost_flavor._ubjson import read_ubjson

__all__ = ["input_schema"]

# xgboost's words for the types of the columns of a table.
_TYPES: dict[str, FieldType] = {"float": "double", "int": "long", "i": "boolean"}


def input_schema(model: Any) -> Schema | None:
    """Return the named columns that *model* was trained on, or None when it was trained on an array."""
    if hasattr(model, "get_booster"):
        if not model.__sklearn_is_fitted__():
            return None
        model = model.get_booster()
    names, types = model.feature_names, model.feature_types
    if not names:
        return None
    categories = _categories(model) if types and "c" in types else {}
    return Schema(tuple(_column(name, kind, categories.get(n)) for n, (name, kind) in enumerate(_paired(names, types))))


def _paired(names: list[str], types: list[str] | None) -> list[tuple[str, str]]:
    return list(zip(names, types or ["q"] * len(names), strict=True))


def _column(name: str, kind: str, categories: tuple[object, ...] | None) -> ColSpec:
    if categories is None:
        return ColSpec(type=_TYPES.get(kind, AnyType()), name=name)
    text = all(isinstance(category, str) for category in categories)
    # A missing value is a value to xgboost, whatever the type of the column.
    return ColSpec(
        type="string" if text else "long", name=name, required=False, categories=categories, categorical=True
    )


def _categories(booster: Any) -> dict[int, tuple[object, ...]]:
    """Return the categories of each column that has some, in the order of their codes."""
    # xgboost's own way to them needs pyarrow.
    document = read_ubjson(booster.save_raw("ubj"))
    booster_part = document.root["learner"]["gradient_booster"]
    model = booster_part.get("gbtree", booster_part)["model"]
    columns = model.get("cats", {}).get("enc", [])
    found = ((number, _column_categories(document, column)) for number, column in enumerate(columns))
    return {number: categories for number, categories in found if categories}


def _column_categories(document: Document, column: dict[str, Any]) -> tuple[object, ...]:
    values = document.integers([column["values"]], column["values"].kind, "values")
    if "offsets" not in column:
        return tuple(values.tolist())
    offsets = document.integers([column["offsets"]], "l", "offsets").tolist()
    text = values.astype("int8").tobytes()
    return tuple(text[start:end].decode() for start, end in pairwise(offsets))
