"""Fixtures that the tests of the core and of the plugins share."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

# A busy machine is no failed property. Under CI, hypothesis chooses its own "ci" profile, which says the same and more.
settings.register_profile("unhurried", settings.get_profile("ci" if os.environ.get("CI") else "default"), deadline=None)
settings.load_profile("unhurried")

REPOSITORY = Path(__file__).resolve().parent
_MLFLOW_PYTHON = REPOSITORY / ".venv-mlflow" / "bin" / "python"
if _MLFLOW_PYTHON.exists():  # where the kit's check finds stock MLflow, too
    os.environ.setdefault("PALATE_MLFLOW_PYTHON", str(_MLFLOW_PYTHON))


def skip_unless_ci(reason: str) -> NoReturn:
    """Skip a test whose environment is not there; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout that the tests run from."""
    return REPOSITORY


@pytest.fixture(scope="session")
def toy_flavor() -> str:
    """Return the name of the toy plugin's flavor, which is installed as a stranger's would be."""
    try:
        importlib.metadata.version("palate-toy")
    except importlib.metadata.PackageNotFoundError:
        skip_unless_ci("palate-toy is not installed: run 'make .venv/dev.stamp', or 'pip install ./tests/toy_plugin'")
    return "toy"


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in a process of its own, which a segfault may end."""

    def runner(
        script: str, *arguments: object, env: dict[str, str] | None = None, timeout: float = 170
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        environment = {**os.environ, **(env or {})}
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)

    return runner


@pytest.fixture(scope="session")
def mlflow_python() -> Path:
    """Return the interpreter of an environment that holds stock MLflow and not Palate.

    MLflow is the judge of compatibility; it runs in a process of its own so that neither sees the other.
    """
    interpreter = Path(os.environ.get("PALATE_MLFLOW_PYTHON", _MLFLOW_PYTHON))
    if not interpreter.exists():
        skip_unless_ci(f"no stock MLflow at {interpreter}: run 'make .venv-mlflow', or set PALATE_MLFLOW_PYTHON")
    return interpreter


@pytest.fixture(scope="session")
def pandas_2(mlflow_python: Path) -> Path:
    """Return a folder for PYTHONPATH that holds pandas 2, for either environment."""
    folder = mlflow_python.parents[1] / "pandas-2"
    if not folder.is_dir():
        skip_unless_ci(f"no pandas 2 at {folder}: run 'make .venv-mlflow'")
    return folder


@pytest.fixture
def run_mlflow(mlflow_python: Path, tmp_path: Path) -> Callable[..., str]:
    """Run a script beside stock MLflow, or beside an older release of it; return what it prints."""

    def runner(script: str, *arguments: object, version: str | None = None) -> str:
        # MLflow writes down runs where it is started, or where this says.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "MLFLOW_TRACKING_URI": f"file:{tmp_path}/runs"}
        if version is not None:
            older = mlflow_python.parents[1] / "readers" / version
            if not older.is_dir():
                skip_unless_ci(f"no MLflow {version} at {older}: run 'make .venv-mlflow'")
            environment["PYTHONPATH"] = str(older)
        command = [str(mlflow_python), "-c", script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return runner
