"""What each format holds, and how it is opened: weights, pickles, TorchScript and exported programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import palate
import torch_flavor
from palate.errors import InvalidModelFile, InvalidOption, TrustRequired, UnsupportedModel
from palate.schema import Schema, TensorSpec
from palate.signature import Signature

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


def test_weights_and_a_module(save):
    """Weights load into a module that the caller makes, tied ones stay tied, and are mapped and not copied."""
    model = Net().eval()
    path = save(model, format="safetensors", input_example=X, module=Net)
    assert section_of(path)["model_class"].endswith("Net")
    assert torch_flavor.pyfunc_section(config=section_of(path)) is None
    for module in (Net, Net(), lambda: Net(8)):
        loaded = palate.load_model(path, module=module)
        assert np.array_equal(loaded.predict(X), model(torch.from_numpy(X)).detach().numpy())
    assert loaded.native.first.weight.data_ptr() == loaded.native.again.weight.data_ptr()
    assert not any(part.training for part in loaded.native.modules())
    # Writing into a mapped weight stays in memory.
    with torch.no_grad():
        loaded.native.first.weight.zero_()
    assert palate.verify_model(path) is not None
    assert palate.load_model(path, module=Net).native.first.weight.abs().sum() > 0


def test_weights_need_a_module(save):
    """Without a module the error names the class that was saved; a wrong one is told every difference at once."""
    path = save(Net(), format="safetensors")
    with pytest.raises(InvalidOption, match=r"holds the weights of a '.*\.Net' and no code.*pass module=Net"):
        palate.load_model(path)
    with pytest.raises(InvalidOption) as caught:
        palate.load_model(path, module=lambda: Net(9))
    assert "first.weight is float32 of shape [9, 3] in the module, and float32 of shape [8, 3] in the file" in str(
        caught.value
    )
    with pytest.raises(InvalidOption, match=r"again\.bias is not in the module.*; bias is not in the file"):
        palate.load_model(path, module=lambda: nn.Linear(3, 2))
    for wrong in (3, dict, nn.Linear):
        with pytest.raises(InvalidOption, match=r"^module: "):
            palate.load_model(path, module=wrong)
    with pytest.raises(InvalidOption, match=r"only the model itself|no module to load them into"):
        save(Net(), "second", format="safetensors", input_example=X)


def test_weights_that_are_not_made_yet(save):
    """A lazy module has no weights to save before it is called."""
    with pytest.raises(UnsupportedModel, match="call it once on an example"):
        save(nn.LazyLinear(2), format="safetensors")


def test_pickles_need_trust(save):
    """A pickled module, of a class of this very test, loads with trust only, and under MLflow's file names."""
    path = save(nn.Sequential(nn.Linear(3, 2), nn.Dropout()), format="pickle", input_example=X)
    assert sorted(os.listdir(path / "data")) == ["model.pth", "pickle_module_info.txt"]
    assert (path / "data" / "pickle_module_info.txt").read_text() == "mlflow.pytorch.pickle_module"
    (reason,) = torch_flavor.executes_code(path=path, config=section_of(path))
    assert reason.file == "data/model.pth"
    with pytest.raises(TrustRequired, match=r"data/model\.pth"):
        palate.load_model(path)
    # MLflow imports the module of that name; here nobody does.
    (path / "data" / "pickle_module_info.txt").write_text("antigravity")
    assert palate.load_model(path, trust=True, verify=False).predict(X).shape == (4, 2)
    assert "antigravity" not in sys.modules


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript(save):
    """A TorchScript module is kept as it is, with trust, and has no graph of its own."""
    scripted = torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    path = save(scripted, format="pickle", input_example=X)
    loaded = palate.load_model(path, trust=True)
    assert isinstance(loaded.native, torch.jit.ScriptModule)
    assert np.array_equal(loaded.predict(X), scripted(torch.from_numpy(X)).detach().numpy())
    with pytest.raises(UnsupportedModel, match=r"TorchScript.*format='pickle'"):
        save(scripted, "second", input_example=X)


def test_model_with_its_own_code(save, tmp_path):
    """A pickle that refers to a file of the user's is saved with it, and loads where it is not installed."""
    (tmp_path / "ownnet.py").write_text(
        "import torch\nclass Own(torch.nn.Module):\n    def forward(self, x):\n        return x * 5\n"
    )
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import ownnet, palate, numpy as np; "
        "palate.save_model(ownnet.Own(), sys.argv[2], format='pickle', input_example=np.ones((2, 3), 'float32'), "
        "code_paths=[sys.argv[1] + '/ownnet.py'])"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(tmp_path / "model")], check=True)
    assert np.array_equal(palate.load_model(tmp_path / "model", trust=True).predict(X), X * 5)
    assert "ownnet" not in sys.modules


def test_exported_program(save):
    """A program needs no example: its inputs, outputs and free sizes are its own."""
    program = torch.export.export(
        Pair(),
        (torch.zeros(3, 3),),
        {"right": torch.zeros(3, 2)},
        dynamic_shapes={"left": {0: torch.export.Dim("batch")}, "right": {0: torch.export.Dim("batch")}},
    )
    loaded = palate.load_model(save(program))
    assert loaded.signature == Signature(
        inputs=Schema(
            (
                TensorSpec(dtype="float32", shape=(-1, 3), name="left"),
                TensorSpec(dtype="float32", shape=(-1, 2), name="right"),
            )
        ),
        outputs=Schema(
            (
                TensorSpec(dtype="float32", shape=(-1, 2), name="sum"),
                TensorSpec(dtype="float32", shape=(-1, 3), name="left"),
            )
        ),
    )
    assert loaded.predict({"left": X, "right": X[:, :2]})["sum"].shape == (4, 2)
    for format in ("safetensors", "pickle"):
        with pytest.raises(UnsupportedModel, match="use format='pt2'"):
            save(program, "second", format=format)


def test_state_dict_is_no_module(load, tmp_path):
    """A file of weights alone is told from a module."""
    (tmp_path / "data").mkdir()
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "data" / "model.pth")
    with pytest.raises(InvalidModelFile, match="holds a OrderedDict, not a module"):
        load(tmp_path, trust=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_model(save):
    """What torch.compile returns is saved as the module that it wraps, without compiling it."""
    model = nn.Linear(3, 2)
    loaded = palate.load_model(save(torch.compile(model), input_example=X))
    assert np.allclose(loaded.predict(X), model(torch.from_numpy(X)).detach().numpy(), atol=1e-6)
