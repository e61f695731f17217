"""Modules of many kinds as graphs: what they predict in any batch."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import palate
import torch_flavor
from palate.errors import UnsupportedModel
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


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0]


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


class Batch(nn.Module):
    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"sum": batch["a"] + batch["b"]}


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.add_(1)
        return x * 2


class Condition(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positions", torch.arange(16).expand(1, -1))
        self.register_buffer("scale", torch.ones(3), persistent=False)
        self.embedding = nn.Embedding(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.embedding(self.positions[:, : x.shape[1]]) + torch.tensor([1.0, 2.0, 3.0])


Statistics = collections.namedtuple("Statistics", "mean std")


@dataclasses.dataclass
class Result:
    logits: torch.Tensor
    hidden: torch.Tensor


def mask(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Attend to what came before."""
    scores = x @ x.transpose(1, 2)
    return scores.masked_fill(torch.ones(x.shape[1], x.shape[1]).tril() == 0, float("-inf")).softmax(-1)


def without_gradient(module: Any, x: torch.Tensor) -> torch.Tensor:
    """Use a block of code without gradients inside of forward."""
    with torch.no_grad():
        y = module.layer(x)
    return y * 2


CASES: dict[str, tuple[nn.Module, Any]] = {
    "layers": (
        nn.Sequential(nn.Linear(4, 8), nn.PReLU(), nn.LayerNorm(8), nn.Dropout(), nn.Linear(8, 2)),
        floats(1, 4),
    ),
    "convolutions": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        floats(1, 3, 8, 8),
    ),
    "groups": (nn.Sequential(nn.Conv1d(4, 8, 3), nn.GroupNorm(2, 8), nn.GELU(), nn.MaxPool1d(2)), floats(1, 4, 10)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2), floats(2, 3, 4, 4)),
    "recurrent": (Recurrent(), RANDOM.integers(0, 20, (1, 7))),
    "attention": (Attention(), floats(1, 5, 16)),
    "transformer": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2),
        floats(1, 5, 16),
    ),
    "two inputs": (Optional(), {"a": floats(1, 4), "b": floats(1, 4)}),
    "all inputs": (Optional(), {"a": floats(2, 4), "b": floats(2, 4), "c": floats(2, 4)}),
    "a dict as input": (Batch(), {"a": floats(1, 4), "b": floats(1, 4)}),
    "named tuple": (Module(lambda _, x: Statistics(x.mean(1), x.std(1))), floats(2, 4)),
    "data class": (Module(lambda _, x: Result(x, x * 2)), floats(2, 4)),
    "topk": (Module(lambda _, x: x.topk(2)), floats(2, 4)),
    "tuple": (Module(lambda _, x: (x, x * 2)), floats(2, 4)),
    "tuple of one": (Module(lambda _, x: (x * 2,)), floats(2, 4)),
    "nested": (Module(lambda _, x: {"a": [x, (x + 1, x + 2)], "b": None}), floats(2, 4)),
    "double": (nn.Linear(4, 2).double(), RANDOM.standard_normal((2, 4))),
    "half": (nn.Linear(4, 2).half(), floats(2, 4).astype("float16")),
    "integers": (Module(lambda _, x: x * 2), np.arange(4)[:, None]),
    "booleans": (Module(lambda _, x: (x > 0, ~(x > 0))), floats(2, 4)),
    "bfloat16": (nn.Linear(4, 2).bfloat16(), floats(2, 4)),
    "complex": (Module(lambda _, x: torch.fft.rfft(x)), floats(2, 8)),
    "counting": (Counting(), floats(2, 3)),
    "condition": (Condition(), floats(2, 3)),
    "without gradient": (Module(without_gradient, layer=nn.Linear(3, 3)), floats(2, 3)),
    "buffers": (Buffers(), floats(2, 3, 3)),
    "mask": (Module(mask), floats(2, 5, 4)),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), floats(2, 4)),
    "module dict": (
        Module(lambda m, x: m.parts["my-layer"](x), parts=nn.ModuleDict({"my-layer": nn.Linear(4, 2)})),
        floats(2, 4),
    ),
    "interpolation": (
        Module(lambda _, x: functional.interpolate(x, scale_factor=2, mode="bilinear")),
        floats(1, 3, 4, 4),
    ),
    "einsum": (Module(lambda _, x: torch.einsum("bij,bkj->bik", x, x)), floats(2, 3, 4)),
    "indices": (Module(lambda _, x: torch.zeros_like(x).scatter_add(1, x.argsort(1), x).cumsum(1)), floats(2, 4)),
    "rows": (Module(lambda _, x: x + torch.arange(x.shape[0])[:, None]), floats(2, 4)),
    "random": (Module(lambda _, x: x + 0 * torch.randn_like(x)), floats(2, 4)),
    "some rows": (Module(lambda _, x: x[x[:, 0] > 0].sum(0, keepdim=True)), floats(4, 3)),
    "places": (Module(lambda _, x: torch.nonzero(x > 0)), floats(4, 3)),
    "repeats": (Module(lambda _, x: x.repeat_interleave((x[:, 0] > 0).long() + 1, dim=0)), floats(4, 3)),
    "turned": (Module(lambda _, x: x.T @ x), floats(4, 3)),
    "identity": (nn.Identity(), floats(1, 4)),
    "embedding bag": (nn.EmbeddingBag(10, 4), RANDOM.integers(0, 10, (2, 3))),
}


