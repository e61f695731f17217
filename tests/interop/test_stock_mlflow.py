"""Directories travel between Palate and stock MLflow, both ways, with neither installed beside the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MLFLOW_MODELS = HERE.parent / "data" / "mlflow_models"


def run(python: str, script: str, argument: Path) -> dict[str, str]:
    """Run one of the scripts beside this file and return the JSON object it prints last."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONWARNINGS"] = "ignore"
    command = [python, str(HERE / script), str(argument)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=argument)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}


def failures(results: dict[str, str]) -> str:
    """Return what went wrong, one case a paragraph."""
    return "\n".join(f"{name}: {outcome}" for name, outcome in results.items() if outcome != "ok")


def test_every_directory_of_mlflow_opens_without_mlflow_and_predicts_the_same() -> None:
    """Each sklearn and pyfunc directory predicts what stock MLflow wrote down, with ``import mlflow`` impossible."""
    results = run(sys.executable, "palate_opens.py", MLFLOW_MODELS)
    assert len(results) == 23
    assert not failures(results)


@pytest.mark.mlflow
@pytest.mark.slow
def test_models_that_mlflow_saves_now_open_without_it_and_predict_the_same(mlflow_python: str, tmp_path: Path) -> None:
    """Directories of many more kinds, written on the spot by the installed MLflow."""
    models = tmp_path / "models"
    models.mkdir()
    saved = run(mlflow_python, "mlflow_saves.py", models)
    results = run(sys.executable, "palate_opens.py", models)
    assert results.keys() == saved.keys()
    assert len(results) > 30
    assert not failures(results)


@pytest.mark.mlflow
@pytest.mark.slow
def test_every_kind_of_directory_of_palate_opens_in_stock_mlflow(mlflow_python: str, tmp_path: Path) -> None:
    """Models of every kind open through mlflow.pyfunc and mlflow.sklearn without Palate and predict the same."""
    run(sys.executable, "palate_saves.py", tmp_path)
    results = run(mlflow_python, "mlflow_opens.py", tmp_path)
    assert len(results) == 25
    assert not failures(results)
