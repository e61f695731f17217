"""The models that serving.py serves, in the forms that each server opens, and the rows it asks them about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["COLUMNS", "KINDS", "MODEL_NAME", "Served", "prepare", "rows_of"]

COLUMNS = [f"feature_{number:02}" for number in range(30)]
KINDS = ("lr", "xgb")
# What clients call the model in URLs.
MODEL_NAME = "model"
_MLSERVER = {"lr": "mlserver_sklearn.SKLearnModel", "xgb": "mlserver_xgboost.XGBoostModel"}
_NATIVE = {
    "lr": "import sys, joblib, numpy; model = joblib.load(sys.argv[1])",
    "xgb": "import sys, xgboost, numpy; model = xgboost.XGBClassifier(); model.load_model(sys.argv[1])",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One trained model, everywhere it was saved; all of them predict the same.

    Attributes:
        kind: one of KINDS.
        columns: Palate's directory with a signature of 30 named double columns, fitted on a DataFrame.
        tensor: its twin with a tensor signature, fitted on an array.
        native: the twin's own file: joblib or UBJSON.
        mlserver: MLServer's folder with that file.
        predict: the twin's own predict.
    """

    kind: str
    columns: Path
    tensor: Path
    native: Path
    mlserver: Path
    predict: Any

    @property
    def load(self) -> str:
        """A program that opens the native file, whose path it is given, with the framework alone."""
        return _NATIVE[self.kind]

    @property
    def predict_row(self) -> str:
        """What then predicts a row."""
        return f"model.predict(numpy.zeros((1, {len(COLUMNS)})))"


def rows_of(count: int) -> Any:
    """Return *count* rows, the same ones each time."""
    import numpy as np

    return np.random.default_rng(7).standard_normal((count, len(COLUMNS)))


def prepare(folder: Path, kinds: Sequence[str]) -> dict[str, Served]:
    """Train and save."""
    return {kind: _prepare(folder / kind, kind) for kind in kinds}


def _prepare(folder: Path, kind: str) -> Served:
    import numpy as np
    import pandas as pd

    import palate

    folder.mkdir()
    X = np.random.default_rng(0).standard_normal((4000, len(COLUMNS)))
    y = (X[:, :10].sum(axis=1) + np.sin(3 * X[:, 10]) > 0).astype("i8")
    frame = pd.DataFrame(X, columns=COLUMNS)
    for name, data in (("columns", frame), ("tensor", X)):
        model = _estimator(kind).fit(data, y)
        example = data[:5]
        signature = palate.infer_signature(example, model.predict(example))
        palate.save_model(model, folder / name, signature=signature, input_example=example)
    native = _save_natively(model, folder, kind)
    mlserver = _save_for_mlserver(native, folder / "mlserver", kind)
    return Served(
        kind=kind,
        columns=folder / "columns",
        tensor=folder / "tensor",
        native=native,
        mlserver=mlserver,
        predict=model.predict,
    )


def _estimator(kind: str) -> Any:
    if kind == "lr":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression()
    import xgboost

    return xgboost.XGBClassifier(n_estimators=100, n_jobs=1)


def _save_natively(model: Any, folder: Path, kind: str) -> Path:
    if kind == "lr":
        import joblib

        joblib.dump(model, folder / "model.joblib")
        return folder / "model.joblib"
    model.save_model(folder / "model.ubj")
    return folder / "model.ubj"


def _save_for_mlserver(native: Path, folder: Path, kind: str) -> Path:
    folder.mkdir()
    settings = {"name": MODEL_NAME, "implementation": _MLSERVER[kind], "parameters": {"uri": str(native)}}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return folder
