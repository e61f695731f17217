"""Directories whose columns have facts, in stock MLflow: it reads them, keeps them, and goes by its own rules."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")
ensemble = pytest.importorskip("sklearn.ensemble")

# Predicts on columns with and without gaps, and rewrites MLmodel as MLflow's set_signature() does.
SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, numpy as np, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
full = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 500.0]})
found = {"full": model.predict(full).tolist()}
try:
    model.predict(full.assign(a=pd.array([1, None, 3], dtype="Int64")))
    found["gaps"] = "accepted"
except mlflow.exceptions.MlflowException as exc:
    found["gaps"] = str(exc)
mlflow.models.set_signature(sys.argv[1], model.metadata.signature)
print(json.dumps(found))
"""


@pytest.mark.mlflow
@pytest.mark.slow
def test_stock_mlflow_reads_what_it_does_not_know(mlflow_python: Path, tmp_path: Path) -> None:
    """Stock MLflow predicts the same on whole columns, refuses gaps in integers, and keeps the facts."""
    frame = pd.DataFrame({"a": pd.array([1, None, 3, 4] * 5, dtype="Int64"), "b": np.arange(20) / 2})
    model = ensemble.HistGradientBoostingRegressor(min_samples_leaf=2).fit(frame, np.arange(20))
    columns = (
        ColSpec(type="long", name="a", required=False, nullable=True),
        ColSpec(type="double", name="b", minimum=0, maximum=9.5, nullable=False),
    )
    given = palate.Signature(inputs=Schema(columns))
    palate.save_model(model, tmp_path / "m", signature=given, input_example=frame[:4])
    found = _run(mlflow_python, tmp_path / "m")
    full: Any = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 500.0]})
    assert found["full"] == model.predict(full).tolist()
    assert "cannot convert NA to integer" in found["gaps"]
    read = palate.inspect_model(tmp_path / "m", verify=False).signature
    assert read is not None
    assert read.inputs == given.inputs


def _run(python: Path, directory: Path) -> dict[str, Any]:
    done = subprocess.run([python, "-c", SCRIPT, directory], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
