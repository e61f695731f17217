"""Calls of a module that several threads share, and that its owner trains meanwhile."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

import torch_flavor
from torch_flavor._calling import evaluating

X = np.ones((1, 2), "float32")


class Waiting(nn.Module):
    """Tells for each call whether it began, and ended, in training mode; the call of twos waits in between."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        began = self.training
        if x[0, 0] == 2:
            self.inside.set()
            assert self.go_on.wait(10)
        return torch.tensor([began, self.training])


def call(model: nn.Module, data: np.ndarray) -> list[bool]:
    """Call the hook."""
    return torch_flavor.predict(model=model, data=data, params={}).tolist()


def test_no_thread_ends_the_evaluation_of_another():
    """A call in evaluation mode stays there when another ends; after the last the module is back in training mode."""
    model, answers = Waiting().train(), []
    first = threading.Thread(target=lambda: answers.append(call(model, 2 * X)))
    first.start()
    assert model.inside.wait(10)
    assert call(model, X) == [False, False]
    assert not model.training
    model.go_on.set()
    first.join()
    assert answers == [[False, False]]
    assert model.training


def test_whoever_began_the_evaluation_may_end_first():
    """The flags go back with the last call, not with the one that found them, whichever that is."""
    model, answers = Waiting().train(), []
    model.part = nn.Linear(2, 2)
    with evaluating(model):
        late = threading.Thread(target=lambda: answers.append(call(model, 2 * X)))
        late.start()
        assert model.inside.wait(10)
    assert not model.training
    model.go_on.set()
    late.join()
    assert answers == [[False, False]]
    assert [part.training for part in model.modules()] == [True, True]


def test_a_module_in_evaluation_mode_stays_there():
    """Nothing is set where nothing trains, and a call that fails leaves the flags as they were."""
    model = Waiting().eval()
    assert call(model, X) == [False, False]
    assert not model.training
    model.train().go_on = None
    with pytest.raises(AttributeError):
        call(model, 2 * X)
    assert model.training
