"""Threads that a model predicts in, off the event loop; one that does not come back can be left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

__all__ = ["CallThread"]


class CallThread:
    """One thread that runs calls, one after another, and hands their results to the event loop.

    It is a daemon: a call that never returns keeps neither the loop nor the end of the process waiting.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="palate-model", daemon=True).start()

    def start(self, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run *call*, which does not raise, in the thread, then *done* with its result on the event loop."""
        self._calls.put((call, done))

    def stop(self) -> None:
        """Let the thread end after what it is doing; what that returns is handed to nobody that waits for it."""
        self._calls.put(None)

    def _run(self) -> None:
        while (task := self._calls.get()) is not None:
            call, done = task
            result = call()
            try:
                self._loop.call_soon_threadsafe(done, result)
            except RuntimeError:  # the loop was closed meanwhile
                return
            del task, call, done, result  # nothing of a request is held while the thread waits
