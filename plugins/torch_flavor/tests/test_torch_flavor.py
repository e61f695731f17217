"""The hooks of the PyTorch flavor, through the public functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
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
from palate.errors import InvalidModelFile, InvalidOption, UnsafePath
from palate.hookspecs import SaveOptions

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((4, 3)).astype("float32")


class Net(nn.Module):
    """Dropout, batch norm, and two layers with one weight."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(3, width)
        self.again = nn.Linear(3, width)
        self.again.weight = self.first.weight
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(self.first(x) + self.again(x)))


class Pair(nn.Module):
    """Two inputs, and outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, left: torch.Tensor, *, right: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": self.layer(left) + right, "left": left}


def section_of(path: Path) -> dict[str, Any]:
    """Return the flavor's section of a directory."""
    section: dict[str, Any] = yaml.safe_load((path / "MLmodel").read_text())["flavors"]["pytorch"]
    return section


def test_section_and_layout(save):
    """The files lie where MLflow looks for them, under its keys."""
    path = save(nn.Linear(3, 2), input_example=X)
    assert section_of(path) == {
        "code": None,
        "model_data": "data",
        "pytorch_version": torch.__version__,
        "serialization_format": "pt2",
        "model_class": "torch.nn.modules.linear.Linear",
    }
    assert os.listdir(path / "data") == ["model.pt2"]
    pyfunc = torch_flavor.pyfunc_section(config=section_of(path))
    assert pyfunc == {"loader_module": "mlflow.pytorch", "data": "data", "config": {"device": None}}


def test_archive_has_no_trace_of_the_machine(save):
    """The archive holds no pickle, no guard and no source path, and its records are stored and dated alike."""
    path = save(Net(), input_example=X) / "data" / "model.pt2"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.read("archive/data/sample_inputs/model.pt") == b""
        document = json.loads(archive.read("archive/models/model.json"))
    assert document["guards_code"] == []
    assert all(node["metadata"] == {} for node in document["graph_module"]["graph"]["nodes"])
    assert b".py" not in path.read_bytes()


