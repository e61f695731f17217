"""The pages about serving are true: their servers start, their commands run and are answered as they show."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from executed_page import Block, follow, make_environment, read_blocks
from live_server import live_server

from palate.serving._statuses import _STATUS_OF

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "serving.md"
SERVING = ROOT / "core" / "src" / "palate" / "serving"


def test_nothing_but_the_installation_is_only_shown() -> None:
    """Each block is a file, commands, or the command of a server that runs until the next one."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    shown = [block.text for block in blocks if block.language != "console" and "file" not in block.facts]
    assert [text.partition(" ")[0] for text in shown] == ["pip"]


@pytest.mark.slow
def test_following_the_page_gets_its_answers(tmp_path: Path) -> None:
    """Every server starts, prints and logs what the page says, and ends with 0 on Ctrl+C; every request is answered."""
    _follow_with_servers([block for block in read_blocks(PAGE) if block.language != "sh"], tmp_path)


@pytest.mark.slow
def test_following_the_readme_gets_an_answer(tmp_path: Path) -> None:
    """The model that its first program saves is served, and answers what it says."""
    blocks = read_blocks(ROOT / "README.md")
    [start] = [place for place, block in enumerate(blocks) if "serves" in block.facts]
    program = next(block for block in blocks if block.language == "python")
    save = replace(program, facts={"file": "save.py"})
    run = Block(language="console", facts={}, text="$ python save.py\n")
    _follow_with_servers([save, run, *blocks[start : start + 2]], tmp_path)


def test_the_table_of_statuses_has_each_of_them() -> None:
    """Whatever status an error or a refusal has, a row says what happened."""
    rows = re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", PAGE.read_text(), re.MULTILINE)
    refused = re.findall(r"Refusal\(\s*(\d{3})", "".join(map(Path.read_text, (SERVING / "_http").glob("*.py"))))
    given = {*map(int, refused), *_STATUS_OF.values()}
    assert {400, 404, 421, 503} < given
    assert given <= {int(status) for row in rows for status in row.split(", ")}


def _follow_with_servers(blocks: Sequence[Block], tmp_path: Path) -> None:
    """Do what the blocks say, at another port than theirs; each ``console serves`` runs until the next."""
    port = _free_port()
    moved = [replace(block, text=block.text.replace("8080", str(port))) for block in blocks]
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    environment = {**make_environment(tmp_path / "environment"), "PALATE_SERVE_PORT": str(port)}
    starts = [place for place, block in enumerate(moved) if "serves" in block.facts]
    follow(moved[: starts[0]], folder, environment)
    for begin, end in zip(starts, [*starts[1:], len(moved)], strict=True):
        with _served(moved[begin], folder, environment):
            follow(moved[begin + 1 : end], folder, environment)


@contextmanager
def _served(block: Block, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run the command of *block*, stop it as at a terminal, and hold what it wrote against what the block shows."""
    command, _, shown = block.text.removeprefix("$ ").partition("\n")
    with live_server(*shlex.split(command), ready="/ready", env=environment, cwd=folder) as server:
        yield
        assert server.stop(signal.SIGINT) == 0
        (folder / "terminal.txt").write_text(server.errors() + server.output())
    follow([Block(language="console", facts={}, text=f"$ cat terminal.txt\n{shown}")], folder, os.environ)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
