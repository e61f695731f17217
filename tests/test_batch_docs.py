"""The page about files of any size is true: its commands print what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from executed_page import follow, make_environment, read_blocks

PAGE = Path(__file__).parent.parent / "docs" / "batch.md"


def test_only_engines_and_an_interruption_are_only_shown() -> None:
    """Each block is a file or commands; tests of their own run the others on clusters, and kill jobs."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    shown = [block.text for block in blocks if block.language in ("sh", "py")]
    assert [text for text in shown if "--resume" not in text and "spark" not in text] == []
    assert all(block.facts or block.language == "console" for block in blocks if block.text not in shown)


@pytest.mark.slow
def test_following_the_page_of_batches_gets_its_answers(tmp_path: Path) -> None:
    """Files are predicted, bad rows set aside, folders read and written as shown."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    environment = make_environment(tmp_path / "environment")
    follow([block for block in read_blocks(PAGE) if block.language not in ("sh", "py")], folder, environment)
