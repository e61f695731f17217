"""Directories that go between Palate and stock MLflow, and what an outside scanner finds in ours."""

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
import torch
import yaml
from torch import nn

import palate
import torch_flavor

ROOT = Path(__file__).parents[3]
DIRECTORIES = ROOT / "tests" / "data" / "mlflow_models"
FROM_MLFLOW = sorted(path.name for path in DIRECTORIES.glob("torch_*"))
RANDOM = np.random.default_rng(0)


def test_there_are_directories():
    """The directories that stock MLflow wrote are there, of both of its formats."""
    assert {"torch_pickle_seq", "torch_pt2_default"} <= set(FROM_MLFLOW)


@pytest.mark.parametrize("name", FROM_MLFLOW)
def test_directory_of_mlflow(name):
    """A directory that MLflow saved predicts what MLflow predicted: a graph without trust, sample inputs and all."""
    path = DIRECTORIES / name / "model"
    section = yaml.safe_load((path / "MLmodel").read_text())["flavors"]["pytorch"]
    reasons = torch_flavor.executes_code(path=path, config=section)
    assert bool(reasons) == ("pickle" in name)
    data = pickle.loads((DIRECTORIES / name / "input.pkl").read_bytes())
    expected = pickle.loads((DIRECTORIES / name / "output.pkl").read_bytes())
    found = palate.load_model(path, trust=bool(reasons)).predict(data)
    assert np.allclose(np.asarray(found), np.asarray(expected), atol=1e-6)


def floats(*shape: int) -> np.ndarray:
    """Return an array of float32."""
    return RANDOM.standard_normal(shape).astype("float32")


class Pair(nn.Module):
    """Two inputs, outputs by name, one of them bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, left: torch.Tensor, *, right: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": self.layer(left) + right, "wide": right.bfloat16()}


class Two(nn.Module):
    """One input, and a tuple."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.mean(1), x * 2


class Recurrent(nn.Module):
    """Tokens in, numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 6, batch_first=True)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lstm(self.embedding(ids))[0].mean(1)


MODELS: dict[str, tuple[nn.Module, Any, bool]] = {
    "layers": (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)), floats(1, 4), True),
    "image": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()), floats(2, 3, 5, 5), True),
    "double": (nn.Linear(4, 2).double(), RANDOM.standard_normal((2, 4)), True),
    "recurrent": (Recurrent(), RANDOM.integers(0, 20, (2, 7)), True),
    "transformer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), floats(2, 3, 8), True),
    "pair": (Pair(), {"left": floats(1, 4), "right": floats(1, 2)}, False),
    "two": (Two(), floats(2, 4), False),
    "bfloat16": (nn.Linear(4, 2).bfloat16(), floats(2, 4), False),
}

READ = """
import json, pickle, sys, warnings
warnings.simplefilter("ignore")
try:
    import palate
    sys.exit("palate can be imported here")
except ImportError:
    pass
import numpy as np
import mlflow.pyfunc, mlflow.pytorch, torch
for path, flavor in json.loads(sys.argv[1]):
    data = pickle.load(open(path + ".input", "rb"))
    output = mlflow.pyfunc.load_model(path).predict(data)
    native = None
    if flavor:
        model = mlflow.pytorch.load_model(path)
        with torch.no_grad():
            native = model(torch.from_numpy(data)).numpy()
    pickle.dump((output, native), open(path + ".output", "wb"))
"""


def more_rows(data: Any) -> Any:
    """Return five rows of what the example has fewer of."""
    if isinstance(data, dict):
        return {name: more_rows(value) for name, value in data.items()}
    return data[np.arange(5) % len(data)]


def check_outputs(path: Path, data: Any, *, flavor: bool, trust: bool = False) -> None:
    """Compare what MLflow predicted with what Palate predicts."""
    output, native = pickle.loads(Path(f"{path}.output").read_bytes())
    expected = palate.load_model(path, trust=trust).predict(data)
    if isinstance(expected, dict):
        assert set(output) == set(expected)
        assert all(np.allclose(output[name], value, atol=1e-6) for name, value in expected.items())
        assert all(output[name].dtype == value.dtype for name, value in expected.items())
    else:
        assert np.allclose(output, expected, atol=1e-6)
    if flavor:
        assert np.allclose(native, expected, atol=1e-6)


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.parametrize("version", [None, "3.9.0"])
def test_stock_mlflow_opens_graphs(version, run_mlflow, save):
    """MLflow, today's and the first that knew graphs, opens ours without Palate and predicts the same."""
    saved = []
    for name, (model, example, plain) in MODELS.items():
        path = save(model, name, input_example=example)
        Path(f"{path}.input").write_bytes(pickle.dumps(more_rows(example)))
        saved.append((str(path), plain))
    run_mlflow(READ, json.dumps(saved), version=version)
    for path, flavor in saved:
        check_outputs(Path(path), more_rows(MODELS[Path(path).name][1]), flavor=flavor)


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("version", [None, "3.9.0", "2.22.0"])
def test_stock_mlflow_opens_pickles(version, run_mlflow, save):
    """MLflow of three ages opens the modules that we pickle, and the TorchScript that we keep."""
    layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))
    data = floats(5, 4)
    saved = []
    for name, model in (("module", layers), ("script", torch.jit.script(layers.eval()))):
        path = save(model, name, format="pickle", input_example=data[:2])
        Path(f"{path}.input").write_bytes(pickle.dumps(data))
        saved.append((str(path), True))
    run_mlflow(READ, json.dumps(saved), version=version)
    for path, flavor in saved:
        check_outputs(Path(path), data, flavor=flavor, trust=True)


