"""What the tests of the PyTorch flavor share."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import palate
import torch_flavor
from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Save a model with the public function; return its directory."""

    def saver(model: object, name: str = "model", **options: Any) -> Path:
        palate.save_model(model, tmp_path / name, **options)
        return tmp_path / name

    return saver


@pytest.fixture
def load() -> Callable[..., Any]:
    """Load a directory with the hooks."""

    def loader(path: Path, *, trust: bool = False, section: dict[str, Any] | None = None, **extra: object) -> Any:
        options = LoadOptions(
            trust=trust,
            code=ModelCode(None),
            extra=extra,
            map_file=lambda name: memoryview(bytearray((path / name).read_bytes())),
        )
        return torch_flavor.load_model(path=path, config=section or {"model_data": "data"}, options=options)

    return loader


class Archive:
    """A .pt2 taken apart, to be put together again with something wrong in it."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.records = {info.filename: archive.read(info) for info in archive.infolist()}

    def edit(self, record: str, change: Callable[[Any], object]) -> None:
        """Change the document in *record*."""
        document = json.loads(self.records[f"archive/{record}"])
        change(document)
        self.records[f"archive/{record}"] = json.dumps(document).encode()

    def write(self, path: Path, *, packed: bool = False) -> None:
        """Put it together, compressed if *packed*."""
        method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in self.records.items():
                archive.writestr(zipfile.ZipInfo(name), data, method)


@pytest.fixture
def archive() -> type[Archive]:
    """Take a .pt2 apart."""
    return Archive


@pytest.fixture
def graph(save: Callable[..., Path], archive: type[Archive]) -> tuple[Path, Archive]:
    """The directory of a small model and its archive, taken apart."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    path = save(model, input_example=np.ones((2, 3), "float32"))
    return path, archive(path / "data" / "model.pt2")
