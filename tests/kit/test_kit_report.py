"""The report says of every check how it went, for programs and for a README."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from kit_session import HEAD, run_kit

from palate.errors import SaveFailed
from palate.testing import write_report
from palate.testing._contract import CHECKS, TOPICS, why

CASES = f"""{HEAD}

class TestLine(OnLine):
    flavor = "line"

    @pytest.mark.xfail(reason="pipes | and\\nlines")
    def test_section_is_small(self):
        pass

    def test_of_the_author(self):
        pass


class TestBroken(OnLine):
    flavor = "line"

    @pytest.fixture
    def model(self):
        raise ValueError("no | model")
"""
SOME = "small or methods_survive or missing_column or of_the_author or hook_api"


def report_of(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Run some checks of two classes and return the report."""
    run_kit(tmp_path, CASES, "--palate-report=report.json", "-k", SOME, *arguments, autoload="-n" in arguments)
    return json.loads((tmp_path / "report.json").read_text())


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "two"])
def test_report_has_every_check_of_every_case(tmp_path, arguments) -> None:
    """What was run, what failed before it could run, and what nobody ran; in the order of the kit."""
    document = report_of(tmp_path, *arguments)
    cases = {case["case"]: case for case in document["cases"]}
    assert set(cases) == {"Line", "Broken"}
    for case in cases.values():
        assert [check["check"] for check in case["checks"]] == list(CHECKS)
        assert [check["why"] for check in case["checks"]] == [why(check) for check in CHECKS]
        assert case["conforms"] is False
    outcomes = {name: {check["check"]: check for check in case["checks"]} for name, case in cases.items()}
    line, broken = outcomes["Line"], outcomes["Broken"]
    assert line["test_methods_survive"]["outcome"] == "passed"
    assert line["test_missing_column_is_named"]["outcome"] == "passed"
    assert line["test_section_is_small"]["outcome"] == "failed"  # it is no exception any more
    assert line["test_one_row_is_predicted_as_among_others"]["outcome"] == "not run"
    assert broken["test_methods_survive"]["outcome"] == "failed"
    assert "no | model" in broken["test_methods_survive"]["detail"]
    assert broken["test_hook_api_is_stated"]["outcome"] == "passed"  # needs no model


def test_report_names_the_flavor(tmp_path) -> None:
    """Who provides it, in which version and format, and where it was run, stand beside the outcomes."""
    document = report_of(tmp_path)
    assert set(document) == {"palate", "python", "platform", "cases"}
    case = document["cases"][0]
    assert (case["flavor"], case["format"], case["version"]) == ("line", "json", "")
    assert case["distribution"].endswith("line.py")
    assert set(case["checks"][0]) == {"check", "why", "outcome", "detail", "seconds"}


def test_whole_conforming_case_says_so(tmp_path) -> None:
    """A flavor conforms when every check was run and held, or was declared, or had nothing to ask."""
    text = f"{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n"
    run_kit(tmp_path, text, "--palate-report=report.json")
    [case] = json.loads((tmp_path / "report.json").read_text())["cases"]
    assert case["conforms"] is True, [check for check in case["checks"] if check["outcome"] != "passed"]


def test_check_that_the_author_skips_counts_as_not_run(tmp_path) -> None:
    """Skipping is no way around the kit: only its own checks know that there is nothing to ask."""
    text = f"{HEAD}\n\n@pytest.mark.skip(reason='slow')\nclass TestLine(OnLine):\n    flavor = 'line'\n"
    run_kit(tmp_path, text, "--palate-report=report.json", "-k", "methods_survive")
    [case] = json.loads((tmp_path / "report.json").read_text())["cases"]
    [check] = [check for check in case["checks"] if check["check"] == "test_methods_survive"]
    assert (check["outcome"], check["detail"], case["conforms"]) == ("not run", "slow", False)


def test_classes_of_one_name_are_two_cases(tmp_path) -> None:
    """Two modules may each have a TestLine; their results are not mixed."""
    (tmp_path / "test_other.py").write_text(f"{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n")
    module = f"{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n"
    run_kit(tmp_path, module, "--palate-report=report.json", "-k", "hook_api", "test_kit.py", "test_other.py")
    assert [case["case"] for case in json.loads((tmp_path / "report.json").read_text())["cases"]] == ["Line", "Line"]


