"""``palate flavors new``: what it writes is whole, installs, keeps every promise of a flavor, and is good code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run_command
from executed_page import read_blocks
from packaging.specifiers import SpecifierSet

import palate
from palate import flavors
from palate._flavor_project import FILES, _compatible_range
from palate.errors import InvalidOption, ProjectExists
from palate.testing._threads import at_once

SKELETON = Path(palate.__file__).with_name("_skeleton")
NAMES = ("my-framework", "gbm")
# The templates shall be well formatted with the shortest name and with the longest.
ODD_NAMES = ("x", "zebra_9", "match", "a" * 40)

Run = Callable[..., subprocess.CompletedProcess[str]]


def run(*command: object, cwd: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command, beside what is installed in *site*; its output is shown if it fails."""
    environment = {**os.environ, **({"PYTHONPATH": str(site)} if site else {}), "PYTHONDONTWRITEBYTECODE": "1"}
    return run_command(sys.executable, "-m", *command, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two flavors, with the command, into a folder whose name is a burden."""
    folder = tmp_path_factory.mktemp("skeleton") / "mes modèles & co"
    for name in NAMES:
        run("palate", "flavors", "new", name, "--directory", folder, cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install both, as a user of them would, into a folder for PYTHONPATH."""
    site = tmp_path_factory.mktemp("site")
    projects = [folder / f"palate-{name}" for name in NAMES]
    run("pip", "install", "--quiet", "--no-deps", "--target", site, *projects, cwd=folder)
    return site


# -- what is written ---------------------------------------------------------------------------------------------------


def test_every_template_becomes_a_file() -> None:
    """No template lies about unused, and none is missing."""
    assert {file.name for file in SKELETON.iterdir()} == set(FILES.values())


def test_who_begins_no_flavor_loads_nothing_for_it(run_python) -> None:
    """Listing and registering flavors does not bring the generator."""
    script = """
import sys, palate.flavors
palate.flavors.list_flavors()
print("palate._flavor_project" in sys.modules)
print(palate.flavors.new_flavor.__module__, palate.flavors.FlavorProject.__name__)
"""
    assert run_python(script).stdout.splitlines() == ["False", "palate._flavor_project FlavorProject"]


def test_a_project_is_whole(tmp_path: Path) -> None:
    """What is there is what the answer lists, and no placeholder is left in it."""
    project = flavors.new_flavor("my-framework", tmp_path)
    assert project.path == tmp_path / "palate-my-framework"
    assert (project.name, project.distribution, project.package) == (
        "my-framework",
        "palate-my-framework",
        "palate_my_framework",
    )
    found = {file.relative_to(project.path).as_posix() for file in project.path.rglob("*") if file.is_file()}
    assert found == set(project.files)
    assert {"pyproject.toml", "README.md", "src/palate_my_framework/py.typed"} < found
    for file in project.files:
        assert not re.search(r"\$(?!\{\{)", (project.path / file).read_text(encoding="utf-8")), file
    assert os.listdir(tmp_path) == ["palate-my-framework"]


def test_project_admits_the_palate_that_wrote_it(tmp_path: Path) -> None:
    """Its pyproject is one of a plugin: the keyword, the entry point, and a range with this release in it."""
    project = flavors.new_flavor("my_framework", tmp_path)
    table = tomllib.loads((project.path / "pyproject.toml").read_text())["project"]
    assert table["name"] == "palate-my-framework"
    assert table["entry-points"] == {"palate.flavors": {"my_framework": "palate_my_framework"}}
    assert table["keywords"] == ["palate-plugin"]
    ours = tomllib.loads((SKELETON.parents[2].parent / "pyproject.toml").read_text())["project"]
    assert table["requires-python"] == ours["requires-python"]
    assert ours["version"] in SpecifierSet(table["dependencies"][0].removeprefix("palate"))


@pytest.mark.parametrize(
    ("running", "range_"),
    [
        ("0.1.0", ">=0.1.0,<0.2"),
        ("0.9.3", ">=0.9.3,<0.10"),
        ("0.10.0.dev3+g12ab", ">=0.10.0.dev3,<0.11"),
        ("1.0.0rc1", ">=1.0.0rc1,<2"),
        ("2.7.1", ">=2.7.1,<3"),
    ],
)
def test_range_ends_where_promises_end(running: str, range_: str) -> None:
    """Before 1.0 a minor release may change what a plugin relies on, after it a major one."""
    assert _compatible_range(running) == range_
    assert SpecifierSet(range_).contains(running, prereleases=True)


# -- it works ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_passes_the_conformance_kit(folder: Path, site: Path, tmp_path: Path, name: str) -> None:
    """Its own tests pass as they are, the whole kit among them, and write the report."""
    report = tmp_path / "report.json"
    options = ("-p", "no:cacheprovider", "--palate-report", report)
    run("pytest", "-q", *options, cwd=folder / f"palate-{name}", site=site)
    assert name in report.read_text()


@pytest.mark.slow
def test_two_of_them_are_listed_and_live_side_by_side(site: Path, tmp_path: Path) -> None:
    """Both are found by their names, and one process saves, loads and predicts with both."""
    listed = json.loads(run("palate", "flavors", "list", "--json", cwd=tmp_path, site=site).stdout)
    found = {record["name"]: record for record in listed}
    for name in NAMES:
        assert (found[name]["distribution"], found[name]["status"]) == (f"palate-{name}", "ok")
    quickstart = ("palate", "quickstart", "--json", *(f"--flavor={name}" for name in NAMES))
    runs = json.loads(run(*quickstart, cwd=tmp_path, site=site).stdout)
    assert [done["flavor"] for done in runs] == list(NAMES)
    assert runs[0]["predictions"] == runs[1]["predictions"]


@pytest.mark.slow
def test_its_readme_is_true(folder: Path, site: Path, tmp_path: Path) -> None:
    """The README's program runs, and every file that it tells to change is there."""
    file = folder / "palate-gbm" / "README.md"
    program = "\n".join(block.text for block in read_blocks(file) if block.language == "python")
    (tmp_path / "program.py").write_text(program)
    run("program", cwd=tmp_path, site=site)
    named = set(re.findall(r"`((?:src|tests)/[^`]*|pyproject\.toml)`", file.read_text()))
    assert len(named) >= 5
    assert [name for name in named if not (folder / "palate-gbm" / name).exists()] == []


# -- it is good code ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, *ODD_NAMES])
def test_it_is_formatted_and_linted(tmp_path: Path, name: str) -> None:
    """ruff has nothing to say, by the rules in its own pyproject, however long the name is."""
    project = flavors.new_flavor(name, tmp_path).path
    run("ruff", "check", "--no-cache", cwd=project)
    run("ruff", "format", "--check", "--no-cache", cwd=project)


@pytest.mark.slow
def test_it_is_typed(folder: Path, tmp_path: Path) -> None:
    """mypy, strict by its own pyproject, finds nothing."""
    run("mypy", "--cache-dir", tmp_path, cwd=folder / "palate-my-framework")


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "my framework", "My-Framework", "a.b", "-a", "a-", "_a", "a--b", "a-_b", "1a", "a" * 41),
        *("../a", "a/b", "/a", ".", "..", "a\\b", "a\n", "a\0", "modèle", "\u0430bc", "a;b", "$name", "a\u202eb"),
        7,
    ],
)
def test_a_name_that_cannot_be_a_flavors_is_refused(tmp_path: Path, name: str) -> None:
    """A name has to stand in pip, in Python and in MLmodel alike; nothing is written for another one."""
    with pytest.raises(InvalidOption, match="name:"):
        flavors.new_flavor(name, tmp_path / "new")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["sklearn", "torch", "pytorch", "keras", "python_function", "python-function"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    """Palate's own flavors keep their names, installed or not, in either spelling."""
    with pytest.raises(InvalidOption, match="already"):
        flavors.new_flavor(name, tmp_path)


def test_the_name_of_any_installed_flavor_is_taken(tmp_path: Path, toy_flavor: str) -> None:
    """Two distributions of one flavor's name would be a conflict, so the second is not begun."""
    with pytest.raises(InvalidOption, match=f"called '{toy_flavor}'"):
        flavors.new_flavor(toy_flavor, tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_stays(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Whatever stands at the place, even an empty directory or a link to nothing, is neither replaced nor filled."""
    place = tmp_path / "palate-gbm"
    make(place)
    before = os.lstat(place)
    with pytest.raises(ProjectExists, match="already exists"):
        flavors.new_flavor("gbm", tmp_path)
    assert os.lstat(place) == before
    assert os.listdir(tmp_path) == ["palate-gbm"]


def test_of_many_at_once_one_writes(tmp_path: Path) -> None:
    """Whoever comes second is refused and changes nothing, however close it is."""

    def attempt(_: int) -> bool:
        try:
            flavors.new_flavor("gbm", tmp_path)
        except ProjectExists:
            return False
        return True

    assert sum(at_once(attempt, 8)) == 1
    assert os.listdir(tmp_path) == ["palate-gbm"]


@pytest.mark.parametrize(
    ("obstacle", "raised"),
    [
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))", "SaveFailed"),
        ("sys.addaudithook(interrupt)", "KeyboardInterrupt"),
    ],
)
def test_an_interrupted_write_leaves_nothing(run_python: Run, tmp_path: Path, obstacle: str, raised: str) -> None:
    """A disk that takes no more, or a Ctrl-C among the files: no directory, no stage, no parent made for it."""
    script = f"""
import resource, signal, sys
from palate.flavors import new_flavor

def interrupt(event, arguments):
    if event == "open" and str(arguments[0]).endswith("_samples.py") and "x" in str(arguments[1]):
        raise KeyboardInterrupt

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{obstacle}
try:
    new_flavor("gbm", sys.argv[1])
except BaseException as exc:
    print(type(exc).__name__)
"""
    done = run_python(script, tmp_path / "made" / "for it")
    assert done.stdout.split() == [raised], done.stderr
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file where the directory should be is the disk's refusal, in one typed error."""
    (tmp_path / "file").touch()
    with pytest.raises(palate.errors.SaveFailed):
        flavors.new_flavor("gbm", tmp_path / "file")


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    """It lists the files and gives three commands, to be pasted into a shell from where one stands."""
    done = run("palate", "flavors", "new", "gbm", "--directory", "my plugins", cwd=tmp_path)
    lines = done.stdout.splitlines()
    commands = lines[lines.index("Next:") + 1 :][:3]
    assert [command.split()[0] for command in commands] == ["cd", "python", "python"]
    there = subprocess.run(
        ["sh", "-c", f"{commands[0]} && pwd"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == str(tmp_path / "my plugins" / "palate-gbm")
    assert "  src/palate_gbm/__init__.py" in lines


def test_the_command_tells_programs_the_same(tmp_path: Path) -> None:
    """With --json it prints one document."""
    told = json.loads(run("palate", "flavors", "new", "gbm", "--json", cwd=tmp_path).stdout)
    assert (told["name"], told["distribution"], told["package"]) == ("gbm", "palate-gbm", "palate_gbm")
    assert all((tmp_path / told["path"] / file).is_file() for file in told["files"])
    assert len(told["next"]) == 3


@pytest.mark.parametrize("name", ["No", "sklearn", "gbm"])
def test_the_command_refuses_in_one_line(tmp_path: Path, name: str) -> None:
    """Wrong use exits with 2 and one line that says what to do."""
    (tmp_path / "palate-gbm").mkdir()
    command = [sys.executable, "-m", "palate", "flavors", "new", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("palate: ")
    assert "Hint: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_other_flavor_is_imported(run_python: Run, tmp_path: Path) -> None:
    """A broken plugin, or one that takes its time, does not stand in the way of a new one: names are compared."""
    script = """
import importlib.metadata, sys
from palate.flavors import new_flavor
new_flavor("gbm", sys.argv[1])
plugins = {point.module for point in importlib.metadata.entry_points(group="palate.flavors")}
print(len(plugins), plugins & set(sys.modules))
"""
    count, imported = run_python(script, tmp_path).stdout.split(maxsplit=1)
    assert int(count) > 1
    assert imported.strip() == "set()"
