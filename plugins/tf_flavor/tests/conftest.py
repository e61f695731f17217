"""What the tests of the Keras and TensorFlow flavors share."""

from __future__ import annotations

import io
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions
from tf_flavor import keras_models
from tf_flavor._imports import import_keras, import_tensorflow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    """Keras, imported once; what TensorFlow deprecates in its own code is none of our business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_keras()


@pytest.fixture(scope="session")
def tf(keras: ModuleType) -> ModuleType:
    """TensorFlow."""
    return import_tensorflow()


@pytest.fixture
def small(keras: ModuleType) -> Any:
    """A small model of one input and one output."""
    layers = keras.layers
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(5, activation="relu"), layers.Dense(3)])


@pytest.fixture
def rows() -> np.ndarray:
    """What the small model takes."""
    return np.random.default_rng(0).random((7, 4), dtype="f4")


@pytest.fixture
def load() -> Callable[..., Any]:
    """Load a directory with the hooks of a flavor."""

    def loader(plugin: Any, path: Path, section: dict[str, Any], *, trust: bool = False, **extra: object) -> Any:
        return plugin.load_model(
            path=path, config=section, options=LoadOptions(trust=trust, code=ModelCode(None), extra=extra)
        )

    return loader


@pytest.fixture
def honest(keras, small, tmp_path) -> dict[str, bytes]:
    """The members of an honest file."""
    from tf_flavor._keras_saving import write_keras

    write_keras(small, tmp_path / "honest.keras", {})
    with zipfile.ZipFile(tmp_path / "honest.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def open_members(tmp_path, load) -> Callable[..., Any]:
    """Put members, or bytes, into a model directory and open it; the time and the marker are checked besides."""
    marker = tmp_path / "marker"

    def opener(content: dict[str, bytes] | bytes, **kwargs: Any) -> Any:
        data = tmp_path / "model" / "data"
        data.mkdir(parents=True, exist_ok=True)
        (data / "model.keras").write_bytes(content if isinstance(content, bytes) else _zipped(content))
        started = time.monotonic()
        try:
            return load(keras_models, data.parent, {"data": "data"}, **kwargs)
        finally:
            assert time.monotonic() - started < 5
            assert not marker.exists()
            assert [path.name for path in data.iterdir()] == ["model.keras"]

    return opener


def _zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()
