"""Data, schemas and predictions with pandas 2, which the core admits, beside the pandas 3 of all other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUBJECTS = (
    "test_arrow_streams.py",
    "test_casts.py",
    "test_containers.py",
    "test_enforcement_*.py",
    "test_inference*.py",
    "test_lossless.py",
    "test_nested_cells.py",
    "test_outputs*.py",
    "test_params.py",
)


@pytest.mark.mlflow
@pytest.mark.slow
def test_data_and_schemas_pass_their_tests_with_pandas_2(pandas_2: Path, repository: Path) -> None:
    """All that is proved of data and schemas with pandas 3 holds with pandas 2."""
    found = [sorted((repository / "tests").glob(pattern)) for pattern in SUBJECTS]
    assert all(found), "a file of another name"
    files = [str(path) for paths in found for path in paths]
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
