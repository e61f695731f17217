"""Models for tests of evaluation that predict what their input says, so that a test decides every prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

import palate
from palate.pyfunc import PyFuncModel


class Columns(palate.PythonModel):
    """Predicts the columns that are called p, p0, p1, …: one is a value a row, several are a row of values."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the columns."""
        names = [name for name in model_input.columns if name[0] == "p"]
        values = model_input[names].to_numpy()
        return values[:, 0] if names == ["p"] else values


class Chosen(palate.PythonModel):
    """Predicts one column."""

    def __init__(self, column: str) -> None:
        self.column = column

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the column."""
        return model_input[self.column].to_numpy()


class Named(palate.PythonModel):
    """Predicts all columns but x, as a frame."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the columns."""
        return model_input.drop(columns="x")


class Short(palate.PythonModel):
    """Leaves the last row out."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return one value too few."""
        return np.zeros(len(model_input) - 1)


def saved(model: object, sample: Any, path: Any) -> PyFuncModel:
    """Save a model and return it as it is loaded again."""
    palate.save_model(model, path, input_example=sample)
    return palate.load_model(path, trust=True)
