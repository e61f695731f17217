"""The report of the conformance kit: which flavor keeps which promise, for a README or for a program."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import pytest

from palate.testing._contract import CHECKS, TOPICS, why
from palate.testing._notes import CHECK, SKIPPED_BY_KIT

__all__ = [
    "CheckResult",
    "Conformance",
    "Outcome",
    "ReportWriter",
    "outcome_of",
    "record_phase",
    "render_json",
    "render_markdown",
]

Outcome = Literal["passed", "failed", "skipped", "expected failure", "not run"]
_BAR = r"\|"
_SIGNS: Mapping[Outcome, str] = {
    "passed": "yes",
    "failed": "**no**",
    "skipped": "not asked",
    "expected failure": "no, as declared",
    "not run": "not run",
}


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """How one check of one case went.

    Attributes:
        check: the name of the check.
        why: the sentence that says what it proves.
        outcome: "expected failure" is one that the author has declared.
        detail: why it was skipped, declared to fail, or did fail. A check that its author skips counts as not run.
        seconds: how long it took.
    """

    check: str
    why: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0


@dataclass(kw_only=True)
class Conformance:
    """The results of one case: a test class, and the parameters of its fixtures."""

    case: str
    flavor: str
    format: str
    distribution: str
    version: str
    results: dict[str, CheckResult] = field(default_factory=dict)

    def complete(self) -> list[CheckResult]:
        """Return a result for each check of the kit, also for those that nobody ran."""
        return [
            self.results.get(check, CheckResult(check=check, why=why(check), outcome="not run")) for check in CHECKS
        ]

    @property
    def conforms(self) -> bool:
        """Whether every check was run, and none failed."""
        return all(result.outcome not in ("failed", "not run") for result in self.complete())

    @property
    def summary(self) -> str:
        """How many checks hold, and how many do not and why, in words."""
        outcomes = [result.outcome for result in self.complete()]
        counted = {word: outcomes.count(word) for word in _SIGNS}
        parts = [f"{counted['passed']} of {len(outcomes)} checks hold"]
        parts += [f"{count} {word}" for word, count in counted.items() if count and word != "passed"]
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        facts = {name: value for name, value in vars(self).items() if name != "results"}
        return {**facts, "conforms": self.conforms, "checks": [asdict(result) for result in self.complete()]}


class ReportWriter:
    """A plugin of pytest that gathers the outcomes and writes them down at the end.

    Args:
        target: the file to write; Markdown when it ends with ``.md``.

    Raises:
        pytest.UsageError: nothing can be written there; better to know before the tests have run.
    """

    def __init__(self, target: Path) -> None:
        _check_target(target)
        self._target = target
        self._cases: dict[str, Conformance] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down how one phase of one check went."""
        note = dict(report.user_properties).get(CHECK)
        if not isinstance(note, dict):
            return
        outcome, detail = outcome_of(report)
        record_phase(self._cases, note, outcome, detail, report.duration)

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        cases = _whole_cases(self._cases)
        text = render_markdown(cases) if self._target.suffix == ".md" else render_json(cases)
        self._target.write_text(text, encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the report is."""
        terminalreporter.write_line(f"Palate's conformance report: {self._target}")


def _whole_cases(found: Mapping[str, Conformance]) -> list[Conformance]:
    """Return the cases, each with what was found once for all of its class: checks that need no model are not run for
    each parameter of it."""
    groups: dict[str, dict[str, Conformance]] = {}
    for identity, case in found.items():
        cls, _, parameters = identity.partition("\n")
        groups.setdefault(cls, {})[parameters] = case
    cases = []
    for group in groups.values():
        shared = group.pop("", None) if len(group) > 1 else None
        once = shared.results if shared else {}
        cases += [replace(case, results={**once, **case.results}) for case in group.values()]
    return cases


def _check_target(target: Path) -> None:
    existed = target.exists()
    try:
        target.open("a", encoding="utf-8").close()
    except OSError as exc:
        raise pytest.UsageError(f"--palate-report cannot be written: {exc}") from exc
    if not existed:
        target.unlink()


def record_phase(
    cases: dict[str, Conformance], note: Mapping[str, str], outcome: Outcome, detail: str, seconds: float
) -> None:
    """Add to *cases* how one phase of a check went: setting up, the check itself, tearing down."""
    case = Conformance(
        case=note["case"],
        flavor=note["flavor"],
        format=note["format"],
        distribution=note["distribution"],
        version=note["version"],
    )
    # Two modules may have a class of one name.
    results = cases.setdefault(note["id"], case).results
    check = note["check"]
    before = results.get(check)
    if before is None or outcome != "passed":
        seconds += before.seconds if before else 0.0
        results[check] = CheckResult(
            check=check, why=note["why"], outcome=outcome, detail=detail, seconds=round(seconds, 3)
        )


def outcome_of(report: pytest.TestReport) -> tuple[Outcome, str]:
    """Return how one phase of a test went, and what there is to say of it."""
    if hasattr(report, "wasxfail") and report.skipped:
        return "expected failure", report.wasxfail.removeprefix("reason: ")
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        # The kit skips where there is nothing to ask; what an author skips would have been asked.
        outcome: Outcome = "skipped" if SKIPPED_BY_KIT in dict(report.user_properties) else "not run"
        return outcome, reason.removeprefix("Skipped: ")
    if report.failed:
        return "failed", _last_line(report)
    return "passed", ""


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(crash.message if crash is not None else report.longrepr).strip().splitlines()
    return lines[0][:300] if lines else ""


def render_json(cases: Sequence[Conformance]) -> str:
    """Return the report as a JSON document.

    It is an object with the texts ``palate`` (the version), ``python``, ``platform``, and a list ``cases``. A case has
    the texts ``case``, ``flavor``, ``format``, ``distribution``, ``version``, ``conforms`` (true or false), and a list
    ``checks``, one entry for each check of the kit in the kit's order: the texts ``check``, ``why``, ``outcome``
    (passed, failed, skipped, expected failure, not run) and ``detail``, and the number ``seconds``.
    """
    document: dict[str, Any] = {
        "palate": metadata.version("palate"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cases": [case.to_dict() for case in cases],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def render_markdown(cases: Sequence[Conformance]) -> str:
    """Return the report as a section of a README: a summary, and a table with a row for each check."""
    where = f"Palate {metadata.version('palate')}, Python {platform.python_version()}, {platform.system()}"
    lines = ["## Conformance", "", f"The checks of `palate.testing`, with {where} {platform.machine()}.", ""]
    lines += [f"* **{case.case}** (`{case.flavor}`, format `{case.format}`): {case.summary}" for case in cases]
    head = ["check", *(case.case for case in cases)]
    lines += [] if cases else ["No check was run."]
    lines += ["", _row(head), f"|{'---|' * len(head)}"]
    results = [{result.check: result for result in case.complete()} for case in cases]
    for topic, checks in TOPICS.items():
        lines.append(_row([f"**{topic}**", *("" for _ in cases)]))
        lines += [_row([why(check), *(_SIGNS[found[check].outcome] for found in results)]) for check in checks]
    exceptions = [
        f"* {case.case}, `{result.check}`: {_one_line(result.detail)}"
        for case in cases
        for result in case.complete()
        if result.detail
    ]
    if exceptions:
        lines += ["", "Where a check was not asked, or does not hold:", "", *exceptions]
    return "\n".join([*lines, ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_one_line(cell).replace('|', _BAR) for cell in cells)} |"


def _one_line(text: str) -> str:
    return " ".join(text.split())
