"""The page about stores is true: its commands print what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from executed_page import follow, make_environment, read_blocks

PAGE = Path(__file__).parent.parent / "docs" / "store.md"


def test_nothing_but_shell_for_other_places_is_only_shown() -> None:
    """Each block is a file, or commands; what needs a bucket or MLflow is shown alone."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    shown = [block.text for block in blocks if block.language != "console" and "file" not in block.facts]
    assert [bool(re.search(r"s3://|mlflow:", text)) for text in shown] == [True, True]


@pytest.mark.slow
def test_following_the_page_gets_its_answers(tmp_path: Path) -> None:
    """Models are packed, unpacked, added, promoted, refused and deleted as shown."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    places = {"PALATE_CACHE": str(tmp_path / "cache"), "PALATE_STORE": str(tmp_path / "store")}
    environment = {**make_environment(tmp_path / "environment"), **places}
    follow([block for block in read_blocks(PAGE) if block.language != "sh"], folder, environment)
