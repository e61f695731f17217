"""A model that does what a column of its input says, also what no model should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["save_fickle"]


def save_fickle(path: Path) -> Path:
    """Save it; its columns are ``a`` (double), ``b`` (long: what to do) and ``c`` (string), and it doubles ``a``."""
    import pandas as pd

    import palate

    class Fickle(palate.PythonModel):  # within a function, so that it is pickled by value
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            import os
            import sys
            import time

            how = int(model_input["b"].iloc[0]) if len(model_input) else 0
            if how == 101:
                raise LookupError("a secret of the model")
            if how == 102:
                return [float("nan")] * len(model_input)
            if how == 103:
                sys.exit(3)
            if how == 104:
                os._exit(3)
            if how == 105:
                time.sleep(60)
            if how == 108:
                time.sleep(0.02)
            if how == 106:
                bytearray(1 << 60)
            if how == 107:
                return object()
            return (model_input["a"] * 2).to_numpy()

    example = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2], "c": ["x", "y"]})
    palate.save_model(Fickle(), path, input_example=example)
    return path
