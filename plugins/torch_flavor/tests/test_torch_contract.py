"""The PyTorch flavor keeps the promises of a flavor."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from palate.testing import FlavorContract


def build_network() -> nn.Module:
    """Return a small network with layers that differ between training and evaluation."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(1)).eval()


class _OnNetwork(FlavorContract):
    flavor = "pytorch"
    rows_are_independent = True  # of this network, also where no graph shows it

    @pytest.fixture
    def model(self):
        """Build a network."""
        return build_network()

    @pytest.fixture
    def sample(self):
        """Five rows."""
        return np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4)


class TestTorchProgram(_OnNetwork):
    """An exported program, the default."""


class TestTorchPickle(_OnNetwork):
    """A pickled module."""

    format = "pickle"


class TestTorchWeights(_OnNetwork):
    """Weights alone, for a module that the caller names."""

    format = "safetensors"
    save_options: ClassVar = {"module": build_network}
    load_options: ClassVar = {"module": build_network}
