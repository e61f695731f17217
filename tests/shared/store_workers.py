"""Processes that work at one store at once: each does what it is told (``data/store_worker.py``)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["Worker", "start_workers"]

_SCRIPT: Final = Path(__file__).parents[1] / "data" / "store_worker.py"


class Worker:
    """A process that works at a store."""

    def __init__(self, stack: ExitStack) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = stack.enter_context(subprocess.Popen([sys.executable, str(_SCRIPT)], **pipes))
        stack.callback(self.process.kill)

    def ask(self, what: str, *arguments: Any) -> None:
        """Let it begin with something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([what, *arguments]) + "\n")

    def answer(self) -> Any:
        """Return what came of it."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def result(self) -> Any:
        """Return what came of it, which must not be an error."""
        answer = self.answer()
        assert "error" not in answer, answer
        return answer["result"]


@contextmanager
def start_workers(store: str, count: int) -> Iterator[list[Worker]]:
    """Run processes that work at *store* until the block is left; each is ready."""
    with ExitStack() as stack:
        found = [Worker(stack) for _ in range(count)]
        assert [worker.answer() for worker in found] == ["ready"] * count
        for worker in found:
            worker.ask("work_at", store)
            worker.result()
        yield found
