"""Directories that go between Palate and stock MLflow, of today and of before, and what an outside scanner finds."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
import yaml

import palate
import xgboost_flavor

DIRECTORIES = Path(__file__).parents[3] / "tests" / "data" / "mlflow_models"
FROM_MLFLOW = sorted(path.name for path in DIRECTORIES.glob("xgb_*"))


def test_there_are_directories():
    """The directories that stock MLflow wrote are there."""
    assert len(FROM_MLFLOW) >= 2


@pytest.mark.parametrize("name", FROM_MLFLOW)
def test_directory_of_mlflow(name):
    """A directory that MLflow saved opens without trust and predicts what MLflow predicted."""
    pytest.importorskip("pyarrow")  # pandas 3 pickled the inputs with it
    model = palate.load_model(DIRECTORIES / name / "model")
    data = pickle.loads((DIRECTORIES / name / "input.pkl").read_bytes())
    expected = pickle.loads((DIRECTORIES / name / "output.pkl").read_bytes())
    found = model.predict(data)
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    assert np.asarray(found).dtype == np.asarray(expected).dtype


READ = """
import json, sys, warnings
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
try:
    import palate
    sys.exit("palate can be imported here")
except ImportError:
    pass
import mlflow, mlflow.pyfunc, mlflow.xgboost, xgboost
if len(sys.argv) > 2:
    assert mlflow.__version__ == sys.argv[2], mlflow.__version__
for path in json.loads(sys.argv[1]):
    data = pd.read_json(path + "/../data.json", orient="table").drop(columns="index")
    data = data.astype({name: "category" for name in ("text", "number") if name in data})
    if "array" in path or "binary" in path:
        data = data.to_numpy()
    native = mlflow.xgboost.load_model(path)
    table = xgboost.DMatrix(data, enable_categorical=True) if type(native) is xgboost.Booster else data
    np.save(path + "/native.npy", native.predict(table))
    np.save(path + "/pyfunc.npy", mlflow.pyfunc.load_model(path).predict(data))
"""


# MLflow makes a DMatrix without categories of what a Booster is given.
WITHOUT_PYFUNC = {"category booster"}
IN_BOTH_FORMATS = {"classifier", "array booster", "linear", "vectors"}


def save_all(models: Any, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Save every model through the public door, some in each format, with its data beside it."""
    paths, expected = [], {}
    for name, (model, data) in models.items():
        if name in WITHOUT_PYFUNC:
            continue
        place = folder / name
        place.mkdir()
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data, columns=list("abcd"))
        frame.reset_index().to_json(place / "data.json", orient="table", double_precision=15, index=False)
        # MLflow turns no column into a category, nor one of categories into text.
        known = {"signature": None} if name == "categories" else {"input_example": data[:3]}
        for format_ in xgboost_flavor.FORMATS if name in IN_BOTH_FORMATS else ("ubj",):
            path = place / format_
            palate.save_model(model, path, format=format_, **known)
            paths.append(str(path))
            expected[str(path)] = palate.load_model(path).predict(data)
    return paths, expected


@pytest.mark.mlflow
@pytest.mark.slow
def test_stock_mlflow_opens_ours(run_mlflow, models, tmp_path):
    """Stock MLflow, without Palate, opens every kind of model that we write and predicts the same."""
    paths, expected = save_all(models, tmp_path)
    run_mlflow(READ, json.dumps(paths))
    for path in paths:
        for kind in ("native", "pyfunc"):
            assert np.array_equal(np.load(f"{path}/{kind}.npy"), expected[path], equal_nan=True), (path, kind)


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.22.0", "3.9.0"])
def test_older_mlflow_opens_ours(version, run_mlflow, models, tmp_path):
    """MLflow of earlier releases opens boosters and estimators of both formats."""
    chosen = {name: models[name] for name in ("classifier", "array booster", "tree booster")}
    paths, expected = save_all(chosen, tmp_path)
    run_mlflow(READ, json.dumps(paths), version, version=version)
    for path in paths:
        assert np.array_equal(np.load(f"{path}/pyfunc.npy"), expected[path]), path


