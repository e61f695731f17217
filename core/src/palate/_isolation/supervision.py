"""A model in a process of its own that is replaced when it crashes, hangs or runs out of memory."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from palate._isolation.channel import PROTOCOL, Closed
from palate._isolation.failures import rebuild_exception
from palate._isolation.launching import ModelProcess
from palate._isolation.options import Isolation
from palate._isolation.tree import Junk
from palate._process_lock import ProcessLock
from palate.errors import DependencyMissing, ModelCrashed, ModelOutOfMemory, ModelTimeout, NotTransferable

__all__ = ["Introduction", "Supervisor"]

Task: TypeAlias = Literal["load", "predict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What the process says of the model that it has opened.

    Attributes:
        flavor: the flavor that answers.
        methods: what the model answers to.
        independent: of each method, whether a row's answer depends on that row alone.
        python: the version of Python that runs there.
    """

    flavor: str
    methods: tuple[str, ...]
    independent: Mapping[str, bool]
    python: str


class Supervisor:
    """Keeps one process with one model, and talks to it; threads take turns.

    A forked child of the program gets a process of its own at its first call.

    Args:
        uri: the model's name in errors.
        command: what starts a worker.
        isolated: whether that is another environment's interpreter.
        request: what the worker is to open.
        isolation: the limits.
    """

    def __init__(
        self,
        uri: str,
        command: Sequence[str],
        *,
        isolated: bool,
        request: Mapping[str, Any],
        isolation: Isolation,
    ) -> None:
        self._uri, self._command, self._isolated = uri, tuple(command), isolated
        self._request, self._isolation = {**request, "memory_limit": isolation.memory_limit}, isolation
        self._lock = ProcessLock()
        self._process: ModelProcess | None = None
        self._is_open = self._is_closed = False
        _supervisors.add(self)

    @property
    def pid(self) -> int | None:
        """The number of the process, or None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def open(self) -> Introduction:
        """Start the process, if it is not there, and wait until it has opened the model.

        Raises:
            PalateError: what ``palate.load_model`` raises, raised there.
            ModelCrashed, ModelTimeout, ModelOutOfMemory: it did not get so far.
        """
        with self._lock.held:
            self._start()
            return self._await_model()

    def call(self, method: str, data: object, params: Mapping[str, Any]) -> Any:
        """Return what a method of the model answers there.

        Raises:
            ModelCrashed, ModelTimeout, ModelOutOfMemory: the process is being replaced.
            NotTransferable: data or predictions are of a type that does not cross.
            Exception: what the model raised there.
        """
        with self._lock.held:
            if not self._is_open:
                self._start()
                self._await_model()
            process = self._process
            assert process is not None
            process.channel.set_timeout(self._isolation.timeout)
            request = {"method": method, "data": data, "params": dict(params)}
            answer = self._converse("predict", lambda: _ask(process, request))
        return iter(answer["value"]) if answer.get("iterated") else answer["value"]

    def close(self) -> None:
        """End the process; nothing can be asked any more, and a call under way fails."""
        self._is_closed = True
        if not self._lock.held.acquire(blocking=False):
            process = self._process
            if process is not None:
                process.signal_group()  # the thread that waits for it sees to the rest
            return
        try:
            process, self._process, self._is_open = self._process, None, False
            if process is not None:
                process.stop()
        finally:
            self._lock.held.release()

    def disown(self) -> None:
        """Forget the process, in a forked child."""
        process, self._process, self._is_open = self._process, None, False
        if process is not None:
            process.disown()

    def _start(self) -> None:
        """Start a process and tell it what to open, unless there is one."""
        if self._is_closed:
            raise ModelCrashed(self._uri, task="predict", ending="it was closed", hint="load the model again")
        if self._process is not None:
            return
        try:
            process = ModelProcess(self._command, isolated=self._isolated)
        except OSError as exc:
            ending, hint = f"it could not be started ({exc.strerror})", f"look at {self._command[0]}"
            raise ModelCrashed(self._uri, task="load", ending=ending, hint=hint) from exc
        self._process = process
        process.channel.set_timeout(self._isolation.start_timeout)
        with suppress(Closed):  # which shows when its answer is waited for
            process.channel.send(self._request)

    def _await_model(self) -> Introduction:
        process = self._process
        assert process is not None
        answer = self._converse("load", process.channel.receive)
        if answer.get("protocol") != PROTOCOL:
            self._end()
            hint = "give an environment with the Palate that runs here"
            raise ModelCrashed(self._uri, task="load", ending="its Palate is of another version", hint=hint)
        self._is_open = True
        return Introduction(**answer["ready"])

    def _converse(self, task: Task, exchange: Callable[[], Any]) -> dict[str, Any]:
        """Return the process's answer; whatever comes between leaves none that waits for half a message."""
        process = self._process
        assert process is not None
        try:
            answer: dict[str, Any] = exchange()
        except (NotTransferable, DependencyMissing):  # nothing was sent; or it was received whole
            raise
        except TimeoutError as exc:
            self._replace(task)
            seconds = self._isolation.start_timeout if task == "load" else self._isolation.timeout
            raise ModelTimeout(self._uri, task=task, seconds=seconds or 0.0) from exc
        except (Closed, Junk) as exc:
            raise self._crashed(process, task, exc) from exc
        except BaseException:
            self._replace(task)
            raise
        if "raised" in answer:
            raise self._raised(answer["raised"], task)
        return answer

    def _crashed(self, process: ModelProcess, task: Task, exc: Exception) -> ModelCrashed:
        ending = process.wait() if isinstance(exc, Closed) else f"it answered junk: {exc}"
        words = "" if self._is_open else process.read_last_words()
        self._replace(task)
        return ModelCrashed(self._uri, task=task, ending=ending, last_words=words)

    def _raised(self, told: dict[str, Any], task: Task) -> Exception:
        exc = rebuild_exception(told)
        if not isinstance(exc, MemoryError):
            if task == "load":
                self._end()
            return exc
        # What it still holds nobody knows.
        self._replace(task)
        short = ModelOutOfMemory(self._uri, task=task, limit=self._isolation.memory_limit)
        short.__cause__ = exc
        return short

    def _replace(self, task: Task) -> None:
        """Kill the process; start the next one at once, so that it has loaded when it is asked, unless it cannot."""
        self._end()
        if task == "predict":
            self._start()

    def _end(self) -> None:
        process, self._process, self._is_open = self._process, None, False
        if process is not None:
            process.kill()


def _ask(process: ModelProcess, request: Mapping[str, Any]) -> Any:
    process.channel.send(request)
    return process.channel.receive()


_supervisors: weakref.WeakSet[Supervisor] = weakref.WeakSet()


def _disown_all() -> None:
    for supervisor in list(_supervisors):
        supervisor.disown()


os.register_at_fork(after_in_child=_disown_all)
