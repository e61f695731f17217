"""``palate env check``: a line for each difference, a verdict, and an exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from palate.cli._env_check import command

MODEL = Path(__file__).parent / "data" / "mlflow_models" / "xgb_classifier_ubj" / "model"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of a directory of MLflow's, to be changed."""
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def check(path: Path, *options: str, lines: str | None = None) -> Result:
    """Run the command on a model that asks for *lines*."""
    if lines is not None:
        (path / "requirements.txt").write_text(lines)
    return CliRunner().invoke(command, [str(path), *options], catch_exceptions=False)


def test_nothing_differs(model: Path) -> None:
    """One line says so."""
    done = check(model)
    assert (done.exit_code, done.output) == (0, "This environment is the one that the model asks for.\n")


def test_nothing_matters(model: Path) -> None:
    """What differs is listed with the promise that makes it harmless."""
    done = check(model, lines="xgboost==1.7.0")
    row, verdict = done.output.splitlines()
    assert row.split(maxsplit=3)[:2] == ["xgboost", "xgboost==1.7.0"]
    assert row.endswith("does not matter: xgboost promises that later releases read it")
    assert verdict == "This environment will do: nothing of what differs (1) matters."
    assert done.exit_code == 0


def test_something_matters(model: Path) -> None:
    """The lines are aligned, the most important first, and the exit code is that of a failed check."""
    done = check(model, lines="xgboost==1.7.0\nnowhere-at-all==1")
    first, second, verdict = done.output.splitlines()
    assert first.startswith("nowhere-at-all  nowhere-at-all==1  -")
    assert second.startswith("xgboost         xgboost==1.7.0")
    assert first.index("matters: ") == second.index("does not matter: ")
    assert verdict == "1 of 2 differences matter: 'palate env create' builds the model an environment."
    assert done.exit_code == 1


def test_a_locked_package_is_a_line_too(model: Path) -> None:
    """It stands among the others, once, and is marked as what the lock asks for."""
    wheel = f'{{name = "nowhere-1-py3-none-any.whl", hashes = {{sha256 = "{"0" * 64}"}}}}'
    package = f'[[packages]]\nname = "nowhere"\nversion = "1"\nwheels = [{wheel}]\n'
    (model / "pylock.toml").write_text(f'lock-version = "1.0"\n{package}')
    row, verdict = check(model, lines="").output.splitlines()
    assert row == "nowhere  nowhere==1 (locked)  -  matters: nothing that is installed takes its place"
    assert verdict.startswith("1 of 1 differences matter")
    assert check(model, lines="nowhere==1").output.count("nowhere==1") == 1


def test_a_program_reads_json(model: Path) -> None:
    """One document, and the same exit code."""
    done = check(model, "--json", lines="nowhere-at-all==1")
    document = json.loads(done.output)
    assert (document["ok"], document["flavor"], done.exit_code) == (False, "xgboost", 1)
    assert [d["name"] for d in document["differences"]] == ["nowhere-at-all"]
    assert json.loads(check(model, "--json", lines="").output)["differences"] == []


def test_a_hostile_file_does_not_steer_the_terminal(model: Path) -> None:
    """Control characters are shown as escapes."""
    (model / "python_env.yaml").write_text('python: "3.11\\e[2J\\n"\n')
    done = check(model, lines="a\x1b[2Jb")
    assert "\x1b" not in done.output
    assert done.output.count("\n") == 3


def test_the_command_is_part_of_env(model: Path) -> None:
    """As a user runs it; where there is no model, that is wrong use."""
    run = [sys.executable, "-W", "error", "-m", "palate", "env", "check"]
    done = subprocess.run([*run, str(model)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*run, "nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("palate: No model at 'nowhere'")
