"""A model that moves an alias of a store while it predicts, as somebody else might at the same time."""

from __future__ import annotations

import os

import pandas as pd

import palate
from palate.store import open_store

__all__ = ["RacingModel"]


class RacingModel(palate.PythonModel):
    """Says whether a + 0.7 b is positive; with RACE set, lets sign@champion lead to version 3 at every call."""

    def predict(self, context: object, model_input: pd.DataFrame) -> pd.Series:
        """Return what is true."""
        if "RACE" in os.environ:
            open_store().set_alias("sign", "champion", 3)
        return (model_input["a"] + 0.7 * model_input["b"] > 0).astype(int)
