"""Directories that go between Palate and stock MLflow, and what an outside scanner finds in ours."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate

ROOT = Path(__file__).parents[3]
DIRECTORIES = ROOT / "tests" / "data" / "mlflow_models"
FROM_MLFLOW = sorted(path.name for pattern in ("keras3_*", "tf_*") for path in DIRECTORIES.glob(pattern))
RNG = np.random.default_rng(0)
ROWS = RNG.random((5, 4), dtype="f4")
PAIR = {"left": RNG.random((5, 3), dtype="f4"), "right": RNG.random((5, 2), dtype="f4")}


@pytest.mark.parametrize("name", FROM_MLFLOW)
def test_directory_of_mlflow(keras, name):
    """A directory that MLflow saved opens without trust, and predicts what MLflow predicted."""
    model = palate.load_model(DIRECTORIES / name / "model")
    data = pickle.loads((DIRECTORIES / name / "input.pkl").read_bytes())
    expected = pickle.loads((DIRECTORIES / name / "output.pkl").read_bytes())
    np.testing.assert_allclose(model.predict(data), np.asarray(expected), rtol=1e-6)


def test_there_are_directories():
    """The directories that stock MLflow wrote are there."""
    assert len(FROM_MLFLOW) >= 3


@pytest.fixture(scope="module")
def ours(keras, tf, tmp_path_factory) -> dict[str, tuple[Path, Any]]:
    """Models of every kind, saved by Palate: their directories, and what they predict."""
    layers, root = keras.layers, tmp_path_factory.mktemp("ours")
    flat = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3)])
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = layers.Concatenate()([left, right])
    one_out = keras.Model([left, right], layers.Dense(1)(both))
    two_out = keras.Model([left, right], [layers.Dense(1, name="price")(both), layers.Dense(2, name="kind")(both)])

    class Matrix(tf.Module):
        def __init__(self, rows: int) -> None:
            super().__init__()
            self.weights = tf.Variable(RNG.random((rows, 2), dtype="f4"))

    class Plain(Matrix):
        def __call__(self, x: Any) -> Any:
            return x @ self.weights

    class Pair(Matrix):
        def __call__(self, left: Any, right: Any) -> Any:
            return {"product": left @ self.weights, "sum": tf.reduce_sum(right, 1)}

    saved = {}
    for name, model, data, how in [
        ("keras-flat", flat, ROWS, {}),
        ("keras-one_out", one_out, PAIR, {}),
        ("keras-two_out", two_out, PAIR, {}),
        ("export-flat", flat, ROWS, {"format": "saved_model"}),
        ("export-two_out", two_out, PAIR, {"format": "saved_model"}),
        ("tf-plain", Plain(4), ROWS, {}),
        ("tf-pair", Pair(3), PAIR, {}),
    ]:
        palate.save_model(model, root / name, input_example=data, **how)
        saved[name] = (root / name, palate.load_model(root / name).predict(data))
    return saved


READ = """
import json, pickle, sys, warnings
warnings.simplefilter("ignore")
try:
    import palate
    sys.exit("palate can be imported here")
except ImportError:
    pass
import numpy as np, mlflow.pyfunc
results = {}
for name, path in json.loads(sys.argv[1]).items():
    data = pickle.load(open(sys.argv[2], "rb"))["pair" if name.endswith(("out", "pair")) else "rows"]
    results[name] = mlflow.pyfunc.load_model(path).predict(data)
    loaders = {"keras": ["keras", "tensorflow"], "export": ["keras"], "tf": ["tensorflow"]}[name.split("-")[0]]
    for loader in loaders:
        module = __import__(f"mlflow.{loader}", fromlist=["x"])
        native = module.load_model(path)
        if hasattr(native, "predict"):
            results[f"{name} {loader}"] = native.predict(data, verbose=0)
