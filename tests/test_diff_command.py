"""``palate diff``: what it prints, for people and for programs, and its exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from environment_models import rewrite
from executed_page import follow, make_environment, read_blocks
from sklearn.linear_model import LinearRegression

import palate
from palate.cli import main
from palate.schema import ColSpec, Schema
from palate.signature import Signature

PAGE = Path(__file__).parent.parent / "docs" / "diff.md"
FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 2.0]})


@pytest.fixture
def models(tmp_path: Path) -> tuple[str, str, str]:
    """A regression, the same fitted otherwise, and one that needs a column more."""
    more = FRAME.assign(c=[0.5, 0.1, 2.0])
    for name, frame, target in (("m", FRAME, [1, 2, 3]), ("n", FRAME, [1, 2, 4]), ("o", more, [1, 2, 3])):
        palate.save_model(LinearRegression().fit(frame, target), tmp_path / name, input_example=frame)
    return str(tmp_path / "m"), str(tmp_path / "n"), str(tmp_path / "o")


def diff(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["diff", *arguments])


def test_a_model_is_identical_to_itself(models) -> None:
    """Which is told in one line below the two."""
    done = diff(models[0], models[0])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "identical: every file is the same"
    assert len(done.output.splitlines()) == 3


def test_a_compatible_model_is_no_failure(models) -> None:
    """What differs is listed part by part, without a column for marks."""
    done = diff(models[0], models[1])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[-1] == "compatible: callers of A can go on as they do"
    assert lines.index("files") < lines.index("predictions")
    assert any(line.startswith("  their example  differs") and "differ by 1 at most" in line for line in lines)
    assert "BREAKS" not in done.output


def test_a_breaking_model_fails_the_check(models) -> None:
    """What breaks is marked."""
    done = diff(models[0], models[2])
    assert done.exit_code == 1
    assert "  BREAKS  c  added  has to be sent besides (double)" in done.output.splitlines()
    assert done.output.splitlines()[-1] == "breaking: 2 of these break callers of A"


def test_programs_get_one_document(models) -> None:
    """With the same exit code."""
    done = diff(models[0], models[2], "--json", "--no-replay")
    assert done.exit_code == 1
    document = json.loads(done.output)
    assert document["verdict"] == "breaking"
    assert document["replays"] == []
    assert [change["where"] for change in document["changes"] if change["breaks"]] == [["c"]]


def test_what_a_model_prints_is_not_the_commands_output(tmp_path) -> None:
    """It goes to standard error, so that the document stays one."""
    for name in ("x", "y"):
        palate.save_model(speak, tmp_path / name, input_example=FRAME, metadata={"name": name})
    done = diff(str(tmp_path / "x"), str(tmp_path / "y"), "--json", "--trust")
    assert json.loads(done.stdout)["replays"][0]["status"] == "equal"
    assert "said by the model" in done.stderr


def speak(model_input: pd.DataFrame) -> pd.Series:
    """Predict loudly."""
    sys.stdout.write("said by the model\n")
    return model_input["a"] * 2


def test_wrong_use_is_told_from_a_broken_model(models) -> None:
    """No such model: 2; files that are not the model's own: 1."""
    assert diff(models[0], "nowhere").exit_code == 2
    Path(models[1], "requirements.txt").write_text("other")
    done = diff(models[0], models[1])
    assert done.exit_code == 1
    assert "requirements.txt" in done.stderr


def test_long_lists_are_cut_for_people_but_for_what_breaks(tmp_path) -> None:
    """What breaks comes first and whole; of the rest a dozen lines are shown."""
    columns = [ColSpec(type="double", name=f"c{number:02}") for number in range(40)]
    wide = Signature(inputs=Schema(tuple(columns)))
    narrow = Signature(inputs=Schema((*columns[:1], ColSpec(type="double", name="new"))))
    for name, signature in (("wide", wide), ("narrow", narrow)):
        palate.save_model(speak, tmp_path / name, signature=signature)
    done = diff(str(tmp_path / "wide"), str(tmp_path / "narrow"), "--no-replay")
    lines = done.output.splitlines()
    inputs = lines[lines.index("inputs") + 1 : lines.index("files")]
    assert inputs[0].split()[:2] == ["BREAKS", "new"]
    assert len(inputs) == 13
    assert inputs[-1] == "  and 28 more, which --json lists"
    back = diff(str(tmp_path / "narrow"), str(tmp_path / "wide"), "--no-replay").output
    assert back.count("BREAKS") == 39


def test_names_in_a_hostile_model_do_not_steer_the_terminal(tmp_path) -> None:
    """Control characters are written out."""
    hostile = Signature(inputs=Schema((ColSpec(type="double", name="\x1b[2J\x1b]0;owned"),)))
    for name, signature in (("x", None), ("y", hostile)):
        palate.save_model(speak, tmp_path / name, signature=signature)
    rewrite(tmp_path / "y", "requirements.txt", "-r \x1b[31m\n")
    for pair in (("x", "y"), ("y", "x")):
        done = diff(*(str(tmp_path / name) for name in pair))
        assert done.exit_code in (0, 1)
        assert "\x1b" not in done.output


def test_nothing_on_the_page_is_only_shown() -> None:
    """Each block is a file, a change of one, or commands."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    assert all(block.language == "console" or block.facts.keys() & {"file", "append"} for block in blocks)


@pytest.mark.slow
def test_following_the_page_gets_its_answers(tmp_path) -> None:
    """Every command prints what the page says, and ends as it says."""
    (tmp_path / "work").mkdir()
    follow(read_blocks(PAGE), tmp_path / "work", make_environment(tmp_path / "venv"))
