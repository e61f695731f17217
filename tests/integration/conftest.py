"""Models of every family, saved once, and scripts that open them in fresh processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_SLOW = 240  # seconds after which a script has come to a standstill


def _run(script: str, *arguments: object, env: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-W", "error", "-X", "faulthandler", str(HERE / script), *map(str, arguments)]
    # What TensorFlow says of the machine is none of our business.
    own = {"PYTHONPATH": str(HERE.parent / "shared"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment = {**os.environ, **own, **(env or {})}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as running:
        try:
            output, errors = running.communicate(timeout=_SLOW)
        except subprocess.TimeoutExpired:
            # It then shows where each of its threads stands, even if all of them wait in native code.
            running.send_signal(signal.SIGABRT)
            output, errors = running.communicate()
    assert running.returncode == 0, errors[-12000:]
    return output


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
