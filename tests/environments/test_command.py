"""``palate env``: what its commands print, and how they end."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner, Result

from palate.cli import main

pytestmark = pytest.mark.usefixtures("cache")


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, ["env", *map(str, arguments)])


def test_create_list_and_remove(line) -> None:
    """An environment is told in words or, with --json, in data; it is found again, and removed by name or with all."""
    told = run("create", line)
    assert told.exit_code == 0
    assert "built with uv" in told.output
    assert "ok: equal to the golden predictions" in told.output
    again = json.loads(run("create", line, "--json", "--no-replay").output)
    assert (again["reused"], again["predictions"]) == (True, "skipped")
    assert os.access(again["python"], os.X_OK)
    (listed,) = json.loads(run("list", "--json").output)
    assert listed["directory"] == again["directory"]
    assert listed["name"] in run("list").output
    assert run("remove").exit_code == 2
    assert run("remove", "--all", listed["name"]).exit_code == 2
    assert run("remove", "--all").output == f"removed {again['directory']}\n"
    assert json.loads(run("list", "--json").output) == []
    assert json.loads(run("remove", "--all", "--json").output) == []


def test_failures_are_one_line_and_leave_nothing(line, tmp_path) -> None:
    """A check that fails ends with 1, wrong use with 2."""
    for arguments, code, words in (
        (("--with", "six==99"), 1, "six==99"),
        (("--with", "--index-url=x y"), 1, "refused"),
        (("--python", "3.49"), 2, "pyenv install 3.49"),
        (("--bundle", tmp_path), 2, "is no bundle"),
        (("--directory", line), 2, "is there already"),
        (("--locked",), 2, "pylock.toml"),
        (("--with", "--index-url=https://user:secret@index.example"), 2, "--index-url"),
    ):
        done = run("create", line, *arguments)
        assert (done.exit_code, done.output.count("\n")) == (code, 1), done.output
        assert words in done.output
        assert done.output.startswith("palate: ")
    assert run("create", tmp_path / "nothing").exit_code == 2
    assert json.loads(run("list", "--json").output) == []


def test_export(line, tmp_path) -> None:
    """To the terminal, or to a file, which is never replaced."""
    told = run("export", line)
    assert "palate-toy==" in told.output
    target = tmp_path / "Dockerfile"
    assert run("export", line, "--format", "dockerfile", "-o", target).output == ""
    assert target.read_bytes().startswith(b"#")
    assert run("export", line, "-o", target).exit_code == 2
    assert run("export", line, "--format", "poetry").exit_code == 2


def test_bundle(line, tmp_path) -> None:
    """What was made is said, and nothing replaces it."""
    told = run("bundle", line, tmp_path / "bundle")
    assert told.exit_code == 0
    assert f"{tmp_path / 'bundle'}: " in told.output
    assert "for Python 3." in told.output
    assert run("bundle", line, tmp_path / "bundle").exit_code == 2
