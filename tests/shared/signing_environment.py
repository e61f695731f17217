"""The environment of model_signing, the reference implementation of OpenSSF Model Signing, and judges in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

__all__ = ["ask_judge", "judge_command", "run_judge"]

_FOLDER = Path(__file__).resolve().parents[2] / ".venv-signing"


def judge_command() -> Path:
    """Return its command; without the environment the test is skipped, and in CI fails."""
    command = _FOLDER / "bin" / "model_signing"
    if not command.exists():
        reason = f"no model_signing in {_FOLDER}: run 'make .venv-signing'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return command


def run_judge(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    command = [judge_command(), *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=170, check=False)


def ask_judge(tasks: Sequence[dict[str, Any]]) -> list[str | None]:
    """Give the judge's Python interface tasks, in one process; return for each why it refused, or None.

    A task is ``{"sign": model, "key": private, "to": file, ...}`` or ``{"verify": model, "key": public, "by": file}``.
    """
    python = judge_command().with_name("python")
    script = Path(__file__).with_name("signing_judge.py")
    asked = json.dumps(tasks, default=str)
    done = subprocess.run([python, script], input=asked, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[str | None] = json.loads(done.stdout)
    assert len(answers) == len(tasks)
    return answers