def test_parameters_are_whole_cases(tmp_path) -> None:
    """A check that needs no model is run once, and counts for each parameter of the model."""
    text = f"""{HEAD}

class TestLine(OnLine):
    flavor = "line"

    @pytest.fixture(params=["up", "down"])
    def model(self, request):
        return Line([1.0, 0.0], 0.0)
"""
    run_kit(tmp_path, text, "--palate-report=report.json", "-k", "hook_api or methods_survive")
    cases = json.loads((tmp_path / "report.json").read_text())["cases"]
    assert [case["case"] for case in cases] == ["Line[up]", "Line[down]"]
    for case in cases:
        ran = {check["check"] for check in case["checks"] if check["outcome"] == "passed"}
        assert ran == {"test_hook_api_is_stated", "test_methods_survive"}


def test_markdown_is_a_table(tmp_path) -> None:
    """Every row has as many cells as the head, whatever a detail holds; checks stand under their topics, in order."""
    run_kit(tmp_path, CASES, "--palate-report=REPORT.md", "-k", SOME)
    text = (tmp_path / "REPORT.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.replace(r"\|", "").count("|") for row in rows} == {4}
    firsts = [row.split(" | ")[0].removeprefix("| ") for row in rows[2:]]
    assert firsts == [line for topic, checks in TOPICS.items() for line in (f"**{topic}**", *map(why, checks))]
    assert f"* **Line** (`line`, format `json`): 3 of {len(CHECKS)} checks hold, 1 failed, " in text
    assert "* Broken, `test_methods_survive`: ValueError: no | model" in text


def test_report_without_a_case_says_so(tmp_path) -> None:
    """A module that cannot be imported leaves no report that looks as if all were well."""
    run_kit(tmp_path, "import no_such_module", "--palate-report=REPORT.md")
    assert "No check was run." in (tmp_path / "REPORT.md").read_text()


@pytest.mark.parametrize("target", ["no/such/folder/report.json", "."])
def test_target_that_cannot_be_written_is_refused_first(tmp_path, target) -> None:
    """Nobody runs the checks for minutes and then has no report."""
    done = run_kit(tmp_path, CASES, f"--palate-report={target}")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "--palate-report: no report can be written there: " in done.text
    assert not done.outcomes


def test_session_that_ends_before_the_report_leaves_the_old_one(tmp_path) -> None:
    """Looking whether the target can be written does not empty it."""
    (tmp_path / "report.json").write_text("old")
    stops = "import pytest\n\n\ndef pytest_sessionstart():\n    pytest.exit('not today', returncode=9)\n"
    (tmp_path / "conftest.py").write_text(stops)
    done = run_kit(tmp_path, CASES, "--palate-report=report.json")
    assert done.code == 9, done.text
    assert (tmp_path / "report.json").read_text() == "old"


def test_failure_says_why_it_is_asked(tmp_path) -> None:
    """A check that fails, or cannot begin, comes with its sentence."""
    done = run_kit(tmp_path, CASES, "-k", "TestBroken and methods_survive")
    assert "why Palate asks for this" in done.text
    assert why("test_methods_survive") in done.text


def test_report_that_the_disk_refuses_is_told_beside_what_was_found(tmp_path) -> None:
    """The outcomes are shown as ever, the reason stands below them, and the session has not succeeded."""
    done = run_kit(tmp_path, CASES, "-k", "TestLine and methods_survive", "--palate-report=/dev/full")
    assert "1 passed" in done.text
    assert "There is no conformance report: Could not save to '/dev/full': No space left on device" in done.text
    assert done.code != 0


def test_report_that_was_there_stays_when_the_new_one_does_not_fit(tmp_path) -> None:
    """The new one takes its place whole, or not at all, and leaves nothing beside it."""
    report = tmp_path / "report.md"
    report.write_text("the old one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(SaveFailed, match=r"report\.md"):
            write_report([], report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert report.read_text() == "the old one"
    assert os.listdir(tmp_path) == ["report.md"]
    write_report([], report)
    assert report.read_text().startswith("## Conformance")