pickle.dump(results, open(sys.argv[3], "wb"))
"""


def _arrays(outputs: Any) -> list[np.ndarray]:
    """Return the arrays of a prediction; MLflow returns a list where Palate has names."""
    if isinstance(outputs, dict):
        return [np.asarray(outputs[name]) for name in sorted(outputs, key=lambda n: outputs[n].shape)]
    return sorted(outputs, key=lambda a: a.shape) if isinstance(outputs, list) else [np.asarray(outputs)]


def _read_with(
    run_mlflow: Callable[..., str], ours: dict[str, tuple[Path, Any]], tmp_path: Path, version: str | None = None
) -> None:
    (tmp_path / "data.pkl").write_bytes(pickle.dumps({"rows": ROWS, "pair": PAIR}))
    paths = json.dumps({name: str(path) for name, (path, _) in ours.items()})
    run_mlflow(READ, paths, tmp_path / "data.pkl", tmp_path / "results.pkl", version=version)
    results = pickle.loads((tmp_path / "results.pkl").read_bytes())
    assert len(results) >= 10
    for name, found in results.items():
        for left, right in zip(_arrays(found), _arrays(ours[name.split()[0]][1]), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, err_msg=name)


@pytest.mark.mlflow
@pytest.mark.slow
def test_stock_mlflow_opens_ours(run_mlflow, ours, tmp_path):
    """Stock MLflow, without Palate, opens what we save in each format, both ways, and predicts the same."""
    _read_with(run_mlflow, ours, tmp_path)


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.22.0", "3.9.0"])
def test_older_mlflow_opens_ours(version, run_mlflow, ours, tmp_path):
    """So do older releases of it."""
    _read_with(run_mlflow, ours, tmp_path, version)


WRITE = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import keras, numpy as np, tensorflow as tf
import mlflow.keras, mlflow.tensorflow
from mlflow.models import infer_signature
root, K, rng = sys.argv[1], keras.layers, np.random.default_rng(0)
rows = rng.random((5, 4), dtype="f4")
flat = keras.Sequential([keras.Input((4,)), K.Dense(3)])
flat.compile("adam", "mse")
signature = infer_signature(rows, flat.predict(rows, verbose=0))
how = dict(signature=signature, pip_requirements=["keras"])
mlflow.keras.save_model(flat, root + "/keras", **how)
mlflow.keras.save_model(flat, root + "/exported", save_exported_model=True, **how)
mlflow.tensorflow.save_model(flat, root + "/tensorflow", **how)
mlflow.tensorflow.save_model(flat, root + "/legacy", keras_model_kwargs={"save_format": "h5"}, **how)
class Scale(K.Layer):
    def call(self, x):
        return x * 2
scaled = keras.Sequential([keras.Input((4,)), Scale(), K.Dense(2)])
mlflow.tensorflow.save_model(scaled, root + "/custom", custom_objects={"Scale": Scale}, **how)
left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
pair = {"left": rng.random((5, 3), dtype="f4"), "right": rng.random((5, 2), dtype="f4")}
two = keras.Model([left, right], K.Dense(1)(K.Concatenate()([left, right])))
mlflow.keras.save_model(two, root + "/pair", signature=infer_signature(pair, two.predict(pair, verbose=0)),
                        pip_requirements=["keras"])
class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(rng.random((4, 2), dtype="f4"))
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        return x @ self.w
module = Module()
mlflow.tensorflow.save_model(module, root + "/module", **how)
expected = {name: mlflow.pyfunc.load_model(f"{root}/{name}").predict(pair if name == "pair" else rows)
            for name in ("keras", "exported", "tensorflow", "legacy", "custom", "pair", "module")}
pickle.dump((rows, pair, expected), open(root + "/expected.pkl", "wb"))
"""


@pytest.mark.mlflow
@pytest.mark.slow
def test_we_open_what_stock_mlflow_saves(keras, tf, run_mlflow, tmp_path):
    """Whatever MLflow's two flavors save opens here, pickles and .h5 files only with trust, and predicts the same."""
    run_mlflow(WRITE, tmp_path)
    rows, pair, expected = pickle.loads((tmp_path / "expected.pkl").read_bytes())
    for name, predicted in expected.items():
        needs_trust = name in ("legacy", "custom")
        if needs_trust:
            with pytest.raises(palate.errors.TrustRequired):
                palate.load_model(tmp_path / name)
        model = palate.load_model(tmp_path / name, trust=needs_trust)
        found = model.predict(pair if name == "pair" else rows)
        np.testing.assert_allclose(found, predicted, rtol=1e-5, err_msg=name)


def test_estimator_section(tf, tmp_path, load):
    """The oldest kind of section, which names tags and a signature, opens and calls that signature."""
    from tf_flavor import saved_models

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def double(self, x: Any) -> Any:
            return {"doubled": 2 * x}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "old"), signatures={"predict": module.double})
    section = {"saved_model_dir": "old", "meta_graph_tags": ["serve"], "signature_def_key": "predict"}
    model = load(saved_models, tmp_path, section)
    found = saved_models.predict(model=model, data={"x": np.ones((3, 2))}, method="predict")
    assert np.array_equal(found["doubled"], np.full((3, 2), 2.0))
    with pytest.raises(palate.errors.InvalidModelFile, match="signature_def_key"):
        load(saved_models, tmp_path, {**section, "signature_def_key": "classify"})


def test_scanner_finds_no_pickle(ours, tmp_path):
    """picklescan, which looks into every archive, finds nothing to scan in our directories."""
    pytest.importorskip("picklescan")
    for path, _ in ours.values():
        command = [sys.executable, "-m", "picklescan", "--path", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Scanned files: 0" in done.stdout
