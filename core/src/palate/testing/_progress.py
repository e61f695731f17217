"""What ``check_flavor`` asks of the process that it starts, and what that tells while it works.

A plugin of pytest in that process: a line of JSON when a check begins and when a phase of it ends, so that what was
found is known even if the process does not live to the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from palate.testing._notes import read_note
from palate.testing._report import outcome_of

__all__ = ["VARIABLE", "CheckRequest", "request"]

VARIABLE = "PALATE_CHECK_REQUEST"


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """Which flavor to check, in which formats, and the file to tell the progress in.

    Attributes:
        formats: names of formats; empty stands for the flavor's default.
    """

    flavor: str
    formats: Sequence[str]
    progress: str

    def to_environment(self) -> dict[str, str]:
        """Return the environment variable that the process reads it from."""
        return {VARIABLE: json.dumps(asdict(self))}


def request() -> CheckRequest:
    """Return what this process was asked."""
    return CheckRequest(**json.loads(os.environ[VARIABLE]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tell that a check begins."""
    note = read_note(item.user_properties)
    assert note is not None  # nothing else is collected
    _tell({"began": item.nodeid, "note": asdict(note)})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell how a phase of a check went."""
    outcome, detail = outcome_of(report)
    note = read_note(report.user_properties)
    assert note is not None
    _tell({"note": asdict(note), "outcome": outcome, "detail": detail, "seconds": report.duration})


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Tell that a check has ended."""
    _tell({"ended": nodeid})


def _tell(line: dict[str, Any]) -> None:
    with Path(request().progress).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
