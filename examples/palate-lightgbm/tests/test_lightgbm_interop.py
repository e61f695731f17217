"""Directories that go between Palate and stock MLflow."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import lightgbm
import numpy as np
import pytest

import palate

SAVE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import lightgbm, mlflow.lightgbm, numpy as np, pandas as pd
folder = sys.argv[1]
frame = pd.read_json(folder + "/data.json", orient="table").drop(columns="index")
target = (frame["age"] > 40).to_numpy() + (frame["member"]).to_numpy().astype(int)
params = {"n_estimators": 4, "num_leaves": 6, "verbosity": -1}
classifier = lightgbm.LGBMClassifier(**params).fit(frame, np.array(["a", "b", "c"])[target])
regressor = lightgbm.LGBMRegressor(**params).fit(frame, target)
saved = {
    "booster": (classifier.booster_, {}),
    "skops": (classifier, {}),
    "pickle": (regressor, {"serialization_format": "pickle"}),
    "cloudpickle": (classifier, {"serialization_format": "cloudpickle"}),
}
requirements = [f"lightgbm=={lightgbm.__version__}"]
for name, (model, options) in saved.items():
    mlflow.lightgbm.save_model(model, f"{folder}/{name}", pip_requirements=requirements, **options)
    with open(f"{folder}/{name}.json", "w") as file:
        json.dump(np.asarray(model.predict(frame)).tolist(), file)
"""

OPEN = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow.lightgbm, mlflow.pyfunc, numpy as np, pandas as pd
folder = sys.argv[1]
frame = pd.read_json(folder + "/data.json", orient="table").drop(columns="index")
for name in sys.argv[2:]:
    path = f"{folder}/{name}"
    native = mlflow.lightgbm.load_model(path)
    try:
        found = np.asarray(mlflow.pyfunc.load_model(path).predict(frame)).tolist()
    except ImportError as exc:
        found = str(exc)
    with open(path + ".json", "w") as file:
        answer = np.asarray(native.predict(frame)).tolist()
        json.dump({"type": type(native).__name__, "native": answer, "pyfunc": found}, file)
"""


@pytest.fixture
def run_beside_mlflow(tmp_path, numbers):
    """Run a script beside stock MLflow, in an environment without Palate, with the data in a folder."""
    python = os.environ.get("PALATE_MLFLOW_PYTHON")
    if not python:
        pytest.skip(
            "no stock MLflow: set PALATE_MLFLOW_PYTHON to the python of an environment with mlflow and lightgbm"
        )
    numbers.reset_index().to_json(tmp_path / "data.json", orient="table", double_precision=15, index=False)

    def run(script, *arguments):
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"file:{tmp_path}/runs"}
        command = [python, "-c", script, str(tmp_path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]

    return run


def read(path):
    """Return what a script beside MLflow found."""
    return json.loads(Path(path).read_text())


def test_directories_of_mlflow(run_beside_mlflow, numbers, tmp_path):
    """What stock MLflow saved opens here and predicts the same: boosters without trust, estimators with it."""
    run_beside_mlflow(SAVE)
    for name in ("booster", "pickle", "cloudpickle", "skops"):
        path = tmp_path / name
        assert palate.inspect_model(path).trust_needed == (name != "booster")
        opened = palate.load_model(path, trust=name != "booster")
        assert np.asarray(opened.predict(numbers)).tolist() == read(f"{path}.json")


def test_directories_for_mlflow(run_beside_mlflow, numbers, target, tmp_path):
    """Stock MLflow opens what was saved here: the same predictions, or an error where it would answer otherwise."""
    params = {"n_estimators": 4, "num_leaves": 6, "verbosity": -1}
    classifier = lightgbm.LGBMClassifier(**params).fit(numbers, target)
    regressor = lightgbm.LGBMRegressor(**params).fit(numbers, target)
    models = {
        "booster": (classifier.booster_, {}),
        "regressor": (regressor, {}),
        "classifier": (classifier, {}),
        "pickle": (classifier, {"format": "pickle"}),
        "cloudpickle": (regressor, {"format": "cloudpickle"}),
    }
    for name, (model, options) in models.items():
        palate.save_model(model, tmp_path / name, input_example=numbers[:5], **options)
    run_beside_mlflow(OPEN, *models)
    found = {name: read(tmp_path / f"{name}.json") for name in models}
    types = {name: found[name]["type"] for name in models}
    assert types == {
        "booster": "Booster",
        "regressor": "Booster",
        "classifier": "Booster",
        "pickle": "LGBMClassifier",
        "cloudpickle": "LGBMRegressor",
    }
    assert found["classifier"]["native"] == classifier.booster_.predict(numbers).tolist()
    assert "palate" in found["classifier"]["pyfunc"]
    for name in models.keys() - {"classifier"}:
        expected = models[name][0].predict(numbers).tolist()
        assert found[name]["native"] == found[name]["pyfunc"] == expected


def test_skops_for_mlflow(run_beside_mlflow, numbers, target, tmp_path):
    """Stock MLflow opens every estimator in its own default format, those that it does not list itself too."""
    params = {"n_estimators": 4, "num_leaves": 6, "verbosity": -1}
    models = {
        "classifier": lightgbm.LGBMClassifier(**params).fit(numbers, target),
        "ranker": lightgbm.LGBMRanker(**params).fit(numbers, target, group=[100, 200]),
    }
    for name, model in models.items():
        palate.save_model(model, tmp_path / name, format="skops", input_example=numbers[:5])
    run_beside_mlflow(OPEN, *models)
    for name, model in models.items():
        found = read(tmp_path / f"{name}.json")
        assert found["type"] == type(model).__name__
        assert found["pyfunc"] == model.predict(numbers).tolist()
