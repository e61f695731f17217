"""Sessions of pytest in a process of their own, with flavors in single files and the conformance kit."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["HEAD", "KIT", "Outcome", "Session", "run_kit"]

KIT = Path(__file__).resolve().parents[1] / "kit"
"""Where the framework, and the flavor that is right, are."""

HEAD = '''
import pandas
import pytest
from lines import Line

from palate.testing import FlavorContract
from palate.testing._process_state import ASPECTS, process_state, set_back


@pytest.fixture(autouse=True)
def as_before():
    """Undo what a flavor does to the process, or the next one would be found guilty of it."""
    before = process_state()
    yield
    set_back(ASPECTS, process_state(), before)


class OnLine(FlavorContract):
    @pytest.fixture
    def model(self):
        return Line([2.0, -1.0], 0.5)

    @pytest.fixture
    def sample(self):
        return pandas.DataFrame({"a": [1.0, 2.0, 4.0, -3.0], "b": [0.5, -1.0, 3.0, 7.0]})

    @pytest.fixture
    def expected(self, model, sample):
        return model.predict(sample)
'''
"""The beginning of a module of tests: one class that only lacks the name of a flavor."""

Outcome = Literal["passed", "failed", "error", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """How a session went: its exit code, what it wrote, and of each test its outcome and what was said of it."""

    code: int
    text: str
    outcomes: Mapping[str, Outcome]
    messages: Mapping[str, str]


def run_kit(
    folder: Path,
    module: str,
    *arguments: str,
    plugins: Sequence[Path] = (KIT / "line.py",),
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
    autoload: bool = False,
) -> Session:
    """Run pytest on a module's text in *folder*.

    Args:
        folder: an empty folder.
        module: the text of ``test_kit.py``; paths in *arguments* are relative to *folder*.
        arguments: further arguments of pytest; the module itself, unless it or parts of it are among them.
        plugins: files with flavors.
        env: further environment variables.
        timeout: seconds for the whole.
        autoload: whether pytest loads every plugin that is installed, for which it takes its time.
    """
    (folder / "test_kit.py").write_text(module)
    (folder / "pytest.ini").write_text("[pytest]\n")
    ours = [] if autoload else ["-p", "palate.testing.pytest_plugin"]
    chosen = any(argument.startswith("test_kit.py") for argument in arguments)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *ours, "-p", "no:cacheprovider", "--junitxml=outcomes.xml", *arguments]
        + ([] if chosen else ["test_kit.py"]),
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(KIT / "site"),
            "PALATE_PLUGINS": os.pathsep.join(map(str, plugins)),
            **({} if autoload else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
            **(env or {}),
        },
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    outcomes, messages = _read(folder / "outcomes.xml")
    return Session(code=done.returncode, text=done.stdout + done.stderr, outcomes=outcomes, messages=messages)


def _read(file: Path) -> tuple[dict[str, Outcome], dict[str, str]]:
    outcomes: dict[str, Outcome] = {}
    messages: dict[str, str] = {}
    if not file.exists():
        return outcomes, messages
    kinds: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}
    for case in ET.parse(file).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        found = next((part for part in case if part.tag in kinds), None)
        outcomes[name] = "passed" if found is None else kinds[found.tag]
        if found is not None:
            messages[name] = f"{found.get('message', '')}\n{found.text or ''}"
    return outcomes, messages