def rows_of(data: Any, count: int) -> Any:
    """Return *count* rows: those of the example, over and over."""
    if isinstance(data, dict):
        return {name: rows_of(value, count) for name, value in data.items()}
    return data[np.arange(count) % len(data)]


@pytest.mark.parametrize("name", CASES)
def test_any_batch(name, save):
    """A model saved with a small example predicts what it predicted, in batches of any size."""
    model, example = CASES[name]
    loaded = palate.load_model(save(model, input_example=example))
    for count in (1, 2, 5, 33):
        data = rows_of(example, count)
        expected = torch_flavor.predict(model=model, data=data, params={})
        found = loaded.predict(data)
        assert isinstance(found, dict) == isinstance(expected, dict)
        pairs = (
            [(found, expected)] if not isinstance(found, dict) else [(found[key], expected[key]) for key in expected]
        )
        assert not isinstance(found, dict) or list(found) == list(expected)
        for got, wanted in pairs:
            assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
            assert np.allclose(got, wanted, atol=2e-2 if got.dtype == np.float16 else 1e-5, equal_nan=True)


def test_outputs_have_names(save):
    """Names come from dicts, fields and places."""
    names = {
        name: list(
            palate.load_model(save(*CASES[name][:1], name, input_example=CASES[name][1])).predict(CASES[name][1])
        )
        for name in ("named tuple", "data class", "topk", "tuple", "tuple of one", "nested")
    }
    assert names == {
        "named tuple": ["mean", "std"],
        "data class": ["logits", "hidden"],
        "topk": ["values", "indices"],
        "tuple": ["output_0", "output_1"],
        "tuple of one": ["output_0"],
        "nested": ["a_0", "a_1_0", "a_1_1"],
    }


def test_signature_opens_sizes(save):
    """A size that the signature leaves open is free, with an example or without one."""
    transformer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    for options in ({}, {"input_example": floats(1, 5, 16)}):
        loaded = palate.load_model(save(transformer, str(len(options)), signature=tensors(-1, -1, 16), **options))
        assert loaded.predict(floats(3, 11, 16)).shape == (3, 11, 16)


def test_rows_may_be_counted_elsewhere(save):
    """A recurrent network that wants time first is told so by the signature."""
    model = nn.GRU(4, 5)
    with pytest.raises(UnsupportedModel, match=r"holds on to batches of 6.*pass a signature with -1 there"):
        save(model, input_example=floats(6, 2, 4))
    loaded = palate.load_model(save(model, "second", input_example=floats(6, 1, 4), signature=tensors(6, -1, 4)))
    assert loaded.predict(floats(6, 9, 4))["output_0"].shape == (6, 9, 5)


def test_no_generator_is_seeded(save, monkeypatch):
    """A save draws from copies: it seeds no GPU, whose state it could not put back."""

    def seeded(seed: int) -> None:
        raise AssertionError("every GPU was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded)
    save(*CASES["random"][:1], input_example=CASES["random"][1])
    torch_flavor.sample_models()


def test_shapes_of_the_users_own(save):
    """dynamic_shapes goes to torch.export as it is."""
    batch = torch.export.Dim("batch", min=2, max=10)
    path = save(nn.Linear(4, 2), input_example=floats(3, 4), dynamic_shapes={"input": {0: batch}})
    assert palate.load_model(path).predict(floats(7, 4)).shape == (7, 2)


def test_example_inputs(save):
    """Tensors given as example_inputs serve for the graph alone; no example is stored."""
    path = save(nn.Linear(4, 2), example_inputs=torch.zeros(1, 4))
    assert not (path / "input_example.json").exists()
    assert palate.load_model(path).predict(floats(7, 4)).shape == (7, 2)
