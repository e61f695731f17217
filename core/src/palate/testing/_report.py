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

from palate.errors import InvalidOption, SaveFailed
from palate.testing._contract import CHECKS, TOPICS, why
from palate.testing._notes import Note, is_skipped_by_kit, read_note

__all__ = [
    "Cases",
    "CheckResult",
    "Conformance",
    "Outcome",
    "ReportWriter",
    "check_target",
    "outcome_of",
    "record_phase",
    "render_json",
    "render_markdown",
    "write_report",
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
    settings: str = ""
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
        return ", ".join(parts) + (f" (with {self.settings})" if self.settings else "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        facts = {name: value for name, value in vars(self).items() if name != "results"}
        return {**facts, "conforms": self.conforms, "checks": [asdict(result) for result in self.complete()]}


Cases = dict[tuple[str, str], Conformance]
"""Cases as they are gathered, by the class of tests and the parameters of its fixtures."""


class ReportWriter:
    """A plugin of pytest that gathers the outcomes and writes them down at the end.

    Args:
        target: the file to write; Markdown when it ends with ``.md``.

    Raises:
        pytest.UsageError: nothing can be written there; better to know before the tests have run.
    """

    def __init__(self, target: Path) -> None:
        try:
            check_target(target, option="--palate-report")
        except InvalidOption as exc:
            raise pytest.UsageError(str(exc)) from exc
        self._target = target
        self._cases: Cases = {}
        self._written = f"Palate's conformance report: {target}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down how one phase of one check went."""
        note = read_note(report.user_properties)
        if note is not None:
            outcome, detail = outcome_of(report)
            record_phase(self._cases, note, outcome, detail, report.duration)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report; where that fails, so has the session, and what it found is shown nevertheless."""
        try:
            write_report(_whole_cases(self._cases), self._target)
        except SaveFailed as exc:
            self._written = f"There is no conformance report: {exc}"
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the report is, or why there is none."""
        terminalreporter.write_line(self._written)


def _whole_cases(found: Cases) -> list[Conformance]:
    """Return the cases, each with what was found once for all of its class: checks that need no model are not run for
    each parameter of it."""
    groups: dict[str, dict[str, Conformance]] = {}
    for (group, parameters), case in found.items():
        groups.setdefault(group, {})[parameters] = case
    cases = []
    for members in groups.values():
        shared = members.pop("", None) if len(members) > 1 else None
        once = shared.results if shared else {}
        cases += [replace(case, results={**once, **case.results}) for case in members.values()]
    return cases


def check_target(target: Path, *, option: str) -> None:
    """Refuse a file that no report can be written to; one that is there stays as it is.

    Args:
        target: the file.
        option: what the caller named it by.

    Raises:
        InvalidOption: it cannot be written.
    """
    existed = target.exists()
    try:
        target.open("a", encoding="utf-8").close()
    except OSError as exc:
        reason = f"no report can be written there: {exc.strerror}"
        raise InvalidOption(option, reason=reason, hint="name a file in a folder that you may write to") from exc
    if not existed:
        target.unlink()


def write_report(cases: Sequence[Conformance], target: Path) -> None:
    """Write the report to a file: Markdown when its name ends with ``.md``, JSON otherwise.

    Raises:
        SaveFailed: the disk refused; a report that was there stays.
    """
    render = render_markdown if target.suffix == ".md" else render_json
    file = target.resolve()
    # A pipe, or a terminal, is written to as it is.
    written = file.with_name(f".{file.name}.new") if file.is_file() or not file.exists() else file
    try:
        try:
            written.write_text(render(cases), encoding="utf-8")
            if written != file:
                written.replace(file)
        except BaseException:
            if written != file:
                written.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise SaveFailed(str(target), cause=exc) from exc


def record_phase(cases: Cases, note: Note, outcome: Outcome, detail: str, seconds: float) -> None:
    """Add to *cases* how one phase of a check went: setting up, the check itself, tearing down."""
    case = Conformance(
        case=note.case,
        flavor=note.flavor,
        format=note.format,
        distribution=note.distribution,
        version=note.version,
        settings=note.settings,
    )
    results = cases.setdefault((note.group, note.parameters), case).results
    detail = detail.encode("utf-8", "backslashreplace").decode("utf-8")  # a lone surrogate can be in any message
    before = results.get(note.check)
    if before is None or outcome != "passed":
        seconds += before.seconds if before else 0.0
        results[note.check] = CheckResult(
            check=note.check, why=note.why, outcome=outcome, detail=detail, seconds=round(seconds, 3)
        )


def outcome_of(report: pytest.TestReport) -> tuple[Outcome, str]:
    """Return how one phase of a test went, and what there is to say of it."""
    if hasattr(report, "wasxfail") and report.skipped:
        return "expected failure", report.wasxfail.removeprefix("reason: ")
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        # The kit skips where there is nothing to ask; what an author skips would have been asked.
        outcome: Outcome = "skipped" if is_skipped_by_kit(report.user_properties) else "not run"
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
