"""The page about signing is true: its commands print what it shows, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from executed_page import follow, make_environment, read_blocks
from signing_environment import judge_command

from palate import errors

PAGE = Path(__file__).parent.parent / "docs" / "signing.md"


def test_nothing_but_installations_is_only_shown() -> None:
    """Each block is a file, or commands, or says what to install."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    shown = [block.text for block in blocks if block.language != "console" and "file" not in block.facts]
    assert [text.partition(" ")[0] for text in shown] == ["pip"] * 2


@pytest.mark.slow
def test_following_the_page_gets_its_answers(tmp_path: Path) -> None:
    """Keys are made, a model is signed, verified and refused as shown, by both implementations."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    environment = make_environment(tmp_path / "environment")
    # Its command alone: its interpreter has no Palate.
    (tmp_path / "environment" / "bin" / "model_signing").symlink_to(judge_command())
    follow([block for block in read_blocks(PAGE) if block.language != "sh"], folder, environment)


def test_the_table_of_errors_has_those_there_are() -> None:
    """Each is public, and each about signatures and keys is in it."""
    named = re.findall(r"^\| `([A-Z]\w+)` \|", PAGE.read_text(), re.MULTILINE)
    about = [name for name in errors.__all__ if name.startswith("Signature") or name == "InvalidKey"]
    assert sorted(named) == sorted([*about, "ModelChanged"])
