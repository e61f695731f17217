"""Stock MLflow reads what Palate writes, and Palate what stock MLflow writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

import palate

Script = Callable[..., str]

READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, numpy, onnx
path, rows = sys.argv[1], numpy.load(sys.argv[2])
model = mlflow.onnx.load_model(path)
print(json.dumps({
    "checked": onnx.checker.check_model(model) is None,
    "weights": int(sum(len(t.raw_data) for t in model.graph.initializer)),
    "y": mlflow.pyfunc.load_model(path).predict(rows)["y"].tolist(),
}))
"""

WRITE = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import mlflow, numpy, onnx, pandas
from mlflow.models import infer_signature
from mlflow.onnx import save_model
folder = Path(sys.argv[1])
model, total = onnx.load(folder / "matrix.onnx"), onnx.load(folder / "sum.onnx")
rows = numpy.load(folder / "rows.npy")
frame = pandas.DataFrame({"b": [0.1, 0.2, 1e-9], "a": [1.1, 2.7, 3.3], "more": [1, 2, 3]})
def keep(name, model, data, **options):
    save_model(model, folder / name, pip_requirements=["onnx", "onnxruntime"], **options)
    given = mlflow.pyfunc.load_model(str(folder / name)).predict(data)
    return {key: numpy.asarray(value).tolist() for key, value in given.items()}
copies = [onnx.ModelProto() for _ in range(4)]
for copy in copies:
    copy.CopyFrom(model)
print(json.dumps({
    "plain": keep("plain", copies[0], rows, signature=infer_signature(rows)),
    "inside": keep("inside", copies[1], rows, save_as_external_data=False),
    "options": keep("options", copies[2], rows, onnx_session_options={"intra_op_num_threads": 1},
                    onnx_execution_providers=["CPUExecutionProvider"]),
    "doubles": keep("doubles", total, frame, signature=infer_signature(frame[["a", "b"]])),
    "feed": keep("feed", total, {"a": rows[:, 0], "b": rows[:, 1]}),
}))
"""


@pytest.mark.parametrize("external", [False, True])
def test_stock_mlflow_reads_it(
    tmp_path: Path, stock_mlflow: Script, matrix_model: Any, triples: Any, external: bool
) -> None:
    """mlflow.onnx.load_model gives the graph with its weights, and mlflow.pyfunc the same predictions."""
    palate.save_model(matrix_model, tmp_path / "m", input_example=triples, save_as_external_data=external)
    numpy.save(tmp_path / "rows.npy", triples)
    given = json.loads(stock_mlflow(READ, tmp_path / "m", tmp_path / "rows.npy").splitlines()[-1])
    assert given["checked"]
    assert given["weights"] == 12000
    assert given["y"] == palate.load_model(tmp_path / "m").predict(triples)["y"].tolist()


def test_palate_reads_stock_mlflows(
    tmp_path: Path,
    stock_mlflow: Script,
    matrix_model: Any,
    sum_model: Any,
    triples: Any,
    session_of: Callable[..., Any],
) -> None:
    """Directories of stock MLflow open with the same predictions, with weights outside, options and rounded doubles."""
    (tmp_path / "matrix.onnx").write_bytes(matrix_model.SerializeToString())
    (tmp_path / "sum.onnx").write_bytes(sum_model.SerializeToString())
    numpy.save(tmp_path / "rows.npy", triples)
    wanted = json.loads(stock_mlflow(WRITE, tmp_path).splitlines()[-1])
    assert [file for file in (tmp_path / "plain").iterdir() if file.suffix == ".data"]
    frame = pandas.DataFrame({"b": [0.1, 0.2, 1e-9], "a": [1.1, 2.7, 3.3], "more": [1, 2, 3]})
    inputs = {"doubles": frame, "feed": {"a": triples[:, 0], "b": triples[:, 1]}}
    for name, answer in wanted.items():
        given = palate.load_model(tmp_path / name).predict(inputs.get(name, triples))
        assert {key: numpy.asarray(value).tolist() for key, value in given.items()} == answer, name
    assert palate.load_native(tmp_path / "plain") == matrix_model
    assert session_of(tmp_path / "options").get_session_options().intra_op_num_threads == 1
