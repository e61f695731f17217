"""What the tests of the PyTorch flavor share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
        options = LoadOptions(trust=trust, code=ModelCode(None), extra=extra)
        return torch_flavor.load_model(path=path, config=section or {"model_data": "data"}, options=options)

    return loader


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in a process of its own, which a segfault may end."""

    def runner(script: str, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return runner


@pytest.fixture(scope="session")
def mlflow_python() -> str:
    """The interpreter of an environment with stock MLflow, or a skip."""
    root = Path(__file__).parents[3]
    python = Path(os.environ.get("PALATE_MLFLOW_PYTHON") or root / ".venv-mlflow" / "bin" / "python")
    if not python.exists():
        pytest.skip("no stock MLflow: set PALATE_MLFLOW_PYTHON, or make .venv-mlflow")
    return str(python)


class Archive:
    """A .pt2 taken apart, to be put together again with something wrong in it."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.records = {info.filename: archive.read(info) for info in archive.infolist()}

    def edit(self, record: str, change: Callable[[Any], object]) -> None:
        """Change the document in *record*."""
        document = json.loads(self.records[f"model/{record}"])
        change(document)
        self.records[f"model/{record}"] = json.dumps(document).encode()

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
