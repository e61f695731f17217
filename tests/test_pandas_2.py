"""Enforcement and inference with pandas 2, which the core admits, beside the pandas 3 of all other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUBJECTS = ("test_enforcement_*.py", "test_inference.py", "test_containers.py", "test_params.py", "test_lossless.py")


@pytest.mark.mlflow
@pytest.mark.slow
def test_data_and_schemas_pass_their_tests_with_pandas_2(pandas_2: Path, repository: Path) -> None:
    """All that is proved of enforcement and inference with pandas 3 holds with pandas 2."""
    files = sorted(str(path) for pattern in SUBJECTS for path in (repository / "tests").glob(pattern))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow and not mlflow"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(pandas_2)},
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
