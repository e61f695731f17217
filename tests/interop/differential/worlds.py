"""Both sides asked about the same cases, beside one another, with one release of pandas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["World", "ask"]

Case = tuple[str, str, str]
HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class World:
    """Cases, and the answers of MLflow and of Palate to each, with one release of pandas."""

    pandas: str
    cases: list[Case]
    theirs: list[dict[str, Any]]
    ours: list[dict[str, Any]]

    def __iter__(self) -> Any:
        """Iterate over the cases whose input could be made: kind, signature, input, their answer, ours."""
        for case, theirs, ours in zip(self.cases, self.theirs, self.ours, strict=True):
            if "unmade" not in theirs and "unmade" not in ours:
                yield *case, theirs, ours


def ask(mlflow_python: Path, cases: list[Case], pandas: Path | None) -> World:
    """Return what both answer; *pandas* is a folder with another pandas than that of the environments, or None."""
    given = json.dumps(cases)
    sides = {"mlflow": str(mlflow_python), "palate": sys.executable}
    running = {side: _start(python, side, pandas) for side, python in sides.items()}
    for process in running.values():  # each reads all before it writes anything
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        process.stdin = None
    answers = {}
    for side, process in running.items():
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        answers[side] = json.loads(output)
    theirs, ours = answers["mlflow"], answers["palate"]
    assert theirs["pandas"] == ours["pandas"]
    return World(theirs["pandas"], cases, theirs["answers"], ours["answers"])


def _start(python: str, side: str, pandas: Path | None) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if pandas is not None:
        environment["PYTHONPATH"] = str(pandas)
    command = [python, "-m", "differential.answers", side]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=HERE, env=environment)
