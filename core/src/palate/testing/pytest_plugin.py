"""What pytest loads by itself where Palate is installed: the report of the conformance kit, and its sentences.

It imports next to nothing, as it is loaded whether or not a test uses the kit.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from palate._late import LateModule

if TYPE_CHECKING:
    from palate.testing import _report as report
else:
    report = LateModule("palate.testing._report")

__all__ = ["PROPERTY"]

# Before the checks are imported: their plain asserts then say what was compared.
pytest.register_assert_rewrite("palate.testing")

PROPERTY = "palate_check"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that asks for a report."""
    group = parser.getgroup("palate", "conformance of Palate's flavors")
    group.addoption(
        "--palate-report",
        metavar="FILE",
        default=None,
        help="write which checks of palate.testing.FlavorContract hold, as JSON, or as Markdown for FILE.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Gather a report if one was asked for; of several processes only the first one writes it."""
    target = config.getoption("--palate-report")
    if target is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(report.ReportWriter(Path(target), PROPERTY), "palate-report")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note on a check of the kit which one it is and for which flavor; the note travels with its outcome."""
    cls = getattr(item, "cls", None)
    if cls is not None and hasattr(cls, "palate_check"):
        note = cls.palate_check(item)
        if note is not None:
            item.user_properties.append((PROPERTY, note))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed check the sentence that says why it is asked."""
    outcome = yield
    note = dict(item.user_properties).get(PROPERTY)
    if isinstance(note, dict) and outcome.failed:
        outcome.sections.append(("why Palate asks for this", str(note["why"])))
    return outcome
