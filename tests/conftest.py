"""Fixtures that several test files share."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failed property. Under CI, hypothesis chooses its own "ci" profile, which says the same and more.
settings.register_profile("unhurried", settings.get_profile("ci" if os.environ.get("CI") else "default"), deadline=None)
settings.load_profile("unhurried")

REPOSITORY = Path(__file__).resolve().parents[1]


def skip_unless_ci(reason: str) -> None:
    """Skip a test whose environment is not there; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout that the tests run from."""
    return REPOSITORY


@pytest.fixture(scope="session")
def mlflow_python() -> Path:
    """Return the interpreter of an environment that holds stock MLflow and not Palate.

    MLflow is the judge of compatibility; it runs in a process of its own so that neither sees the other.
    """
    given = os.environ.get("PALATE_MLFLOW_PYTHON")
    interpreter = Path(given) if given else REPOSITORY / ".venv-mlflow" / "bin" / "python"
    if not interpreter.exists():
        skip_unless_ci(f"no stock MLflow at {interpreter}: run 'make .venv-mlflow', or set PALATE_MLFLOW_PYTHON")
    return interpreter


@pytest.fixture(scope="session")
def toy_flavor() -> str:
    """Return the name of the toy plugin's flavor, which is installed as a stranger's would be."""
    try:
        importlib.metadata.version("palate-toy")
    except importlib.metadata.PackageNotFoundError:
        skip_unless_ci("palate-toy is not installed: run 'make .venv/dev.stamp', or 'pip install ./tests/toy_plugin'")
    return "toy"
