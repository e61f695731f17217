"""The wheels that a release would upload: what is in them, and that they work where nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run_command

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment() -> dict[str, str]:
    """Return the environment variables without those that lead back to this checkout."""
    leading = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    return {name: value for name, value in os.environ.items() if name not in leading}


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command outside the checkout; its output is shown if it fails."""
    return run_command(*command, cwd=cwd, env=clean_environment())


@pytest.fixture(scope="module")
def wheels(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build every distribution the way a release does, wheel from sdist; return the wheels by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (repository, *sorted((repository / "plugins").iterdir())):
        run(sys.executable, "-m", "build", "--outdir", folder, project, cwd=folder)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}


def make_environment(folder: Path) -> Path:
    """Make an empty virtual environment; return its interpreter."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def core_alone(wheels: dict[str, Path], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of an environment that holds the core and no flavor."""
    python = make_environment(tmp_path_factory.mktemp("core") / "venv")
    pip = (python, "-m", "pip", "install", "--quiet", "-c", repository / "constraints.txt")
    run(*pip, wheels["palate"], cwd=python.parent)
    return python.parent


@pytest.fixture(scope="module")
def with_sklearn(wheels: dict[str, Path], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of an environment as the README makes it."""
    python = make_environment(tmp_path_factory.mktemp("sklearn") / "venv")
    pip = (python, "-m", "pip", "install", "--quiet", "-c", repository / "constraints.txt")
    run(*pip, wheels["palate"], wheels["palate-sklearn"], "pandas", cwd=python.parent)
    return python.parent


def test_every_distribution_makes_a_wheel(wheels: dict[str, Path], repository: Path) -> None:
    """The core and each folder in plugins/ are built, as pure Python."""
    assert len(wheels) == 1 + len(list((repository / "plugins").glob("*/pyproject.toml")))
    assert all(wheel.name.endswith("-py3-none-any.whl") for wheel in wheels.values())


def test_contents(wheels: dict[str, Path]) -> None:
    """A wheel holds one package with types and a licence: no tests, no data, nothing beside it."""
    for name, wheel in wheels.items():
        names = zipfile.ZipFile(wheel).namelist()
        packages = {entry.split("/")[0] for entry in names if ".dist-info/" not in entry}
        assert len(packages) == 1, name
        assert f"{packages.pop()}/py.typed" in names, name
        assert any(".dist-info/licenses/LICENSE" in entry for entry in names), name
        # Templates of a flavor and of reports, and the style of a served page.
        kept = ("palate/_skeleton/", "palate/evaluation/_templates/", "palate/serving/_openapi/page.css")
        assert name != "palate" or all(any(entry.startswith(place) for entry in names) for place in kept)
        code = [e for e in names if ".dist-info/" not in e and not e.startswith(kept)]
        assert [entry for entry in code if not entry.endswith((".py", "py.typed", ".pyi"))] == [], name
        assert [entry for entry in names if Path(entry).name.startswith(("test_", "conftest"))] == [], name


def test_wheel_has_every_file(wheels: dict[str, Path], repository: Path) -> None:
    """The core's wheel, built from its sdist, has each module of the checkout, and the templates of a new flavor."""
    source = repository / "core" / "src"
    files = (file for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc")
    expected = {file.relative_to(source).as_posix() for file in files}
    assert "palate/_skeleton/flavor.py.txt" in expected
    assert expected <= set(zipfile.ZipFile(wheels["palate"]).namelist())


def test_core_alone(core_alone: Path, tmp_path: Path) -> None:
    """Without any flavor the command line works, lists the built-in one, and says what to install."""
    listed = json.loads(run(core_alone / "palate", "flavors", "list", "--json", cwd=tmp_path).stdout)
    assert [(record["name"], record["status"]) for record in listed] == [("python_function", "ok")]
    run(core_alone / "palate", "flavors", "list", cwd=tmp_path)
    code = """
import palate
try:
    palate.save_model(1, "x", flavor="sklearn")
except palate.errors.FlavorNotFound as exc:
    print(exc)
"""
    assert "pip install palate-sklearn" in run(core_alone / "python", "-c", code, cwd=tmp_path).stdout


def test_a_new_flavor_is_written(core_alone: Path, tmp_path: Path) -> None:
    """An installed core has the templates of a flavor's distribution."""
    run(core_alone / "palate", "flavors", "new", "gbm", cwd=tmp_path)
    assert (tmp_path / "palate-gbm" / "src" / "palate_gbm" / "__init__.py").is_file()


def test_flavors_are_found(with_sklearn: Path, tmp_path: Path) -> None:
    """An installed flavor is listed with its distribution and works."""
    listed = json.loads(run(with_sklearn / "palate", "flavors", "list", "--json", cwd=tmp_path).stdout)
    found = {record["name"]: (record["distribution"], record["status"]) for record in listed}
    assert found["sklearn"] == ("palate-sklearn", "ok")


def test_quickstart(with_sklearn: Path, tmp_path: Path) -> None:
    """The first command that a newcomer types succeeds outside the checkout, twice."""
    run(with_sklearn / "palate", "quickstart", cwd=tmp_path)
    runs = json.loads(run(with_sklearn / "palate", "quickstart", "--json", cwd=tmp_path).stdout)
    assert {done["flavor"] for done in runs} >= {"sklearn"}
