"""What a fitted estimator knows of its input: column names, and the categories that its encoders saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from palate.schema import AnyType, ColSpec, Schema

__all__ = ["input_schema"]


def input_schema(model: Any) -> Schema | None:
    """Return the named columns that *model* was fitted on, or None when it was fitted on arrays."""
    names = getattr(model, "feature_names_in_", None)
    if names is None or not len(names):
        return None
    columns = [str(name) for name in names]
    known = dict(_categories(model, columns))
    return Schema(tuple(ColSpec(type=AnyType(), name=name, categories=known.get(name)) for name in columns))


def _categories(model: Any, columns: Sequence[str]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the columns of which an encoder reached by them unchanged knows every category."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        while len(steps) > 1 and _keeps_columns(steps[0], len(columns)):
            steps.pop(0)
        if steps:
            yield from _categories(steps[0], columns)
    elif isinstance(model, ColumnTransformer):
        for _, step, selection in model.transformers_:
            names = _selected(selection, columns)
            if names and not isinstance(step, str):
                yield from _categories(step, names)
    elif isinstance(model, OneHotEncoder | OrdinalEncoder) and len(model.categories_) == len(columns):
        for name, values in zip(columns, model.categories_, strict=True):
            yield name, tuple(value for value in values.tolist() if value is not None and value == value)
    else:
        front = getattr(model, "_preprocessor", None)  # histogram gradient boosting encodes its own categories
        if isinstance(front, ColumnTransformer):
            yield from _categories(front, columns)


def _keeps_columns(step: Any, count: int) -> bool:
    """Whether *step* hands on each column in its place: an imputer that dropped none and added none."""
    from sklearn.impute import SimpleImputer

    if not isinstance(step, SimpleImputer) or step.add_indicator:
        return False
    return len(step.statistics_) == count and (step.keep_empty_features or all(v == v for v in step.statistics_))


def _selected(selection: Any, columns: Sequence[str]) -> list[str]:
    """Return the names of the columns that a ColumnTransformer hands to a step; empty when that is not certain."""
    if isinstance(selection, str | int):
        selection = [selection]
    if isinstance(selection, slice):
        steps = (selection.start, selection.stop, selection.step)
        return list(columns[selection]) if all(step is None or isinstance(step, int) for step in steps) else []
    chosen = list(selection) if hasattr(selection, "__iter__") else []
    if all(isinstance(item, str) for item in chosen):
        return [item for item in chosen if item in columns]
    if len(chosen) == len(columns) and all(type(item).__name__ in ("bool", "bool_") for item in chosen):
        return [name for name, taken in zip(columns, chosen, strict=True) if taken]
    if all(hasattr(item, "__index__") and -len(columns) <= item < len(columns) for item in chosen):
        return [columns[item] for item in chosen]
    return []