WRITE = """
import json, pickle, sys, warnings
warnings.simplefilter("ignore")
import mlflow.pyfunc, mlflow.pytorch, numpy as np, pandas as pd, torch
from mlflow.models import infer_signature
root = sys.argv[1]
torch.manual_seed(0)
rng = np.random.default_rng(0)
floats = lambda *shape: rng.standard_normal(shape).astype("float32")
class Scaled(torch.nn.Module):
    def forward(self, x, scale=1.0):
        return x * scale
class Pair(torch.nn.Module):
    def forward(self, a, b):
        return a + b
Scaled.__module__ = Pair.__module__ = "__main__"
nn = torch.nn
layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)).eval()
image = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
frame = pd.DataFrame(floats(5, 4), columns=list("abcd"))
table = infer_signature(frame, floats(5, 2))
def tensors(x, y):
    return infer_signature(x, y)
x, im = floats(5, 4), floats(2, 3, 5, 5)
CASES = {
    "pt2": (layers, dict(input_example=x), x),
    "pt2_signature": (layers, dict(input_example=x, signature=tensors(x, floats(5, 2))), x),
    "pt2_image": (image, dict(input_example=im), im),
    "pt2_one_row": (layers, dict(input_example=x[:1]), x[:1]),
    "pickle": (layers, dict(serialization_format="pickle"), x),
    "pickle_frame": (layers, dict(serialization_format="pickle", signature=table), frame),
    "pickle_module": (layers, dict(serialization_format="pickle", pickle_module=pickle), x),
    "pickle_main": (Scaled(), dict(serialization_format="pickle"), x),
    "script": (torch.jit.script(layers), dict(serialization_format="pickle"), x),
    "trace": (torch.jit.trace(layers, torch.from_numpy(x)), dict(serialization_format="pickle"), x),
    "double": (torch.nn.Linear(4, 2).double(), dict(serialization_format="pickle"), x.astype("float64")),
    "pt2_extra": (layers, dict(input_example=x, metadata={"a": 1}), x),
}
written = {}
for name, (model, options, data) in CASES.items():
    try:
        # Without requirements given, MLflow imports each model in a process of its own to find them.
        mlflow.pytorch.save_model(model, f"{root}/{name}", pip_requirements=[], **options)
        output = mlflow.pyfunc.load_model(f"{root}/{name}").predict(data)
    except Exception as exc:
        print(name, type(exc).__name__, exc, file=sys.stderr)
        continue
    pickle.dump((data, np.asarray(output)), open(f"{root}/{name}.pkl", "wb"))
    written[name] = True
print(json.dumps(sorted(written)))
"""


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_more_directories_of_mlflow(run_mlflow, tmp_path):
    """What stock MLflow saves in all of its formats opens here, graphs without trust, and predicts the same."""
    names = json.loads(run_mlflow(WRITE, tmp_path).splitlines()[-1])
    assert len(names) >= 11
    for name in names:
        data, expected = pickle.loads((tmp_path / f"{name}.pkl").read_bytes())
        model = palate.load_model(tmp_path / name, trust=not name.startswith("pt2"))
        found = np.asarray(model.predict(data))
        assert found.dtype == expected.dtype, name
        assert np.allclose(found, expected, atol=1e-6), name


def test_scanner_finds_no_pickle(save):
    """picklescan, which looks into every archive, finds nothing to scan in directories of the safe formats."""
    pytest.importorskip("picklescan")
    paths = [
        save(*MODELS["pair"][:1], "graph", input_example=MODELS["pair"][1]),
        save(nn.Linear(4, 2), "weights", format="safetensors"),
    ]
    for path in paths:
        command = [sys.executable, "-m", "picklescan", "--path", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Scanned files: 0" in done.stdout


def test_frames_of_doubles(save):
    """A DataFrame of doubles predicts what MLflow predicts: it rounds to float32."""
    model = nn.Linear(2, 1)
    frame = pd.DataFrame({"a": [0.1, 0.2], "b": [1.0, 2.0]})
    expected = model(torch.tensor(frame.to_numpy(dtype="float32"))).detach().numpy()
    assert np.allclose(palate.load_model(save(model, input_example=frame)).predict(frame), expected, atol=1e-6)
