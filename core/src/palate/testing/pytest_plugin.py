"""What pytest loads by itself where Palate is installed: the report of the conformance kit, and its sentences.

It imports next to nothing, as it is loaded whether or not a test uses the kit.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from palate.testing._notes import attach_note, mark_skipped_by_kit, read_note

__all__: list[str] = []

_CONTRACT = "palate.testing._contract"
_KIT = Path(__file__).parent

# Before the checks are imported: their plain asserts then say what was compared. Each by its own name, as pytest 8
# warns of a package that is imported already.
pytest.register_assert_rewrite(
    *(f"palate.testing.{file.stem}" for file in _KIT.glob("_[a-z]*.py") if file.stem != "_notes")
)


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
    if target is not None and not hasattr(config, "workerinput") and not config.option.collectonly:
        # No LateModule: pytest looks at everything that stands in a plugin, and would load it.
        report: Any = import_module("palate.testing._report")
        config.pluginmanager.register(report.ReportWriter(Path(target)), "palate-report")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note on a check of the kit which one it is and for which flavor; the note travels with its outcome."""
    cls = getattr(item, "cls", None)
    contract: Any = next((base for base in getattr(cls, "__mro__", ()) if base.__module__ == _CONTRACT), None)
    if contract is not None:  # whose own word counts, whatever the class says
        note = contract.note_of(cls, item)
        if note is not None:
            attach_note(item.user_properties, note)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed check the sentence that says why it is asked, and to a skipped one whether the kit skips it."""
    outcome = yield
    note = read_note(item.user_properties)
    if note is not None and outcome.failed:
        outcome.sections.append(("why Palate asks for this", note.why))
    if note is not None and outcome.skipped and _is_raised_by_kit(call):
        mark_skipped_by_kit(outcome.user_properties)
    return outcome


def _is_raised_by_kit(call: pytest.CallInfo[None]) -> bool:
    """Whether the kit's own code skips: the place that a report names is its check also where an author's mark does."""
    if call.excinfo is None:
        return False
    frames = [path for entry in call.excinfo.traceback if "_pytest" not in (path := Path(entry.path)).parts]
    return bool(frames) and frames[-1].parent == _KIT