WRITE = """
import sys, warnings
import numpy as np, pandas as pd, xgboost as xgb
warnings.simplefilter("ignore")
import mlflow.xgboost
from mlflow.models import infer_signature
rng = np.random.default_rng(0)
frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])
mixed = frame.assign(kind=pd.Categorical(rng.integers(0, 3, 80).astype(str)))
label = (frame["a"] + frame["b"] > 0).astype(int)
small = {"n_estimators": 3, "max_depth": 3}
train = lambda data, **params: xgb.train({"max_depth": 3, **params}, xgb.DMatrix(data, label), 3)
kinds = {
    "classifier": (xgb.XGBClassifier(**small).fit(frame, label), frame),
    "regressor": (xgb.XGBRegressor(**small).fit(frame.to_numpy(), label), frame.to_numpy()),
    "ranker": (xgb.XGBRanker(**small).fit(frame, label, group=[40, 40]), frame),
    "forest": (xgb.XGBRFClassifier(**small).fit(frame, label), frame),
    "categories": (xgb.XGBClassifier(**small, enable_categorical=True).fit(mixed, label), mixed),
    "booster": (train(frame), frame),
    "dart": (train(frame, booster="dart"), frame),
    "linear": (train(frame, booster="gblinear"), frame),
}
for name, (model, data) in kinds.items():
    for format_ in ("ubj", "json", "xgb"):
        path = f"{sys.argv[1]}/{name}-{format_}"
        example = {"input_example": data[:3]} if format_ == "ubj" and name != "categories" else {}
        # Named requirements keep MLflow from loading each model in a process of its own to find them out.
        mlflow.xgboost.save_model(model, path, model_format=format_, pip_requirements=["xgboost"], **example)
        loaded = mlflow.pyfunc.load_model(path)
        np.save(path + ".npy", loaded.predict(data))
        pd.DataFrame(data, columns=getattr(data, "columns", None)).to_pickle(path + ".pkl")
with_params = infer_signature(frame, np.zeros(80, "float32"), {"pred_leaf": False, "iteration_range": [0, 0]})
named = {"signature": with_params, "pip_requirements": ["xgboost"]}
mlflow.xgboost.save_model(kinds["booster"][0], sys.argv[1] + "/params-ubj", **named)
loaded = mlflow.pyfunc.load_model(sys.argv[1] + "/params-ubj")
np.save(sys.argv[1] + "/params-ubj.npy", loaded.predict(frame, {"pred_leaf": True, "iteration_range": [0, 2]}))
frame.to_pickle(sys.argv[1] + "/params-ubj.pkl")
"""


@pytest.mark.mlflow
@pytest.mark.slow
def test_what_stock_mlflow_writes(run_mlflow, tmp_path):
    """Directories that MLflow makes of every kind of model, in every format, open and predict the same."""
    run_mlflow(WRITE, tmp_path)
    written = sorted(path for path in tmp_path.iterdir() if (path / "MLmodel").exists())
    assert len(written) == 25
    for path in written:
        data = pd.read_pickle(f"{path}.pkl")
        data = data.to_numpy() if "regressor" in path.name else data
        params = {"pred_leaf": True, "iteration_range": [0, 2]} if "params" in path.name else None
        found = palate.load_model(path).predict(data, params)
        assert np.array_equal(found, np.load(f"{path}.npy")), path.name


def test_unknown_loader_options_survive(models, tmp_path):
    """The keys beside MLflow's own are in the flavor's section only, which MLflow does not read further."""
    palate.save_model(models["regressor"][0], tmp_path / "model")
    flavors = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())["flavors"]
    assert flavors["python_function"]["loader_module"] == "mlflow.xgboost"
    assert "params" not in flavors["python_function"]
    assert "config" not in flavors["python_function"]


@pytest.mark.parametrize("format_", xgboost_flavor.FORMATS)
def test_scanner_finds_no_pickle(format_, models, tmp_path):
    """picklescan, which looks into every file, finds nothing to scan in our directories."""
    pytest.importorskip("picklescan")
    for name in ("classifier", "category booster"):
        model, data = models[name]
        palate.save_model(model, tmp_path / name, input_example=data[:3], format=format_)
    command = [sys.executable, "-m", "picklescan", "--path", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Scanned files: 0" in done.stdout
    assert isinstance(palate.load_native(tmp_path / "category booster"), xgb.Booster)
