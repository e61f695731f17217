"""The signature of a model that is being saved: declared, or inferred from its example and what it knows itself."""

from __future__ import annotations

from dataclasses import replace
from types import EllipsisType
from typing import Any

from palate._inference.inference import infer_params, infer_schema
from palate._save_request import SaveRequest
from palate._stored.examples import split_example
from palate.schema import AnyType, Schema
from palate.signature import Signature

__all__ = ["declared_signature", "feature_names", "rows_as_array"]


def rows_as_array(example: object) -> object:
    """Return rows of numbers, ``[[1, 2], [3, 4]]``, as the array that a framework makes of them; else the same."""
    data, *params = example if isinstance(example, tuple) and example else (example,)
    if not (isinstance(data, list) and data and all(isinstance(row, list) and row for row in data)):
        return example
    if len({len(row) for row in data}) > 1 or {type(cell) for row in data for cell in row} - {int, float}:
        return example
    import numpy as np

    array = np.array(data)
    return (array, *params) if params else array


def declared_signature(request: SaveRequest, known: Schema | Signature | None) -> Signature | None:
    """What is known of the signature before the model has predicted anything."""
    if not isinstance(request.signature, EllipsisType):
        return request.signature
    data, example_params = split_example(request.example)
    declared = request.params if request.params is not None else example_params
    params = infer_params(declared) if declared else ()
    if isinstance(known, Signature):
        return replace(known, params=params or known.params)
    if data is not None:
        return Signature(inputs=_enriched(infer_schema(data), known), params=params)
    if known is not None and not any(isinstance(c.type, AnyType) for c in known.columns):
        return Signature(inputs=known, params=params)
    return Signature(params=params) if params else None


def feature_names(signature: Signature | None, known: Schema | Signature | None) -> dict[str, Any]:
    """Return the names of the features that the model knows and its signature, inferred from an array, does not."""
    inputs = signature.inputs if signature else None
    if inputs is None or not inputs.is_tensor or inputs.is_named or not isinstance(known, Schema) or known.is_tensor:
        return {}
    names = [column.name for column in known.columns]
    fits = inputs.tensors[0].shape[1:] == (len(names),) and all(isinstance(name, str) for name in names)
    return {"features": names} if fits else {}


def _enriched(inferred: Schema, known: Schema | None) -> Schema:
    """Add the categories that the model knows of its columns to what the example shows."""
    if known is None or inferred.is_tensor or known.is_tensor:
        return inferred
    categories = {column.name: column.categories for column in known.columns}
    fields = [
        replace(column, categories=categories[column.name])
        if column.categories is None and categories.get(column.name) is not None
        else column
        for column in inferred.columns
    ]
    return Schema(tuple(fields))
