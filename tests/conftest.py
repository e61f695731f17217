"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


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
        reason = f"no stock MLflow at {interpreter}: run 'make .venv-mlflow', or set PALATE_MLFLOW_PYTHON"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return interpreter
