"""Directories that go between Palate and stock MLflow, and what an outside scanner finds in ours."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import yaml
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklearn_flavor

DIRECTORIES = Path(__file__).parents[3] / "tests" / "data" / "mlflow_models"
FROM_MLFLOW = sorted(path.name for path in DIRECTORIES.glob("sk_*"))
X, Y = load_iris(return_X_y=True)

MODELS: dict[str, Any] = {
    "forest": RandomForestClassifier(5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5),
    "histogram": HistGradientBoostingClassifier(max_iter=3),
    "neighbours": KNeighborsClassifier(algorithm="kd_tree"),
    "pipeline": make_pipeline(
        make_column_transformer((FunctionTransformer(np.log1p), [0, 1]), remainder=StandardScaler()),
        RandomForestClassifier(3, random_state=0),
    ),
}


def test_there_are_directories():
    """The directories that stock MLflow wrote are there."""
    assert len(FROM_MLFLOW) >= 4


@pytest.mark.parametrize("name", FROM_MLFLOW)
def test_directory_of_mlflow(name, load):
    """A directory that MLflow saved loads, a .skops file without trust, and predicts what MLflow predicted."""
    pytest.importorskip("pyarrow")  # pandas 3 pickled the inputs with it
    path = DIRECTORIES / name / "model"
    document = yaml.safe_load((path / "MLmodel").read_text())
    section, pyfunc = document["flavors"]["sklearn"], document["flavors"]["python_function"]
    trust = bool(sklearn_flavor.executes_code(config=section))
    assert trust == (section["serialization_format"] != "skops")
    model = load(path, section, trust=trust)
    data = pickle.loads((DIRECTORIES / name / "input.pkl").read_bytes())
    expected = pickle.loads((DIRECTORIES / name / "output.pkl").read_bytes())
    found = sklearn_flavor.predict(model=model, data=data, method=pyfunc["predict_fn"], params={}, enforced=False)
    assert np.array_equal(np.asarray(found), np.asarray(expected))


READ = """
import json, sys, numpy as np, warnings
warnings.simplefilter("ignore")
try:
    import palate
    sys.exit("palate can be imported here")
except ImportError:
    pass
import mlflow.pyfunc, mlflow.sklearn
data = np.load(sys.argv[2])
for path in json.loads(sys.argv[1]):
    native, model = mlflow.sklearn.load_model(path), mlflow.pyfunc.load_model(path)
    np.save(path + "/native.npy", native.predict(data))
    np.save(path + "/pyfunc.npy", model.predict(data))
"""


@pytest.mark.mlflow
@pytest.mark.slow
def test_stock_mlflow_opens_ours(run_mlflow, tmp_path):
    """Stock MLflow, without Palate, opens what we write in each format and predicts the same."""
    from palate.hookspecs import SaveOptions

    paths, expected = [], {}
    for format_ in sklearn_flavor.FORMATS:
        for name, model in MODELS.items():
            model.fit(X, Y)
            path = tmp_path / f"{name}-{format_}"
            path.mkdir()
            section = sklearn_flavor.save_model(model=model, path=path, options=SaveOptions(format=format_))
            flavors = {"python_function": sklearn_flavor.pyfunc_section(config=section), "sklearn": section}
            (path / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
            paths.append(str(path))
            expected[str(path)] = model.predict(X)
    np.save(tmp_path / "data.npy", X)
    run_mlflow(READ, json.dumps(paths), tmp_path / "data.npy")
    for path in paths:
        for kind in ("native", "pyfunc"):
            assert np.array_equal(np.load(f"{path}/{kind}.npy"), expected[path]), (path, kind)


def test_scanner_finds_no_pickle(save):
    """picklescan, which looks into every archive, finds nothing to scan in a default directory."""
    pytest.importorskip("picklescan")
    model = make_pipeline(FunctionTransformer(np.log1p), KNeighborsClassifier(algorithm="kd_tree")).fit(X, Y)
    path, _ = save(model)
    command = [sys.executable, "-m", "picklescan", "--path", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Scanned files: 0" in done.stdout


def test_sparse_attributes_survive(save, load):
    """An estimator that holds a sparse matrix holds the same one after loading."""
    model = KNeighborsClassifier(algorithm="brute").fit(sp.csr_matrix(X), Y)
    path, section = save(model)
    loaded = load(path, section)
    assert (loaded._fit_X != model._fit_X).nnz == 0
    assert np.array_equal(loaded.predict(sp.csr_matrix(X)), model.predict(sp.csr_matrix(X)))
