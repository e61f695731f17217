"""What is said of the rows of a program is true, and no is said where its graph does not show it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import palate


class Calls(nn.Module):
    """A module that is one function of its input."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.Parameter(torch.arange(16.0).reshape(4, 4) / 16)

    def forward(self, x: Any) -> Any:
        """Call it."""
        return self.function(x)


class Network(nn.Module):
    """Pictures through convolutions, with a branch that comes back, and several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.LayerNorm(16), nn.Linear(16, 3))

    def forward(self, x: Any) -> Any:
        """Return scores and probabilities."""
        x = self.first(x)
        scores = self.last(x + torch.tanh(self.second(x)))
        return {"scores": scores, "probabilities": torch.softmax(scores, -1), "best": scores.argmax(1)}


class Attention(nn.Module):
    """Each row is a sequence whose items look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Linear(4, 12)

    def forward(self, x: Any) -> Any:
        """Attend."""
        q, k, v = self.parts(x).chunk(3, dim=-1)
        return nn.functional.scaled_dot_product_attention(q, k, v).mean(1)


TABLE, PICTURES, SEQUENCES = (
    np.random.default_rng(0).random(shape, dtype="f4") for shape in ((6, 4), (6, 1, 4, 4), (6, 3, 4))
)
INDEPENDENT: dict[str, tuple[nn.Module, Any]] = {
    "layers": (nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(1)), TABLE),
    "pictures": (Network(), PICTURES),
    "attention within a row": (Attention(), SEQUENCES),
    "words": (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 1)), np.arange(18).reshape(6, 3) % 9),
    "sizes of rows": (Calls(lambda x: (x[:, 1:3] * 2).reshape(x.shape[0], 2, 1).squeeze(2)), TABLE),
}
MIXING: dict[str, tuple[nn.Module, Any]] = {
    "mean of rows": (Calls(lambda x: x - x.mean(0, keepdim=True)), TABLE),
    "mean of all": (Calls(lambda x: x - x.mean()), TABLE),
    "softmax of rows": (Calls(lambda x: torch.softmax(x, 0)), TABLE),
    "softmax of rows, counted from the end": (Calls(lambda x: torch.softmax(x, -2)), TABLE),
    "sums from row to row": (Calls(lambda x: torch.cumsum(x, 0)), TABLE),
    "rows turned round": (Calls(lambda x: x.flip(0)), TABLE),
    "rows sorted": (Calls(lambda x: x.sort(0).values), TABLE),
    "the first row": (Calls(lambda x: x - x[0]), TABLE),
    "distances": (Calls(lambda x: torch.softmax(x @ x.T, 1) @ x), TABLE),
    "number of rows": (Calls(lambda x: x / x.shape[0]), TABLE),
    "number of the row": (Calls(lambda x: x + torch.arange(x.shape[0]).reshape(-1, 1)), TABLE),
    "the row before": (Calls(lambda x: torch.cat([x, x.roll(1, 0)], 1)), TABLE),
    "attention among rows": (Calls(lambda x: nn.functional.scaled_dot_product_attention(x, x, x)), TABLE),
}


def opened(module: nn.Module, example: Any, path: Path) -> palate.PyFuncModel:
    """Save and load a program."""
    palate.save_model(module.eval(), path, input_example=example)
    return palate.load_model(path)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_a_graph_that_shows_it_is_joined(tmp_path, name):
    """Each row gets the answer alone that it gets among others, of every output."""
    module, rows = INDEPENDENT[name]
    model = opened(module, rows, tmp_path / "m")
    assert model.rows_are_independent("predict")
    whole = model.predict(rows)
    for number in range(len(rows)):
        alone = model.predict(rows[number : number + 1])
        for key in whole if isinstance(whole, dict) else [slice(None)]:
            np.testing.assert_allclose(alone[key], whole[key][number : number + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MIXING)
def test_whatever_may_look_at_several_rows_is_not_joined(tmp_path, name):
    """Sums, orders, attention and numbers of rows, however they are written."""
    module, rows = MIXING[name]
    model = opened(module, rows, tmp_path / "m")
    assert not model.rows_are_independent("predict")


def test_of_modules_that_are_code_nothing_is_known(tmp_path):
    """Neither of a pickled one nor of one that the caller gives."""
    palate.save_model(nn.Linear(4, 2), tmp_path / "m", format="pickle", input_example=TABLE)
    assert not palate.load_model(tmp_path / "m", trust=True).rows_are_independent("predict")


def test_a_program_for_one_number_of_rows_is_not_joined(tmp_path):
    """It would refuse two requests together."""
    inputs = palate.Schema((palate.TensorSpec(dtype="float32", shape=TABLE.shape),))
    signature = palate.Signature(inputs=inputs)
    palate.save_model(nn.Linear(4, 2), tmp_path / "m", dynamic_batch=False, input_example=TABLE, signature=signature)
    assert not palate.load_model(tmp_path / "m").rows_are_independent("predict")
