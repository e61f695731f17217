"""Graphs that the tests share, and stock MLflow where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnx
import pandas
import pytest
import skl2onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris

import palate
import palate_onnx
from palate.hookspecs import LoadOptions

# What every onnxruntime that the plugin admits can read.
OPSET, IR_VERSION = 17, 8


def make_model(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any] = (), **more: Any) -> Any:  # type: ignore[assignment]
    """Return a whole model around some nodes."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(weights))
    imports = [helper.make_opsetid("", OPSET), *more.pop("imports", ())]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, **more)


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """Return the function that makes a model of nodes, inputs, outputs and weights."""
    return make_model


@pytest.fixture
def sum_model() -> Any:
    """Return ``total = 2 a + b`` for two named vectors of float32."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in ("a", "b", "total")]
    nodes = [helper.make_node("Add", ["a", "a"], ["twice"]), helper.make_node("Add", ["twice", "b"], ["total"])]
    return make_model(nodes, ends[:2], ends[2:])


@pytest.fixture
def matrix_model() -> Any:
    """Return ``y = x W`` with 12 kB of weights, enough for onnx to keep them in a file of their own."""
    weights = numpy.arange(3000, dtype="float32").reshape(3, 1000) / 7
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", n]) for name, n in (("x", 3), ("y", 1000))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return make_model(nodes, ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")])


@pytest.fixture
def triples() -> Any:
    """Return five rows for ``matrix_model``."""
    return numpy.arange(15, dtype="float32").reshape(5, 3)


@pytest.fixture(scope="session")
def iris() -> Any:
    """Return the measurements of 150 flowers as a DataFrame of float32, and their species."""
    frame, species = load_iris(return_X_y=True, as_frame=True)
    return frame.astype("float32"), species


@pytest.fixture(scope="session")
def iris_classifier(iris: Any) -> Any:
    """Return a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    frame, species = iris
    return LogisticRegression(max_iter=500).fit(frame.to_numpy(), species)


@pytest.fixture(scope="session")
def iris_model(iris: Any, iris_classifier: Any) -> Any:
    """Return the logistic regression as skl2onnx converts it, with probabilities as a matrix."""
    rows = iris[0].to_numpy()[:1]
    return skl2onnx.to_onnx(iris_classifier, rows, options={"zipmap": False}, target_opset=OPSET)


@pytest.fixture(scope="session")
def houses() -> Any:
    """Return a table of three kinds of columns: float64, text and int64."""
    columns = {"area": [50.0, 80.5, 120.0, 65.0], "city": ["Bern", "Graz", "Bern", "Graz"], "rooms": [1, 2, 3, 4]}
    return pandas.DataFrame(columns)


@pytest.fixture(scope="session")
def houses_model(houses: Any) -> Any:
    """Return a pipeline as skl2onnx converts it, with one input for each column."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer((StandardScaler(), ["area", "rooms"]), (OneHotEncoder(), ["city"]))
    pipeline = make_pipeline(columns, LinearRegression()).fit(houses, [300.0, 260.0, 700.0, 215.0])
    types = {"area": FloatTensorType, "city": StringTensorType, "rooms": Int64TensorType}
    initial = [(name, kind([None, 1])) for name, kind in types.items()]
    return skl2onnx.convert_sklearn(pipeline, initial_types=initial, target_opset=OPSET)


@pytest.fixture(scope="session")
def session_of() -> Callable[..., Any]:
    """Return the function that makes the session of a directory as loading does, and returns it."""

    def prepare(path: Path, **options: Any) -> Any:
        native = palate.load_native(path, **options)
        section = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))["flavors"]["onnx"]
        code: Any = None  # a graph has none
        return palate_onnx.prepare(native, path, section, LoadOptions(code=code, extra=options)).session

    return prepare


@pytest.fixture
def stock_mlflow(tmp_path: Path) -> Callable[..., str]:
    """Run a script beside stock MLflow, in an environment without Palate; return what it prints."""
    interpreter = os.environ.get("PALATE_MLFLOW_PYTHON")
    if not interpreter:
        pytest.skip("no stock MLflow: set PALATE_MLFLOW_PYTHON to the python of an environment with mlflow and onnx")

    def run(script: str, *arguments: object) -> str:
        command = [interpreter, "-c", script, *map(str, arguments)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"file:{tmp_path}/runs"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def run_child() -> Callable[..., str]:
    """Run a script in a process of its own, which a segfault may end; return what it prints."""

    def run(script: str, *arguments: object) -> str:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"it ended with {done.returncode}: {done.stderr[-2000:]}"
        return done.stdout

    return run


@pytest.fixture
def as_stranger() -> Callable[[Path, Any], Path]:
    """Return the function that puts another graph in a directory, as a stranger would: without Palate's manifest."""

    def replace(path: Path, graph: Any) -> Path:
        document = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))
        document.pop("palate", None)
        (path / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
        (path / "MANIFEST.json").unlink(missing_ok=True)
        content = graph.SerializeToString() if isinstance(graph, onnx.ModelProto) else graph
        (path / "model.onnx").write_bytes(content)
        return path

    return replace
