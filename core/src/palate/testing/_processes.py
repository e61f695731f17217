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

__all__ = ["TaskFailed", "Worker", "WorkerDied", "WorkerStuck", "read_message", "write_message"]

_GRACE = 10.0  # seconds that a process needs to end after it has closed its files
_SHOWN = 2000  # characters of what a process has written
_DOING = {
    "answer_of": "while it was to open a pickled model and predict",
    "measure_batches": "while it was to load the model and predict many batches",
    "open_and_answer": "while it was to load the model and predict by each method",
    "open_damaged": "while it was to load a damaged directory and predict",
}


class WorkerDied(Exception):
    """The process ended, or stood still, where it should have answered."""


class WorkerStuck(WorkerDied):
    """The process stood still."""


class TaskFailed(Exception):
    """What a task raised in the other process, in words."""


class Worker:
    """Runs the functions of ``palate.testing._tasks``, one at a time, in one other process.

    That process starts when it is first asked. After it died, the next call starts another one.

    Args:
        patience: how many seconds a task may take.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._requests: IO[bytes] | None = None
        self._answers: IO[bytes] | None = None

    def call(self, task: str, *arguments: object) -> Any:
        """Return what the task returns.

        Raises:
            TaskFailed: the task raised something, or its arguments cannot be sent to another process.
            WorkerDied: the process was ended by a signal, or ended by itself.
            WorkerStuck: it did not answer in time.
        """
        request = _pickled(task, arguments)
        if self._process is None:
            self._start()
        try:
            answer = self._exchange(request, _DOING[task])
        except BaseException:
            # Of an interrupted process, too: its answer would be taken for that to the next question.
            self.stop()
            raise
        succeeded, value = pickle.loads(answer)
        if succeeded:
            return value
        raise TaskFailed(value)

    def stop(self) -> None:
        """End the process, and those that it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for file in (self._requests, self._answers, self._log):
            if file is not None:
                with suppress(BrokenPipeError):  # a request that nobody read
                    file.close()
        self._process = self._requests = self._answers = self._log = None

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
            start_new_session=True,  # so that what it starts itself is ended with it
        )
        os.close(ask)
        os.close(tell)
        self._requests, self._answers = os.fdopen(requests, "wb"), os.fdopen(answers, "rb")

    def _exchange(self, request: bytes, doing: str) -> bytes:
        assert self._requests is not None
        assert self._answers is not None
        assert self._log is not None
        self._log.seek(0)  # for both ends: the process writes from here on
        self._log.truncate()
        try:
            write_message(self._requests, request)
            ready, _, _ = select.select([self._answers], [], [], self._patience)
            if ready:
                return read_message(self._answers)
        except (BrokenPipeError, EOFError):
            raise WorkerDied(f"the process {self._ending()} {doing}{self._written()}") from None
        raise WorkerStuck(f"the process did not answer within {self._patience:g} seconds {doing}{self._written()}")

    def _ending(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "closed its files"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def _written(self) -> str:
        assert self._log is not None
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 4 * _SHOWN))
        text = self._log.read().decode("utf-8", "replace").strip()[-_SHOWN:]
        return f"; it wrote: {text}" if text else ""


def _pickled(task: str, arguments: tuple[object, ...]) -> bytes:
    try:
        return pickle.dumps((task, arguments))
    except Exception as exc:  # whatever an object's own code raises
        words = f"the sample, or an option, cannot be sent to another process: {type(exc).__name__}: {exc}"
        raise TaskFailed(words) from exc


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
