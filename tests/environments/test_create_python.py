"""palate.environments.create_environment: which Python it builds with."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest
from environment_models import rewrite

from palate.environments import create_environment
from palate.errors import (
    InvalidModelFile,
    InvalidOption,
    PythonNotFound,
)

HERE = ".".join(platform.python_version_tuple()[:2])

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def few_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the system's own, so that looking for others takes no time."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)


def test_a_python_that_is_missing_is_told(line, cache, few_pythons) -> None:
    """The ways to get it are named, and the ones that are here."""
    rewrite(line, "python_env.yaml", "python: 3.49.1\n")
    with pytest.raises(PythonNotFound, match=r"uv python install 3\.49") as caught:
        create_environment(line)
    assert platform.python_version() in caught.value.found
    assert not cache.exists()


def test_a_python_before_palates_first_is_told(line, few_pythons) -> None:
    """Palate does not run there; another can be asked for."""
    rewrite(line, "python_env.yaml", "python: 3.8.18\n")
    with pytest.raises(PythonNotFound, match=r"Palate runs on Python >=3\.11"):
        create_environment(line)
    assert create_environment(line, python=HERE, replay=False).python_version.startswith(HERE)


@pytest.mark.parametrize("version", ["3.11; rm -rf /", "$(id)", "--help", "../../bin/sh", "3", "3.11 ", "3.11\\n3.12"])
def test_a_version_that_is_none_is_refused(line, version) -> None:
    """R28: what a model calls its Python never reaches a program unless it is a version."""
    rewrite(line, "python_env.yaml", f'python: "{version}"\n')
    with pytest.raises(InvalidModelFile, match="is no version of Python"):
        create_environment(line)


def test_conda_and_mlmodel_say_it_where_nothing_else_does(line, few_pythons) -> None:
    """Where python_env.yaml is missing, conda.yaml says which Python; where that is, MLmodel."""
    (line / "python_env.yaml").unlink()
    rewrite(line, "conda.yaml", "dependencies:\n- python=3.48.1\n- pip\n")
    with pytest.raises(PythonNotFound, match=r"3\.48"):
        create_environment(line)
    (line / "conda.yaml").unlink()
    text = (line / "MLmodel").read_text()
    rewrite(line, "MLmodel", text.replace(platform.python_version(), "3.47.0"))
    with pytest.raises(PythonNotFound, match=r"3\.47"):
        create_environment(line)


@pytest.mark.parametrize("python", ["no-such-python", "/bin/true", "3.11;id"])
def test_what_is_no_interpreter_is_refused(line, python) -> None:
    """The caller's own word is checked as well."""
    with pytest.raises(InvalidOption, match="neither a version nor an interpreter"):
        create_environment(line, python=python)


def test_a_shim_that_fails_is_passed_over(line, tmp_path, few_pythons, monkeypatch) -> None:
    """A python3.x on PATH that cannot run, as pyenv has them, is no Python."""
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "python3.46"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(PythonNotFound):
        create_environment(line, python="3.46")


def test_an_interpreter_is_named_by_its_path(line) -> None:
    """One in a virtual environment stands for the Python that this was made from."""
    assert (
        create_environment(line, python=Path(sys.executable), replay=False).python_version == platform.python_version()
    )
