"""What the tests of the PyTorch flavor share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

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


def skip_unless_ci(reason: str) -> NoReturn:
    """Skip a test whose environment is not there; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def run_mlflow(tmp_path: Path) -> Callable[..., str]:
    """Run a script where stock MLflow is and Palate is not, or an older release of MLflow; return what it prints."""
    root = Path(__file__).parents[3]
    python = Path(os.environ.get("PALATE_MLFLOW_PYTHON") or root / ".venv-mlflow" / "bin" / "python")
    if not python.exists():
        skip_unless_ci("no stock MLflow: set PALATE_MLFLOW_PYTHON, or make .venv-mlflow")

    def runner(script: str, *arguments: object, version: str | None = None) -> str:
        # MLflow writes down runs where it is started, or where this says.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "MLFLOW_TRACKING_URI": f"file:{tmp_path}/runs"}
        if version is not None:
            older = python.parents[1] / "readers" / version
            if not older.is_dir():
                skip_unless_ci(f"no MLflow {version} at {older}: run 'make .venv-mlflow'")
            environment["PYTHONPATH"] = str(older)
        command = [str(python), "-c", script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return runner


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


@pytest.fixture
def graph(save: Callable[..., Path], archive: type[Archive]) -> tuple[Path, Archive]:
    """The directory of a small model and its archive, taken apart."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    path = save(model, input_example=np.ones((2, 3), "float32"))
    return path, archive(path / "data" / "model.pt2")
