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
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, ParamSpec, TypeVar, cast

__all__ = [
    "TaskFailed",
    "Worker",
    "WorkerDied",
    "WorkerStuck",
    "child_environment",
    "describe_exit",
    "end_group",
    "last_words",
    "read_message",
    "write_message",
]

_GRACE = 10.0  # seconds that a process needs to end after it has closed its files
_SHOWN = 2000  # characters of what a process has written

P = ParamSpec("P")
R = TypeVar("R")


def child_environment() -> dict[str, str]:
    """Return the environment of a process that is to import what this one can."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def describe_exit(code: int) -> str:
    """Return how a process ended, in words that follow "the process"; *code* is its ``returncode``."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # a realtime signal has no name
        return f"was ended by signal {-code}"


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session of its own, and those that it has started."""
    with suppress(ProcessLookupError):  # it has ended by itself, and left none
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_words(log: IO[bytes]) -> str:
    """Return the end of what a process wrote to a file."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 4 * _SHOWN))
    return log.read().decode("utf-8", "replace").strip()[-_SHOWN:]


class WorkerDied(Exception):
    """The process ended, or stood still, where it should have answered."""


class WorkerStuck(WorkerDied):
    """The process stood still."""


class TaskFailed(Exception):
    """What a task raised in the other process, in words."""


class Worker:
    """Runs functions, one at a time, in one other process.

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

    def call(self, doing: str, task: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a function returns that the other process can import.

        Args:
            doing: what the function does, as in "the process was to …".

        Raises:
            TaskFailed: the task raised something, or its arguments cannot be sent to another process.
            WorkerDied: the process was ended by a signal, or ended by itself.
            WorkerStuck: it did not answer in time.
        """
        request = _pickled(task, args, kwargs)
        if self._process is None:
            self._start()
        try:
            answer = self._exchange(request, f"while it was to {doing}")
        except BaseException:
            # Of an interrupted process, too: its answer would be taken for that to the next question.
            self.stop()
            raise
        succeeded, value = pickle.loads(answer)
        if succeeded:
            return cast("R", value)
        raise TaskFailed(value)

    def stop(self) -> None:
        """End the process, and those that it has started."""
        if self._process is None:
            return
        end_group(self._process)
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
            env=child_environment(),
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
        return describe_exit(code)

    def _written(self) -> str:
        assert self._log is not None
        text = last_words(self._log)
        return f"; it wrote: {text}" if text else ""


def _pickled(task: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        return pickle.dumps((task, args, kwargs))
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
