"""Serves one model of each kind, for judges of the whole API: ``python openapi_server.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

import palate
from palate.schema import Array, ColSpec, Map, Object, ParamSpec, Property, Schema, TensorSpec
from palate.serving import ServingSettings, serve

__all__ = ["CUSTOMERS", "save_models"]

CUSTOMERS = palate.Signature(
    inputs=Schema(
        (
            ColSpec(type="long", name="age", minimum=0, maximum=150),
            ColSpec(type="integer", name="visits", nullable=True),
            ColSpec(type="double", name="share", minimum=0, maximum=1, nullable=False),
            ColSpec(type="float", name="weight"),
            ColSpec(type="boolean", name="member", nullable=False),
            ColSpec(type="string", name="colour", categories=("red", "green"), closed=True),
            ColSpec(type="string", name="remark", required=False),
            ColSpec(type="datetime", name="since", timezone="Europe/Vienna"),
            ColSpec(type="binary", name="photo"),
        )
    ),
    outputs=Schema((ColSpec(type="double", name="score"), ColSpec(type="string", name="colour"))),
    params=(
        ParamSpec(name="scale", type="double", default=1.0),
        ParamSpec(name="tags", type="string", default=[], shape=(-1,)),
    ),
)
_BASKETS = palate.Signature(
    inputs=Schema(
        (
            ColSpec(type=Array("double"), name="prices"),
            ColSpec(type=Map("long"), name="counts"),
            ColSpec(type=Object((Property("name", "string"), Property("size", "long", required=False))), name="shop"),
        )
    ),
    outputs=Schema((TensorSpec(dtype="int64", shape=(-1,)),)),
)
_IMAGES = palate.Signature(
    inputs=Schema((TensorSpec(dtype="float32", shape=(-1, 2, 3)),)),
    outputs=Schema((TensorSpec(dtype="float32", shape=(-1,)),)),
)
_PAIRS = palate.Signature(
    inputs=Schema(
        (TensorSpec(dtype="float64", shape=(-1,), name="a"), TensorSpec(dtype="bool", shape=(-1,), name="b"))
    ),
    outputs=Schema((TensorSpec(dtype="float64", shape=(-1,), name="sum"),)),
)


class Customers(palate.PythonModel):
    """Scores customers."""

    def predict(self, context: object, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return a frame."""
        scale = (params or {}).get("scale")  # null unsets it
        score = model_input["age"].to_numpy() * model_input["share"].to_numpy() * (1.0 if scale is None else scale)
        return pd.DataFrame({"score": score, "colour": model_input["colour"].astype(object)})


class Baskets(palate.PythonModel):
    """Counts prices."""

    def predict(self, context: object, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return an array."""
        return np.array([len(prices) for prices in model_input["prices"]], dtype=np.int64)


class Images(palate.PythonModel):
    """Sums pixels."""

    def predict(self, context: object, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return an array, as large as there are images."""
        with np.errstate(over="ignore", invalid="ignore"):
            return model_input.sum(axis=(1, 2))


class Pairs(palate.PythonModel):
    """Sums two tensors."""

    def predict(self, context: object, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return a dict of arrays."""
        return {"sum": model_input["a"] + model_input["b"][: len(model_input["a"])].sum()}


def save_models(folder: Path) -> dict[str, Path]:
    """Save the models under *folder*; return where each is, by name."""
    flowers = pd.DataFrame({"length": [1.0, 2.0, 3.0, 4.0], "width": [1.5, 1.0, 0.5, 0.25]})
    fitted = HistGradientBoostingClassifier().fit(flowers, [0, 0, 1, 1])  # takes NaN, and doubles of any size
    palate.save_model(fitted, folder / "flowers", input_example=flowers)
    own = {"customers": (Customers, CUSTOMERS), "baskets": (Baskets, _BASKETS), "images": (Images, _IMAGES)}
    for name, (kind, signature) in {**own, "pairs": (Pairs, _PAIRS)}.items():
        palate.save_model(kind(), folder / name, signature=signature)
    return {name: folder / name for name in ("flowers", *own, "pairs")}


def main() -> int:
    """Serve until the end of the process."""
    models = save_models(Path(sys.argv[1]))
    settings = ServingSettings(port=0, trust=True, access_log="off", golden="skip")
    return serve(models, settings, on_listening=lambda found, _: print(*found, file=sys.stderr, flush=True))


if __name__ == "__main__":
    sys.exit(main())