def test_same_model_same_bytes(save, tmp_path):
    """Saved twice, and in another process, a model has the same bytes."""
    script = (
        "import sys, torch, numpy as np, palate; torch.manual_seed(5); "
        "m = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)); "
        "palate.save_model(m, sys.argv[1], input_example=np.ones((2, 3), 'float32'))"
    )
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=True)
    files = [(tmp_path / name / "data" / "model.pt2").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_save_leaves_the_model_alone(save):
    """Training flags of each part, running statistics, gradients, hooks and random state survive a save."""
    model = Net()
    model.drop.eval()
    model(torch.from_numpy(X)).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [part.training for part in model.modules()]
    gradient = model.first.weight.grad
    torch.manual_seed(3)
    random = torch.random.get_rng_state()
    for format in torch_flavor.FORMATS:
        options = {"module": Net} if format == "safetensors" else {}
        save(model, format, format=format, input_example=X, **options)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert [part.training for part in model.modules()] == flags == [True, True, True, True, False]
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    assert model.first.weight.grad is gradient
    assert model.again.weight is model.first.weight
    assert not model._forward_hooks
    assert torch.backends.mha.get_fastpath_enabled()


def test_predicts_in_evaluation_mode(save):
    """A model saved in training mode predicts as in evaluation mode, without gradients, every time the same."""
    model = Net().train()
    path = save(model, input_example=X)
    loaded = palate.load_model(path)
    expected = model.eval()(torch.from_numpy(X)).detach().numpy()
    assert np.allclose(loaded.predict(X), expected, atol=1e-6)
    assert np.array_equal(loaded.predict(X), loaded.predict(X))


def test_inputs_and_outputs_by_name(save):
    """Inputs are given by their names, positional or not; outputs keep theirs; both are in the signature."""
    model, right = Pair(), np.ones((4, 2), "float32")
    path = save(model, input_example={"left": X[:1], "right": right[:1]})
    loaded = palate.load_model(path)
    found = loaded.predict({"right": right, "left": X})
    assert list(found) == ["sum", "left"]
    assert np.allclose(found["sum"], model.layer(torch.from_numpy(X)).detach().numpy() + 1, atol=1e-6)
    assert [spec.name for spec in loaded.signature.inputs] == ["left", "right"]
    assert [(spec.name, spec.shape) for spec in loaded.signature.outputs] == [("sum", (-1, 2)), ("left", (-1, 3))]
    assert loaded.signatures["forward"].outputs == loaded.signature.outputs
    assert list(loaded.forward({"right": right, "left": X})) == ["sum", "left"]
    pyfunc = torch_flavor.pyfunc_section(config=section_of(path))
    assert (pyfunc["loader_module"], pyfunc["code"]) == ("palate_torch_loader", "code")
    assert (path / "code" / "palate_torch_loader.py").read_text().startswith('"""Calls a PyTorch model with arrays')


def test_own_code_beside_the_loader(save, tmp_path):
    """The loader joins the user's own files, and does not replace one of its name."""
    (tmp_path / "own.py").write_text("x = 1\n")
    example = {"left": X, "right": np.ones((4, 2), "float32")}
    path = save(Pair(), input_example=example, code_paths=[tmp_path / "own.py"])
    assert sorted(os.listdir(path / "code")) == ["own.py", "palate_torch_loader.py"]
    palate.load_model(path)
    (tmp_path / "palate_torch_loader.py").write_text("x = 1\n")
    with pytest.raises(InvalidOption, match=r"code_paths: palate_torch_loader\.py"):
        save(Pair(), "second", input_example=example, code_paths=[tmp_path / "palate_torch_loader.py"])


def test_data_frames(save):
    """A DataFrame becomes a float32 matrix, or, where its columns are the inputs' names, one array an input."""
    frame = pd.DataFrame(X.astype("float64"), columns=["a", "b", "c"])
    model = nn.Linear(3, 2)
    loaded = palate.load_model(save(model, input_example=frame))
    assert np.allclose(loaded.predict(frame), model(torch.from_numpy(X)).detach().numpy(), atol=1e-6)

    class Columns(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a * 2 + b

    both = frame[["b", "a"]]
    loaded = palate.load_model(save(Columns(), "columns", input_example=both))
    assert np.array_equal(loaded.predict(both), (frame["a"] * 2 + frame["b"]).to_numpy())


def test_integers_with_gaps_become_floats(save):
    """A gap in a column of integers is NaN in the matrix, and the other rows predict what their numbers do."""
    frame = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": [0.5, 1.5, 2.5]})
    model = nn.Linear(2, 1)
    loaded = palate.load_model(save(model, input_example=frame))
    assert loaded.signature.inputs.columns[0].nullable
    expected = model(torch.tensor([[1, 0.5], [float("nan"), 1.5], [3, 2.5]])).detach().numpy()
    assert np.allclose(loaded.predict(frame), expected, atol=1e-6, equal_nan=True)


def test_tensors_and_lists():
    """Tensors stay what they are, a list of arrays goes by position, rows of numbers become float32."""
    model = nn.Linear(3, 2)
    expected = model(torch.from_numpy(X)).detach().numpy()

    def predict(data: object, module: nn.Module = model) -> Any:
        return torch_flavor.predict(model=module, data=data, params={})

    assert np.array_equal(predict(torch.from_numpy(X)), expected)
    assert np.allclose(predict(X.tolist()), expected)
    assert np.array_equal(predict(X[::-1])[::-1], expected)
    assert np.allclose(predict(X.astype(">f4")), expected)
    bilinear = nn.Bilinear(3, 3, 2)
    assert np.array_equal(predict([X, X], bilinear), predict({"input1": X, "input2": X}, bilinear))


def test_inputs_are_never_written_into():
    """A forward that works in place leaves the caller's array as it was."""

    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.add_(1)

    data = X.copy()
    torch_flavor.predict(model=InPlace(), data=data, params={})
    tensor = torch.from_numpy(data.copy())
    torch_flavor.predict(model=InPlace(), data=tensor, params={})
    assert np.array_equal(data, X)
    assert np.array_equal(tensor.numpy(), X)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"left": X}, "takes the inputs left, right; given were left"),
        ({"left": X, "right": X, "more": X}, "given were left, right, more"),
        (X, "takes 2 inputs: give a dict with left, right"),
        ({"left": X, "right": np.array(["a"])}, "holds numbers, not <U1"),
    ],
)
def test_wrong_inputs(data, message):
    """Data that does not fit the inputs is told from what they are."""
    with pytest.raises(ValueError, match=message):
        torch_flavor.predict(model=Pair(), data=data, params={})


