"""What models are given of each row: the columns of their signatures, or all that are nothing else's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palate.codecs import DataFormat
from palate.datasets import Dataset, open_dataset
from palate.evaluation._near_names import listed_names
from palate.evaluation.errors import InputsNotFound
from palate.pyfunc import PyFuncModel
from palate.schema import Schema, TensorSpec

__all__ = ["input_names", "inputs_note", "open_rows", "require_inputs"]


def open_rows(
    data: Any, models: Sequence[PyFuncModel], *, named: bool, format: DataFormat | None, delimiter: str | None
) -> Dataset:
    """Return the rows that some models are asked about.

    Text is read by the signatures that name columns. Where none does, and columns are asked for by name (*named*), the
    rows tell their types: a nameless signature would take them all, target and weights too.
    """
    if isinstance(data, Dataset):
        return data
    declared = [schema for schema in map(_declared, models) if schema is not None]
    with_names = [schema for schema in declared if schema.is_named]
    if with_names:
        same = [schema for schema in with_names if schema.is_tensor == with_names[0].is_tensor]
        fields = {field.name: field for schema in same for field in schema}
        return open_dataset(data, format=format, delimiter=delimiter, schema=Schema(tuple(fields.values())))
    schema = declared[0] if declared and not named else None
    return open_dataset(data, format=format, delimiter=delimiter, schema=schema)


def input_names(model: PyFuncModel, dataset: Dataset, free: set[str], by: Sequence[str]) -> list[str] | None:
    """Return the columns that a model is given; None for an array, whose columns have no names.

    Args:
        model: the model.
        dataset: the rows.
        free: target and weights.
        by: what rows are divided by: a model that names no columns is given these only if they are among as many as
            it takes.
    """
    if dataset.columns is None:
        return None
    declared = _declared(model)
    if declared is not None and declared.is_named:
        named = {str(field.name) for field in declared}
        return [name for name in dataset.columns if name in named]
    names = [name for name in dataset.columns if name not in free]
    return names if declared is None or _width(declared) == len(names) else [name for name in names if name not in by]


def require_inputs(model: PyFuncModel, dataset: Dataset) -> None:
    """Raise InputsNotFound for columns of a model's signature that the rows lack."""
    declared = _declared(model)
    if dataset.columns is None or declared is None or not declared.is_named:
        return
    needed = [str(field.name) for field in declared if field.required]
    if missing := [name for name in needed if name not in dataset.columns]:
        raise InputsNotFound(model.location.uri, missing=missing, data=dataset.description, known=dataset.columns)


def inputs_note(model: PyFuncModel, names: Sequence[str] | None) -> str:
    """Return what was given to a model that says how many columns it takes, and not which."""
    declared = _declared(model)
    if names is None or declared is None or declared.is_named:
        return ""
    return f"The model names no columns: it was given {listed_names(names)}, in this order."


def _declared(model: PyFuncModel) -> Schema | None:
    return model.signature.inputs if model.signature is not None else None


def _width(declared: Schema) -> int | None:
    """Return how many columns a nameless input has; None where the signature leaves that open."""
    fields = list(declared)
    if isinstance(fields[0], TensorSpec):
        return fields[0].shape[1] if len(fields[0].shape) == 2 else None
    return len(fields)
