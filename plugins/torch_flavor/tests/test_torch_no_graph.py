"""What is said of modules that have no graph, or one of fewer sizes than was promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import palate
from palate.errors import InvalidExample, InvalidOption, UnsupportedModel
from palate.schema import Schema, TensorSpec
from palate.signature import Signature

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    """Return an array of float32."""
    return RANDOM.standard_normal(shape).astype("float32")


def tensors(*shape: int, dtype: str = "float32") -> Signature:
    """Return a signature of one tensor."""
    return Signature(inputs=Schema((TensorSpec(dtype=dtype, shape=shape),)))


class Module(nn.Module):
    """A module whose forward is a function of its parts and one input."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True, num_layers=2)
        self.out = nn.Linear(12, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(self.embedding(ids))[0][:, -1])


class Optional(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        return a * b if c is None else a * b + c


def test_signature_that_promises_too_much(save):
    """A signature that leaves open what the graph holds on to is refused, with the one that is right."""
    with pytest.raises(InvalidOption, match=r"declared with the shape \[-1, -1\], and the model takes \[-1, 7\]"):
        save(Recurrent(), input_example=RANDOM.integers(0, 20, (2, 7)), signature=tensors(-1, -1, dtype="int64"))


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(3, -1).sum(1)


def test_fixed_batch(save):
    """A batch size in the code is told; with dynamic_batch=False it is kept, and the signature must say so."""
    with pytest.raises(
        UnsupportedModel, match=r"batches of 3.*x\.shape\[0\].*dynamic_batch=False.*safetensors.*pickle"
    ):
        save(Fixed(), input_example=floats(3, 4))
    with pytest.raises(
        InvalidOption,
        match=r"shape \[-1, 4\], and the model takes \[3, 4\].*shape=\(3, 4\)",
    ):
        save(Fixed(), input_example=floats(3, 4), dynamic_batch=False)
    path = save(Fixed(), input_example=floats(3, 4), dynamic_batch=False, signature=tensors(3, 4))
    loaded = palate.load_model(path)
    assert loaded.predict(floats(3, 4)).shape == (3,)
    with pytest.raises(palate.errors.InvalidInput):
        loaded.predict(floats(4, 4))
    with pytest.raises(InvalidOption, match="dynamic_batch: it is str"):
        save(Fixed(), "second", input_example=floats(3, 4), dynamic_batch="no")


class Divided(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.shape[0] % 8 else x - 1


class Limited(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.shape[0] <= 40 else x - 1


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.ones(40, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table[: x.shape[0]]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Divided(), "for a batch of 64"),
        (Limited(), "takes 2 to 40 rows in 'x', and goes another way"),
        (Table(), "takes 2 to 40 rows in 'x', and goes another way"),
        (Module(lambda _, x: torch.cdist(x, x[:1])), r"takes 2 to 25 rows.*compute_mode=.* to torch\.cdist"),
    ],
)
def test_rows_decide(model, message, save):
    """Code that goes another way, or no way, for other numbers of rows is told, also beyond those that are tried."""
    with pytest.raises(UnsupportedModel, match=message):
        save(model, input_example=floats(2, 3))


class Deciding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x + 1
        return x - 1


class Text(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        return {"x": x, "text": "hello"}


class Strided(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_strided(x, (x.shape[0], 2), (4, 1)) + 1


class Unnamed(nn.Module):
    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return tensors[0]


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        (
            Deciding(),
            floats(2, 3),
            r"decides by the values of a tensor.*in test_torch_no_graph\.py, line \d+, in forward"
            r": if x\.sum\(\) > 0.*torch\.where.*safetensors.*trust=True",
        ),
        (Text(), floats(2, 3), "returns a str as 'text'"),
        (Strided(), floats(3, 4), r"calls 'torch\.ops\.aten\.as_strided\.default', which is not on the list"),
        (Module(lambda _, x: x.reshape(2, -1)), floats(4, 3), "fails for a batch of 1|fails on the example"),
        (nn.Linear(3, 2), np.ones((2, 3)), r"another data type than its weights.*astype\('float32'\)"),
        (nn.LazyLinear(2), floats(2, 3), "call it once on an example"),
        (nn.LazyBatchNorm1d(affine=False), floats(2, 3), "buffers that are only made.*call it once on an example"),
        (Module(lambda _, x: x.numpy().sum()), floats(2, 3), "returns a float32 as .output., which is no tensor"),
        (nn.Linear(3, 2), None, "nothing to call it with.*input_example"),
    ],
)
def test_models_without_a_graph(model, example, message, save, tmp_path, capsys):
    """Why there is no graph is said in the user's terms, with what can be done; nothing is left on disk."""
    with pytest.raises(UnsupportedModel, match=message):
        save(model, input_example=example)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""  # torch prints the graph as far as it came


def test_hint_can_be_pasted(save):
    """The signature that an error shows is Python, and is the right one."""
    with pytest.raises(InvalidOption) as caught:
        save(Fixed(), input_example=floats(3, 4), dynamic_batch=False)
    source = str(caught.value).partition("the model takes: ")[2].removesuffix(".")
    save(Fixed(), input_example=floats(3, 4), dynamic_batch=False, signature=eval(source))


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return x * scale


def test_params_are_no_part_of_a_graph(save):
    """A param that forward takes would be fixed in the graph, so it is refused; a pickle keeps it."""
    example = (floats(2, 3), {"scale": 2.0})
    with pytest.raises(UnsupportedModel, match=r"a graph has no params, and its forward takes scale.*format='pickle'"):
        save(Scaled(), input_example=example)
    loaded = palate.load_model(save(Scaled(), format="pickle", input_example=example), trust=True)
    assert np.array_equal(loaded.predict(example[0], {"scale": 3.0}), example[0] * 3)


def test_frames_of_doubles_are_told(save):
    """A module of doubles that is given a DataFrame, which becomes float32, is told so."""
    frame = pd.DataFrame(RANDOM.standard_normal((3, 2)))
    with pytest.raises(UnsupportedModel, match="a DataFrame becomes a matrix of float32; give an array"):
        save(nn.Linear(2, 1).double(), input_example=frame)


def test_examples_that_do_not_fit(save):
    """An example without rows, or of other inputs, is told."""
    with pytest.raises((InvalidOption, InvalidExample), match="no rows"):
        save(nn.Linear(3, 2), input_example=floats(0, 3))
    with pytest.raises((InvalidOption, InvalidExample), match="takes the inputs a, b, c"):
        save(Optional(), input_example={"a": floats(2, 3), "z": floats(2, 3)})
    with pytest.raises((InvalidOption, InvalidExample), match="names no inputs"):
        save(Unnamed(), input_example=floats(2, 3))
    with pytest.raises(UnsupportedModel, match=r"owns classes of 'collections'|neither a torch"):
        save(nn.Linear(3, 2).state_dict(), input_example=floats(2, 3))
