"""Models of every family, saved once, and scripts that open them in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _run(script: str, *arguments: object, env: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-W", "error", str(HERE / script), *map(str, arguments)]
    # What TensorFlow says of the machine is none of our business.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def run_script() -> Callable[..., str]:
    """Run one of the scripts beside this file in a process of its own; return what it prints."""
    return _run


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder with the models of a family, which are saved when they are first asked for."""
    folders: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in folders:
            path = tmp_path_factory.mktemp(family)
            _run("zoo.py", family, path)
            folders[family] = path
        return folders[family]

    return folder
