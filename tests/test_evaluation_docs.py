"""The page about evaluation is true: its commands print what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from executed_page import follow, make_environment, read_blocks

PAGE = Path(__file__).parent.parent / "docs" / "evaluation.md"


def test_only_the_grammar_is_only_shown() -> None:
    """Each other block of the page is a file, or commands."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    assert [block.language for block in blocks if block.language != "console" and "file" not in block.facts] == ["text"]


@pytest.mark.slow
def test_following_the_page_of_evaluation_gets_its_answers(tmp_path: Path) -> None:
    """Models are measured, compared, held against a gate and promoted as shown."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    follow(read_blocks(PAGE), folder, make_environment(tmp_path / "environment"))
