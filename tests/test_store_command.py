"""``palate store``: each command for people and for programs, and what it exits with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from signing_keys import make_key, write_key
from sklearn.linear_model import LinearRegression

import palate
from palate.cli import main
from palate.cli.store import command
from palate.signing import sign_model

JSON_COMMANDS = {
    "list": ["list"],
    "versions": ["list", "iris"],
    "show": ["show", "iris/1"],
    "history": ["history", "iris", "champion"],
    "collect": ["collect"],
    "demand": ["demand"],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two models, the second of which takes other input."""
    folder = tmp_path_factory.mktemp("models")
    for name, width in (("narrow", 1), ("wide", 3)):
        data = np.arange(2.0 * width).reshape(2, width)
        palate.save_model(LinearRegression().fit(data, [0, 1]), folder / name, input_example=data)
    return folder


@pytest.fixture
def place(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the store is, in a folder with copies of the models, in which the commands are run."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


def run(*arguments: object, code: int = 0) -> Result:
    """Run a command of ``palate store`` and check what it exits with; an error is one line."""
    result = CliRunner().invoke(main, ["store", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if code:
        assert result.stdout == ""
        assert "Hint: " in result.stderr or "Usage: " in result.stderr
    return result


def answer(*arguments: object) -> Any:
    """Return what a command says to programs: one JSON document."""
    return json.loads(run(*arguments, "--json").stdout)


def rows(result: Result) -> dict[str, str]:
    """Return the rows of a table by their first column."""
    return {line.split(None, 1)[0]: line.split(None, 1)[1] for line in result.stdout.splitlines()}


def test_adding_and_showing(place) -> None:
    """What was said of a version is shown, to people in rows and to programs in a document."""
    added = rows(run("--by", "ann", "add", "iris", "narrow", "--description", "first", "--tag", "a=b=c", "--tag", "d="))
    assert added["version"] == "models:/iris/1"
    assert added["added"].endswith("by ann, from narrow")
    assert (added["description"], added["tags"], added["aliases"]) == ("first", "a=b=c, d=", "-")
    assert rows(run("show", "iris/1")) == rows(run("show", "models:/iris/latest")) == added
    shown = answer("show", "iris/1")
    assert shown["digest"] == palate.inspect_model("narrow").digest
    assert shown["tags"] == {"a": "b=c", "d": ""}
    assert {"name", "number", "uri", "size", "files", "added", "by", "source", "aliases", "deleted"} < set(shown)
    assert answer("add", "iris", "wide")["number"] == 2


def test_listing(place) -> None:
    """Models with their versions and aliases, versions with what is known of each; deleted ones if asked for."""
    assert run("list").stdout.splitlines() == ["NAME  VERSIONS  LATEST  ALIASES  DESCRIPTION"]
    assert answer("list") == []
    for model in ("narrow", "narrow", "wide"):
        run("add", "iris", model)
    run("promote", "iris/2", "champion")
    run("annotate", "iris", "--description", "flowers", "--tag", "a=b")
    run("delete", "iris/1", "--reason", "old")
    assert run("list").stdout.splitlines()[1].split() == ["iris", "2", "3", "champion", "->", "2", "flowers"]
    assert answer("list")[0]["aliases"] == {"champion": 2}
    assert [line.split()[0] for line in run("list", "iris").stdout.splitlines()] == ["VERSION", "2", "3"]
    everything = run("list", "iris", "--deleted").stdout.splitlines()
    assert "deleted 20" in everything[1]
    assert [version["number"] for version in answer("list", "iris", "--deleted")] == [1, 2, 3]
    assert answer("list", "iris", "--deleted")[0]["deleted"]["reason"] == "old"


def test_promoting(place) -> None:
    """An alias is moved; 1 if that breaks callers or somebody else was faster, with what to do."""
    for model in ("narrow", "narrow", "wide"):
        run("add", "iris", model)
    run("promote", "iris/1", "champion", "--expect", "none")
    moved = run("promote", "iris/2", "champion", "--expect", "1", "--reason", "better")
    assert moved.stdout.startswith("iris@champion leads to version 2 since 20")
    assert "--allow-breaking" in run("promote", "iris/3", "champion", code=1).stderr
    assert "palate store history" in run("promote", "iris/1", "champion", "--expect", "1", code=1).stderr
    assert answer("promote", "iris/latest", "champion", "--allow-breaking")["version"] == 3
    assert answer("promote", "iris@champion", "second")["version"] == 3
    assert [move["version"] for move in answer("history", "iris", "champion")] == [1, 2, 3]
    assert answer("history", "iris", "champion")[1]["reason"] == "better"
    assert run("unalias", "iris", "second").stdout.startswith("iris@second leads nowhere since")
    assert answer("unalias", "iris", "champion")["version"] is None
    run("unalias", "iris", "champion", code=2)


def test_which_version_it_was_on_a_day(place) -> None:
    """The move that counted at the end of that day, or at a time; no row before the first."""
    run("add", "iris", "narrow")
    run("add", "iris", "narrow")
    times = ["2026-03-01T10:00:00+00:00", "2026-03-01T23:00:00+00:00"]
    moves = [{"version": n, "digest": None, "time": time, "by": "x"} for n, time in enumerate(times, 1)]
    (place / "iris" / "aliases").mkdir()
    (place / "iris" / "aliases" / "champion.json").write_text(json.dumps({"format": 1, "moves": moves}))
    at = {
        "2026-02-28": [],
        "2026-03-01": [2],
        "2026-03-02": [2],
        "2026-03-01T12:00+01:00": [1],
        "2026-03-01T22:00": [1],
    }
    for time, versions in at.items():
        assert [move["version"] for move in answer("history", "iris", "champion", "--at", time)] == versions
        assert len(run("history", "iris", "champion", "--at", time).stdout.splitlines()) == 1 + len(versions)
    for time in ("yesterday", "2026-02-30", "20260301", ""):
        assert "--at" in run("history", "iris", "champion", "--at", time, code=2).stderr.replace("at:", "--at")


def test_a_place_without_a_store_is_named(place) -> None:
    """An empty list says of which place it is, so that a mistyped one is seen; a file is no store."""
    assert f"no models in {place}" in run("list").stderr
    (place.parent / "file").write_text("x")
    assert "it is no folder" in run("--store", str(place.parent / "file"), "list", code=1).stderr


def test_annotating(place) -> None:
    """Tags are set and removed, of a model or a version."""
    run("add", "iris", "narrow", "--tag", "a=b")
    assert run("annotate", "iris/1", "--tag", "c=d", "--untag", "a", "--description", "new").stdout == ""
    shown = answer("show", "iris/1")
    assert (shown["tags"], shown["description"]) == ({"c": "d"}, "new")
    run("annotate", "iris", "--tag", "c", code=2)
    run("annotate", "iris", "--tag", "=c", code=2)
    run("annotate", "nope", "--description", "x", code=2)


def test_deleting_and_collecting(place) -> None:
    """1 if an alias leads to it, 2 if it is not there; what is left by the killed is removed, and named."""
    for _ in range(2):
        run("add", "iris", "narrow")
    run("promote", "iris/1", "champion")
    assert "champion leads to it" in run("delete", "iris/1", code=1).stderr
    assert rows(run("delete", "iris/2", "--reason", "old"))["deleted"].endswith(": old")
    run("delete", "iris/2", code=2)
    shutil.copytree("narrow", place / "iris" / "2" / "model")
    stage = place / "iris" / f".version.palate-stage-1-{'0' * 16}"
    stage.mkdir()
    os.utime(stage, (0, 0))
    assert run("collect").stdout.splitlines() == ["removed the files of iris/2", f"removed {stage}"]
    assert answer("collect") == []


def test_signatures(place) -> None:
    """What is demanded is demanded of everybody; a version is signed with a key whose password is in a file."""
    write_key(make_key(), Path(), "ours", password="open sesame")
    Path("password").write_text("open sesame\n")
    run("add", "iris", "narrow")
    run("demand", "--signed-by", "ours.pub", "--nothing", code=2)
    assert "demands a signature" in run("demand", "--signed-by", "ours.pub").stdout
    assert "is not signed" in run("add", "iris", "narrow", code=1).stderr
    assert CliRunner().invoke(main, ["inspect", "models:/iris/1"]).exit_code == 1
    run("sign", "iris/1", "--key", "ours.pem", code=2)
    run("sign", "iris/1", "--key", "ours.pem", "--password-file", "nothing", code=2)
    signed = answer("sign", "iris/1", "--key", "ours.pem", "--password-file", "password")
    assert signed["number"] == 1
    assert CliRunner().invoke(main, ["inspect", "models:/iris/1"]).exit_code == 0
    assert "--overwrite" in run("sign", "iris/1", "--key", "ours.pem", "--password-file", "password", code=2).stderr
    run("sign", "iris/1", "--key", "ours.pem", "--password-file", "password", "--overwrite")
    sign_model("narrow", "ours.pem", password="open sesame")
    run("add", "iris", "narrow")
    assert run("demand", "--no-signature").stdout == f"{place} demands nothing\n"
    run("add", "iris", "wide")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["add", "iris"],
        ["add", "../x", "narrow"],
        ["add", "iris", "nowhere"],
        ["add", "iris", "narrow", "--tag", "x"],
        ["show", "iris"],
        ["show", "iris/9"],
        ["show", "iris/01"],
        ["list", "nope"],
        ["promote", "iris/1", "latest"],
        ["promote", "iris/1", "3"],
        ["promote", "iris/1", "champion", "--expect", "x"],
        ["promote", "iris/1", "champion", "--expect", "0"],
        ["history", "iris", "nobody"],
        ["--store", "gopher://x", "list"],
        ["--store", "", "list"],
    ],
)
def test_wrong_use(place, arguments) -> None:
    """It exits with 2, and says in one line what to write instead."""
    run("add", "iris", "narrow")
    result = CliRunner().invoke(main, ["store", *arguments])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert "Hint: " in result.output or "Usage: " in result.output


@pytest.mark.parametrize("arguments", JSON_COMMANDS.values(), ids=JSON_COMMANDS)
def test_a_damaged_store(place, arguments) -> None:
    """What cannot be read exits with 1, naming the document, with --json too."""
    run("add", "iris", "narrow")
    run("promote", "iris/1", "champion")
    for document in place.rglob("*.json"):
        if "model" not in document.parts:
            document.write_text("{")
    assert ".json' cannot be used" in run(*arguments, code=1).stderr
    assert ".json' cannot be used" in run(*arguments, "--json", code=1).stderr


def test_another_store(place, tmp_path) -> None:
    """--store names it, and models: means it too."""
    run("--store", tmp_path / "other", "add", "iris", "narrow")
    assert not place.exists()
    run("--store", tmp_path / "other", "add", "roses", "models:/iris/1")
    os.environ["PALATE_STORE"] = str(place)  # which the commands have set
    assert answer("list") == []
    assert [model["name"] for model in answer("--store", tmp_path / "other", "list")] == ["iris", "roses"]


def test_what_stands_in_a_document_does_not_steer_the_terminal(place) -> None:
    """Control characters in what somebody said are shown, and not sent."""
    run("add", "iris", "narrow", "--description", "a\x1b[31mb")
    run("--by", "\x1b[2J", "promote", "iris/1", "champion", "--reason", "\u202e")
    for arguments in (["list", "iris"], ["show", "iris/1"], ["history", "iris", "champion"]):
        shown = run(*arguments).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_every_command_of_programs_is_tried() -> None:
    """Each command takes --json, but for those that say nothing."""
    silent = {name for name, one in command.commands.items() if not any("--json" in p.opts for p in one.params)}
    assert silent == {"annotate"}


def test_it_works_as_a_program(place) -> None:
    """In a process of its own, the answer alone goes to standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "palate", "store", "add", "iris", "narrow", "--json"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["uri"] == "models:/iris/1"
