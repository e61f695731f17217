"""Saves models whose answers show what they were given; run as a script, so that stock MLflow opens their classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import palate
from palate.schema import ColSpec, ParamSpec, Schema, TensorSpec
from palate.signature import Signature

TYPES = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


class Giver(palate.PythonModel):
    """Answers with its input."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return what came."""
        return model_input


class Scaler(palate.PythonModel):
    """Uses params."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return numbers."""
        return (model_input["a"] * params["scale"] + params["shift"]).to_numpy()


class Teller(palate.PythonModel):
    """Answers in many containers."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return what the first cell names."""
        frame = pd.DataFrame({"n": [1, 2], "x": [0.5, float("nan")], "t": ["a", None]})
        known = {
            "vector": np.array([0.1, 2.0]),
            "single": np.array([0.1, 2.0], dtype=np.float32),
            "matrix": np.array([[1, 2], [3, 4]]),
            "truth": np.array([True, False]),
            "words": np.array(["a", "b"]),
            "objects": np.array(["a", 1, None], dtype=object),
            "nan": np.array([1.0, float("nan"), float("inf")]),
            "frame": frame,
            "series": pd.Series([1.5, 2.5], name="y"),
            "nameless": pd.Series([1, 2]),
            "list": [1, 2.5, "x", None],
            "dict": {"a": np.array([1, 2]), "b": ["x"]},
            "records": [{"a": 1, "b": [1.5]}, {"a": 2, "b": []}],
            "text": "just text",
            "number": 4.5,
            "nothing": None,
            "zero": np.zeros((0, 2)),
            "scalar": np.float64(1.5),
            "dates": pd.DataFrame({"d": pd.to_datetime(["2026-01-02T03:04:05.5", "2026-01-02"], format="ISO8601")}),
        }
        return known[str(model_input.iloc[0, 0])]


def shout(model_input: list[str]) -> list[str]:
    """Return it louder."""
    return [item + "!" for item in model_input]


def save_all(folder: Path) -> None:
    """Save each model under its name."""
    from sklearn.linear_model import LinearRegression, LogisticRegression

    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(60, 3)), columns=list("abc"))
    palate.save_model(LogisticRegression().fit(frame, frame["a"] > 0), folder / "table", input_example=frame[:2])
    array = frame.to_numpy()
    palate.save_model(LinearRegression().fit(array, array[:, :2]), folder / "array", input_example=array[:2])
    columns = Schema(tuple(ColSpec(type=kind, name=kind) for kind in TYPES))
    tensors = (TensorSpec(dtype="float64", shape=(-1, 2), name="m"), TensorSpec(dtype="int64", shape=(-1,), name="v"))
    params = (ParamSpec(name="scale", type="double", default=2.0), ParamSpec(name="shift", type="long", default=0))
    number, word = Schema((ColSpec(type="double", name="a"),)), Schema((ColSpec(type="string", name="kind"),))
    given = {
        "types": (Giver(), Signature(inputs=columns)),
        "tensors": (Giver(), Signature(inputs=Schema(tensors))),
        "open": (Giver(), None),
        "params": (Scaler(), Signature(inputs=number, params=params)),
        "outputs": (Teller(), Signature(inputs=word)),
    }
    for name, (model, signature) in given.items():
        palate.save_model(model, folder / name, signature=signature)
    palate.save_model(shout, folder / "hints", input_example=["a"])


if __name__ == "__main__":
    save_all(Path(sys.argv[1]))
