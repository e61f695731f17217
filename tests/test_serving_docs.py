"""The page about serving is true: its servers start, its commands run, and the answers are those that it shows."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
from collections.abc import Iterator, Sequence
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
INSTALLATION = "sh"


def test_nothing_but_the_installation_is_only_shown() -> None:
    """Each block is a file, commands, or the command of a server that runs until the next one."""
    blocks = read_blocks(PAGE)
    assert PAGE.read_text().count("\n```") == 2 * len(blocks)
    shown = [block.text for block in blocks if block.language != "console" and "file" not in block.facts]
    assert [text.partition(" ")[0] for text in shown] == ["pip"]


@pytest.mark.slow
def test_following_the_page_gets_its_answers(tmp_path: Path) -> None:
    """Every server starts, prints and logs what the page says, and ends with 0 on Ctrl+C; every request is answered."""
    port = _free_port()
    blocks = [replace(block, text=block.text.replace("8080", str(port))) for block in read_blocks(PAGE)]
    blocks = [block for block in blocks if block.language != INSTALLATION]
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    environment = {**make_environment(tmp_path / "environment"), "PALATE_SERVE_PORT": str(port)}
    for server, following in _parts(blocks):
        if server is None:
            follow(following, folder, environment)
        else:
            with _served(server, folder, environment):
                follow(following, folder, environment)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parts(blocks: Sequence[Block]) -> Iterator[tuple[Block | None, list[Block]]]:
    """Return what comes before the first server, then each server with what is done while it runs."""
    starts = [place for place, block in enumerate(blocks) if "serves" in block.facts]
    yield None, list(blocks[: starts[0]])
    for begin, end in zip(starts, [*starts[1:], len(blocks)], strict=True):
        yield blocks[begin], list(blocks[begin + 1 : end])


@contextmanager
def _served(block: Block, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    command, _, printed = block.text.removeprefix("$ ").partition("\n")
    with live_server(*shlex.split(command), ready="/ready", env=environment, cwd=folder) as server:
        yield
        assert server.stop(signal.SIGINT) == 0
        (folder / "terminal.txt").write_text(server.errors() + server.output())
    shown = Block(language="console", facts={}, text=f"$ cat terminal.txt\n{printed}")
    follow([shown], folder, os.environ)


def test_the_table_of_statuses_has_each_of_them() -> None:
    """Whatever status an error or a refusal has, a row says what happened."""
    rows = re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", PAGE.read_text(), re.MULTILINE)
    refused = re.findall(r"Refusal\(\s*(\d{3})", "".join(map(Path.read_text, SERVING.glob("_http_*.py"))))
    given = {*map(int, refused), *_STATUS_OF.values()}
    assert {400, 404, 421, 503} < given
    assert given <= {int(status) for row in rows for status in row.split(", ")}
