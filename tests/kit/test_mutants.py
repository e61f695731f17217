"""The kit finds what it says that it finds: a flavor that breaks one promise fails the check of that promise."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest
from kit_mutant import Mutant
from kit_mutants import BY_NO_HOOK, MUTANTS
from kit_session import HEAD, KIT, Session, run_kit
from plugin_site import PluginSite

from palate.testing._contract import CHECKS

INSTALLED = "test_dependencies_are_declared"  # a promise of distributions


def stem_of(check: str) -> str:
    """Return the name of the flavor that breaks a promise."""
    return check.removeprefix("test_")


def case_of(check: str, mutant: Mutant) -> str:
    """Return the class of tests for a mutant."""
    members = f"flavor = {stem_of(check)!r}\n{mutant.members}"
    return f"\n\nclass Test_{stem_of(check)}(OnLine):\n{textwrap.indent(members, '    ')}"


def write_flavor(folder: Path, check: str, mutant: Mutant) -> Path:
    """Write the good flavor with what breaks it."""
    file = folder / f"{stem_of(check)}.py"
    file.write_text(f"{(KIT / 'line.py').read_text()}\n\n{mutant.source}\n")
    return file


def node_ids(checks: Iterable[str]) -> list[str]:
    """Return what selects each mutant's own check."""
    return [f"test_kit.py::Test_{stem_of(check)}::{check}" for check in checks]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, mlflow_python: Path) -> Session:
    """Run each mutant's own check, all in one session."""
    folder = tmp_path_factory.mktemp("mutants")
    plugins = [write_flavor(folder, check, mutant) for check, mutant in MUTANTS.items() if check != INSTALLED]
    module = HEAD + "".join(case_of(*item) for item in MUTANTS.items() if item[0] != INSTALLED)
    ids = node_ids(check for check in MUTANTS if check != INSTALLED)
    return run_kit(folder, module, *ids, plugins=plugins, env={"PALATE_MLFLOW_PYTHON": str(mlflow_python)})


def test_every_check_has_a_mutant() -> None:
    """A check that is added comes with a flavor that fails it, or with the reason why none can."""
    assert set(MUTANTS) | set(BY_NO_HOOK) == set(CHECKS)
    assert not set(MUTANTS) & set(BY_NO_HOOK)


@pytest.mark.parametrize("check", [check for check in MUTANTS if check != INSTALLED])
def test_broken_promise_is_found(check: str, session: Session) -> None:
    """The check fails, not what it stands on, and says what is wrong."""
    name = f"Test_{stem_of(check)}::{check}"
    assert session.outcomes.get(name) == "failed", session.messages.get(name, session.text[-2000:])
    assert MUTANTS[check].message in session.messages[name]


@pytest.mark.parametrize(
    ("dependencies", "message"),
    [
        ([], MUTANTS[INSTALLED].message),
        (["palate"], "it takes any later version of palate"),
        (["palate>=0.1"], "it takes any later version of palate"),
        (["palate>=0.1,<9"], "it does not depend on what brings 'lines'"),
        (["palate>=0.1,<9", "lines; extra == 'all'"], "it does not depend on what brings 'lines'"),
        (["palate>=0.1,<9", "Lines"], "it takes any version of lines"),
        (["palate>=0.1,<9", "lines>=1"], ""),
        (["palate~=0.1", "lines==1.4"], ""),
    ],
)
def test_undeclared_dependency_is_found(tmp_path: Path, dependencies: list[str], message: str) -> None:
    """A distribution has to name Palate with an upper limit, and its framework with some limit."""
    site = tmp_path / "site"
    site.mkdir()
    PluginSite(site).install("palate-line", stem_of(INSTALLED), (KIT / "line.py").read_text())
    with (site / "palate_line-1.2.dist-info" / "METADATA").open("a") as metadata:
        metadata.writelines(f"Requires-Dist: {line}\n" for line in dependencies)
    module = HEAD + case_of(INSTALLED, MUTANTS[INSTALLED])
    path = f"{KIT / 'site'}:{site}"
    done = run_kit(tmp_path, module, *node_ids([INSTALLED]), plugins=[], env={"PYTHONPATH": path})
    assert list(done.outcomes.values()) == ["failed" if message else "passed"], done.text
    assert message in "".join(done.messages.values())


def test_right_flavor_keeps_all(tmp_path: Path, mlflow_python: Path) -> None:
    """The flavor that the mutants are made of passes every check, so that each fails by what was changed alone."""
    module = f"{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n"
    done = run_kit(tmp_path, module, env={"PALATE_MLFLOW_PYTHON": str(mlflow_python)})
    assert set(done.outcomes) == {f"TestLine::{check}" for check in CHECKS}
    assert {name: outcome for name, outcome in done.outcomes.items() if outcome != "passed"} == {
        f"TestLine::{INSTALLED}": "skipped"  # it is a file
    }, done.text[-3000:]


ROWS = "test_rows_are_independent_if_the_flavor_says_so"
ALONE = "test_one_row_is_predicted_as_among_others"
SAYS_NO = "@hookimpl\ndef rows_are_independent():\n    return False\n"


@pytest.mark.parametrize(
    ("hook", "said", "rows", "alone"),
    [
        ("", "None", "passed", "passed"),
        ("", "True", "passed", "passed"),
        ("", "False", "failed", "skipped"),
        (SAYS_NO, "None", "skipped", "skipped"),
        (SAYS_NO, "True", "skipped", "passed"),
        (SAYS_NO, "False", "skipped", "skipped"),
    ],
)
def test_the_hook_decides_what_is_asked_of_rows(tmp_path: Path, hook: str, said: str, rows: str, alone: str) -> None:
    """A class may say yes of its model where the flavor cannot; where it says no, the flavor has to say so too."""
    flavor = tmp_path / "rows.py"
    flavor.write_text(f"{(KIT / 'line.py').read_text()}\n\n{hook}")
    module = f"{HEAD}\n\nclass TestRows(OnLine):\n    flavor = 'rows'\n    rows_are_independent = {said}\n"
    done = run_kit(tmp_path, module, "-k", f"{ROWS} or {ALONE}", plugins=[flavor])
    assert done.outcomes == {f"TestRows::{ROWS}": rows, f"TestRows::{ALONE}": alone}, done.text
    if rows == "failed":
        assert "says True of predict, sign" in done.messages[f"TestRows::{ROWS}"]


def test_without_a_server_to_ask_its_check_says_what_is_missing(tmp_path: Path) -> None:
    """The kit needs no more than pytest; where the extra is not installed the check is skipped with its name."""
    check = "test_server_answers_as_the_model"
    module = f"import sys\nsys.modules['orjson'] = None\n{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n"
    done = run_kit(tmp_path, module, "-k", check)
    assert done.outcomes == {f"TestLine::{check}": "skipped"}, done.text
    assert "palate[serve] is not installed: orjson" in done.messages[f"TestLine::{check}"]
