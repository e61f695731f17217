"""What the tests of the scikit-learn flavor share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sklearn_flavor
from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions, SaveOptions


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., tuple[Path, dict[str, Any]]]:
    """Save a model with the hooks; return its directory and section."""

    def saver(model: object, format: str = "skops", **extra: object) -> tuple[Path, dict[str, Any]]:
        options = SaveOptions(format=format, extra=extra)
        return tmp_path, sklearn_flavor.save_model(model=model, path=tmp_path, options=options)

    return saver


@pytest.fixture
def load() -> Callable[..., Any]:
    """Load a directory with the hooks."""

    def loader(path: Path, section: dict[str, Any], *, trust: bool = False, **extra: object) -> Any:
        code = ModelCode(path / "code" if (path / "code").is_dir() else None)
        return sklearn_flavor.load_model(
            path=path, config=section, options=LoadOptions(trust=trust, code=code, extra=extra)
        )

    return loader


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in a process of its own, which a segfault may end."""

    def runner(script: str, *arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
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
