"""A model whose calls never come back: its workers are replaced, and a lone process says that it is no good."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from fickle_model import save_fickle
from live_server import LiveServer, live_palate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fickle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the model."""
    return save_fickle(tmp_path_factory.mktemp("stuck") / "fickle")


def ask(server: LiveServer, how: int) -> int:
    """Ask for a row that makes the model do something; return the status."""
    row = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, how, "x"]]}}
    body = json.dumps(row).encode()
    return server.request("POST", "/invocations", body, {"content-type": "application/json"}).status


OPTIONS = ("--trust", "--predict-timeout", "500ms", "--golden", "skip", "--access-log", "off")


def test_a_stuck_worker_is_replaced(fickle: Path) -> None:
    """After a few calls that never end a worker is replaced by one that answers."""
    with live_palate(fickle, *OPTIONS, "--workers", 2) as server:
        deadline = time.monotonic() + 30
        while "it is started again" not in server.errors():
            assert time.monotonic() < deadline, server.errors()
            with suppress(OSError):  # a worker that ends may close a connection that it has just been given
                assert ask(server, 105) in (503, 504)  # 503 from the one that is ending
        answered = 0
        while answered < 4:  # in a row: the other one may be ending just now
            assert time.monotonic() < deadline, server.errors()
            with suppress(OSError):
                answered = answered + 1 if ask(server, 1) == 200 else 0


def test_a_stuck_process_says_so(fickle: Path) -> None:
    """A lone process answers what it can, and is no longer live: whoever started it can start it again."""
    with live_palate(fickle, *OPTIONS) as server:
        assert server.request("GET", "/live").status == 200
        assert [ask(server, 105) for _ in range(4)] == [504] * 4
        assert server.request("GET", "/live").status == 503
        assert ask(server, 1) == 200
