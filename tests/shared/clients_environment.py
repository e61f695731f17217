"""The environment of clients that others wrote, and judges in it; none of it is installed beside Palate."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

__all__ = ["clients_python", "run_client", "tensorflow_messages"]

_FOLDER = Path(__file__).resolve().parents[2] / ".venv-clients"


def _find(path: Path) -> Path:
    """Return a path of the environment; without it the test is skipped, and in CI fails."""
    if not path.exists():
        reason = f"no {path.name} in {_FOLDER}: run 'make .venv-clients'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def clients_python() -> Path:
    """Return its interpreter."""
    return _find(_FOLDER / "bin" / "python")


def tensorflow_messages() -> Path:
    """Return a folder for PYTHONPATH with the messages of TensorFlow Serving, for a Python that has tensorflow."""
    return _find(_FOLDER / "messages")


def run_client(script: str, *arguments: object) -> str:
    """Run a script of this folder there; return what it prints."""
    command = [clients_python(), Path(__file__).with_name(script), *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
