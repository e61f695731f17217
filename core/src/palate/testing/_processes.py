"""A process of its own that loads models and predicts: fresh, and one that may die without taking the tests with it."""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO, Any

__all__ = ["TaskFailed", "Worker", "WorkerDied", "read_message", "write_message"]

_PATIENCE = 180.0  # seconds that a busy machine may need to import a framework and predict
_SHOWN = 2000  # characters of what a process that died has written


class WorkerDied(Exception):
    """The process ended, or stood still, where it should have answered."""


class TaskFailed(Exception):
    """What a task raised in the other process, in words."""


class Worker:
    """Runs the functions of ``palate.testing._tasks``, one at a time, in one other process.

    That process starts when it is first asked. After it died, the next call starts another one.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._requests: IO[bytes] | None = None
        self._answers: IO[bytes] | None = None

    def call(self, task: str, *arguments: object, patience: float = _PATIENCE) -> Any:
        """Return what the task returns.

        Raises:
            TaskFailed: the task raised something.
            WorkerDied: the process was ended by a signal, left by itself, or did not answer within *patience* seconds.
        """
        request = pickle.dumps((task, arguments))
        if self._process is None:
            self._start()
        assert self._requests is not None
        assert self._answers is not None
        try:
            write_message(self._requests, request)
            ready, _, _ = select.select([self._answers], [], [], patience)
            answer = read_message(self._answers) if ready else None
        except (BrokenPipeError, EOFError):
            raise WorkerDied(self._ending()) from None
        if answer is None:
            self._kill()
            raise WorkerDied(f"the process did not answer within {patience:.0f} seconds")
        succeeded, value = pickle.loads(answer)
        if succeeded:
            return value
        raise TaskFailed(value)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._kill()

    def _start(self) -> None:
        ask, requests = os.pipe()
        answers, tell = os.pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        # What a framework prints goes to a file, not between the answers.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "palate.testing._worker", str(ask), str(tell)],
            pass_fds=(ask, tell),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        os.close(ask)
        os.close(tell)
        self._requests, self._answers = os.fdopen(requests, "wb"), os.fdopen(answers, "rb")

    def _ending(self) -> str:
        assert self._process is not None
        code = self._process.wait(_PATIENCE)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        return f"the process {how}{self._written()}"

    def _written(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace").strip()[-_SHOWN:]
        self._kill()
        return f"; it wrote: {text}" if text else ""

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for file in (self._requests, self._answers, self._log):
            if file is not None:
                with suppress(BrokenPipeError):  # a request that nobody read
                    file.close()
        self._process = self._requests = self._answers = self._log = None


def write_message(file: IO[bytes], message: bytes) -> None:
    """Write one message, its length first."""
    file.write(struct.pack(">Q", len(message)) + message)
    file.flush()


def read_message(file: IO[bytes]) -> bytes:
    """Read one message. Raises EOFError when there is no whole one."""
    header = file.read(8)
    if len(header) < 8:
        raise EOFError
    (size,) = struct.unpack(">Q", header)
    message = file.read(size)
    if len(message) < size:
        raise EOFError
    return message
