"""Models that the tests of isolation ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from isolated import HERE

import palate
from palate import IsolatedModel

MOODY = Path(__file__).parents[1] / "shared" / "moody.py"


@pytest.fixture(scope="module")
def moody_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a model is that does what it is told."""
    path = tmp_path_factory.mktemp("moody") / "model"
    palate.save_model(str(MOODY), path, signature=None, model_config={"at_load": ""})
    return path


@pytest.fixture(scope="module")
def shared_model(moody_path: Path) -> Iterator[IsolatedModel]:
    """Yield one isolated model for tests that leave its process alone."""
    with palate.load_model(moody_path, trust=True, isolate=HERE) as model:
        yield model


@pytest.fixture
def model(moody_path: Path) -> Iterator[IsolatedModel]:
    """Yield an isolated model of the test's own."""
    with palate.load_model(moody_path, trust=True, isolate=HERE) as opened:
        yield opened


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a classifier with a signature is."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data = load_iris(as_frame=True)
    path = tmp_path_factory.mktemp("iris") / "model"
    fitted = LogisticRegression(max_iter=500).fit(data.data, data.target)
    palate.save_model(fitted, path, input_example=data.data.head(3))
    return path
