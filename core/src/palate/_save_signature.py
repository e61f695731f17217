"""The signature of a model that is being saved: declared, or inferred from its example and what it knows itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from types import EllipsisType
from typing import Any

from palate._inference.inference import infer_outputs, infer_params, infer_schema
from palate._save_request import SaveRequest
from palate._stored.examples import map_data, split_example
from palate._warning import warn_caller
from palate.errors import InvalidSignature, Problem
from palate.pyfunc import PyFuncModel, default_method
from palate.schema import AnyType, Schema
from palate.signature import MethodSignature, Signature

__all__ = ["check_methods", "declared_signature", "feature_names", "rows_as_array", "with_outputs"]

# Enough to tell a type, and to tell the rows of an output from its columns.
_ROWS = 2
# There are methods that return a number for each pair of features: beyond this width, two rows are no small answer.
_WIDTH = 2048


def rows_as_array(example: object) -> object:
    """Return rows of numbers, ``[[1, 2], [3, 4]]``, as the array that a framework makes of them; else the same."""
    return map_data(example, _as_array)


def _as_array(data: object) -> object:
    if not (isinstance(data, list) and data and all(isinstance(row, list) and row for row in data)):
        return data
    if len({len(row) for row in data}) > 1 or {type(cell) for row in data for cell in row} - {int, float}:
        return data
    import numpy as np

    return np.array(data)


def declared_signature(request: SaveRequest, known: Schema | Signature | None) -> Signature | None:
    """What is known of the signature before the model has predicted anything."""
    data, example_params = split_example(request.example)
    if not isinstance(request.signature, EllipsisType):
        if request.signature is None or request.params is None:
            return request.signature
        return replace(request.signature, params=infer_params(request.params))
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


def check_methods(signature: Signature, methods: tuple[str, ...], recorded: str) -> None:
    """Refuse declared methods that the model has not, and what is declared of the default one in the wrong place.

    Args:
        signature: of the model that is being saved.
        methods: what the model answers to.
        recorded: the method that MLmodel names for ``predict``.

    Raises:
        InvalidSignature: with each of them.
    """
    problems = []
    for name in signature.methods:
        if name not in methods:
            message = f"is no method of this model, which has {', '.join(methods) or 'none'}"
            problems.append(Problem(("methods", name), "extra", message))
        elif name == default_method(recorded, methods):
            message = "is what predict calls: declare its outputs and params as those of the signature itself"
            problems.append(Problem(("methods", name), "wrong_value", message))
    if problems:
        raise InvalidSignature(problems)


def with_outputs(
    signature: Signature, predictions: object, model: PyFuncModel, read: Callable[[], object], *, declared: bool
) -> Signature:
    """Return *signature* with the outputs that it does not declare, as far as the model shows them.

    A method that fails on the example is left out, with a PalateWarning; so is one whose answer has no type in a
    signature.

    Args:
        signature: what is known before the model predicted.
        predictions: what the default method returned for the example.
        model: the model as it was loaded back.
        read: reads the example's data; anew for each method, because a model may change what it is given.
        declared: the caller gave the signature, and need not hear that the predictions have no type in one.

    Raises:
        InvalidSignature: the predictions have no type in a signature, and it was not *declared*.
    """
    outputs = signature.outputs
    if outputs is None:
        with suppress(InvalidSignature) if declared else nullcontext():
            outputs = infer_outputs(predictions, signature.inputs)
    return replace(signature, outputs=outputs, methods=_learn_methods(signature, model, read))


def _learn_methods(
    signature: Signature, model: PyFuncModel, read: Callable[[], object]
) -> Mapping[str, MethodSignature]:
    """Call the methods whose outputs are not declared on the first rows of the example."""
    import numpy as np

    inputs, known = signature.inputs, dict(signature.methods)
    if inputs is not None and _width(inputs) > _WIDTH:
        return known
    for method in model.methods:
        own = known.get(method, MethodSignature())
        if method == model.default_method or own.outputs is not None:
            continue
        try:
            with np.errstate(all="ignore"):
                answer = model.call(method, _first_rows(read(), inputs))
        except Exception as exc:  # the model's own
            warn_caller(
                f"{method} failed on the input example ({type(exc).__name__}), so that its outputs are not recorded"
            )
            continue
        with suppress(InvalidSignature):  # a generator, say, has no type in a signature
            known[method] = replace(own, outputs=infer_outputs(answer, inputs))
    return known


def _width(inputs: Schema) -> int:
    return len(inputs.columns) + sum(max((*tensor.shape[1:2], 0)) for tensor in inputs.tensors)


def _first_rows(data: Any, inputs: Schema | None) -> object:
    if inputs is not None and any(tensor.shape[:1] != (-1,) for tensor in inputs.tensors):
        return data  # of a fixed size
    if hasattr(data, "iloc"):
        return data.iloc[:_ROWS]
    if isinstance(data, dict):
        return {name: _first_rows(value, inputs) if hasattr(value, "shape") else value for name, value in data.items()}
    return data[:_ROWS] if isinstance(data, list) or bool(getattr(data, "shape", None)) else data