def test_inputs_of_each_forward():
    """Each class is called with the inputs of its own forward, and an object whose forward was replaced with those."""

    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    class Sum(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a + b

    ones = np.ones((2, 3), "float32")
    replaced = Doubled()
    replaced.forward = lambda a, b: a - b  # type: ignore[method-assign]
    for _ in range(2):
        assert (torch_flavor.predict(model=Doubled(), data=ones, params={}) == 2).all()
        assert (torch_flavor.predict(model=Sum(), data={"a": ones, "b": ones * 3}, params={}) == 4).all()
        assert (torch_flavor.predict(model=replaced, data={"a": ones, "b": ones}, params={}) == 0).all()
        with pytest.raises(ValueError, match="takes 2 inputs"):
            torch_flavor.predict(model=replaced, data=ones, params={})


def test_params_reach_forward(save):
    """Params become keyword arguments of a module's forward."""

    class Scaled(nn.Module):
        def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
            return x * scale

    assert np.array_equal(torch_flavor.predict(model=Scaled(), data=X, params={"scale": 3.0}), X * 3)
    path = save(Scaled(), format="pickle", input_example=X, params={"scale": 1.0})
    assert np.array_equal(palate.load_model(path, trust=True).predict(X, {"scale": 2.0}), X * 2)


@pytest.mark.parametrize("device", ["cuda:99", "meta", "nowhere", 3.5])
def test_device_is_checked(device, save):
    """A device that is not there is told when loading."""
    path = save(nn.Linear(3, 2), input_example=X)
    with pytest.raises(InvalidOption, match=r"^device: .* cannot be used here\. Hint: there is 'cpu'"):
        palate.load_model(path, device=device)
    assert palate.load_model(path, device="cpu").predict(X).shape == (4, 2)


def test_guarantees(save):
    """Each format says what it promises; a pickle promises nothing."""
    model = nn.Linear(3, 2)
    stated = {}
    for format in torch_flavor.FORMATS:
        path = save(model, format, format=format) if format != "pt2" else save(model, format, input_example=X)
        stated[format] = torch_flavor.guarantees(path=path, config=section_of(path))
    assert (stated["pt2"].no_code, stated["pt2"].memory_safe, stated["pt2"].bounded) == (True, False, False)
    assert len(stated["pt2"].exceptions) == 2
    assert stated["safetensors"].bounded
    assert not any((stated["pickle"].no_code, stated["pickle"].memory_safe, stated["pickle"].bounded))


def test_requirements():
    """torch and numpy are pinned without local labels, and cloudpickle for pickles."""
    found = torch_flavor.requirements(options=SaveOptions(format="pickle"))
    assert [line.partition("==")[0] for line in found] == ["numpy", "torch", "cloudpickle"]
    assert not any("+" in line for line in found)


def test_samples(save):
    """The sample learns something, and can be saved."""
    (sample,) = torch_flavor.sample_models().values()
    predicted = torch_flavor.predict(model=sample.model, data=sample.sample, params={})
    assert predicted.argmax(1).tolist() == [0] * 5
    palate.load_model(save(sample.model, input_example=sample.sample))


@pytest.mark.parametrize("data", ["../data", "/etc", "link", "nothing", "", 5, "empty"])
def test_paths_stay_inside(data, load, tmp_path):
    """A place outside of the directory, or without a model, is refused."""
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "empty").mkdir()
    section = {"model_data": data}
    with pytest.raises((UnsafePath, InvalidModelFile, palate.errors.ModelChanged)):
        load(tmp_path, section=section)


def test_linked_file_is_not_opened(load, save, tmp_path):
    """A link in the place of the model's file is refused."""
    path = save(nn.Linear(3, 2), input_example=X)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.pt2").symlink_to(path / "data" / "model.pt2")
    with pytest.raises(UnsafePath, match="symbolic link"):
        load(tmp_path)


def test_pickle_wins_over_graph(save):
    """Where both files are, MLflow opens the pickle; so opening asks for trust."""
    path = save(nn.Linear(3, 2), input_example=X)
    (path / "data" / "model.pth").write_bytes(b"anything")
    assert torch_flavor.executes_code(path=path, config=section_of(path))
