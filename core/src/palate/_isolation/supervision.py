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
from palate._process_lock import ForkLock, ProcessLock
from palate.errors import DependencyMissing, ModelCrashed, ModelOutOfMemory, ModelTimeout, NotTransferable

__all__ = ["Introduction", "Supervisor"]

Task: TypeAlias = Literal["load", "predict"]
# For a call whose process has just been killed to come back.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What the process says of the model that it has opened.

    Attributes:
        flavor: the flavor that answers.
        methods: what the model answers to.
        independent: of each method, whether a row's answer depends on that row alone, or what the flavor raised
            instead of saying so.
        python: the version of Python that runs there.
    """

    flavor: str
    methods: tuple[str, ...]
    independent: Mapping[str, bool | Exception]
    python: str


def _read_introduction(said: object) -> Introduction:
    if not isinstance(said, dict):
        raise Junk("it does not introduce its model")
    flavor, python, methods, independent = (said.get(key) for key in ("flavor", "python", "methods", "independent"))
    if not (isinstance(flavor, str) and isinstance(python, str) and isinstance(independent, dict)):
        raise Junk("it does not introduce its model")
    if not isinstance(methods, tuple) or not all(map(_is_text, methods)) or set(methods) != set(independent):
        raise Junk("it does not say what its model answers to")
    answers = {
        name: answer if isinstance(answer, bool) else rebuild_exception(answer) for name, answer in independent.items()
    }
    return Introduction(flavor=flavor, python=python, methods=methods, independent=answers)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


class Supervisor:
    """Keeps one process with one model, and talks to it; threads take turns.

    A forked child of the program gets a process of its own at its first call.

    Args:
        uri: the model's name in errors.
        command: what starts a worker.
        foreign: whether that is another environment's interpreter.
        request: what the worker is to open.
        isolation: the limits; that of memory the worker sets itself.
    """

    def __init__(
        self,
        uri: str,
        command: Sequence[str],
        *,
        foreign: bool,
        request: Mapping[str, Any],
        isolation: Isolation,
    ) -> None:
        self._uri, self._command, self._foreign = uri, tuple(command), foreign
        self._request, self._isolation = dict(request), isolation
        self._lock = ProcessLock()
        self._process: ModelProcess | None = None
        self._is_open = self._is_closed = self._is_asked = False
        self._number = 0
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
            if self._is_asked:
                # The lock lets a signal handler, or a finalizer, of the very thread in that waits for an answer.
                raise RuntimeError(f"this thread waits for an answer of '{self._uri}', and cannot ask it meanwhile")
            self._is_asked = True
            try:
                return self._call(method, data, params)
            finally:
                self._is_asked = False

    def _call(self, method: str, data: object, params: Mapping[str, Any]) -> Any:
        if not self._is_open:
            self._start()
            self._await_model()
        process = self._process
        assert process is not None
        self._number += 1
        request = {"number": self._number, "method": method, "data": data, "params": dict(params)}
        process.channel.set_timeout(self._isolation.timeout)
        return self._converse("predict", lambda: _ask(process, request))

    def close(self) -> None:
        """End the process; nothing can be asked any more, and a call under way fails."""
        self._is_closed = True
        if not self._lock.held.acquire(blocking=False):
            process = self._process
            if process is not None:
                process.signal_group()  # so that the thread that waits for it comes to an end
            if not self._lock.held.acquire(timeout=_PATIENCE_S):
                return
        try:
            process, self._process, self._is_open = self._process, None, False
            if process is not None:
                process.stop()
        finally:
            self._lock.held.release()

    def disown(self) -> None:
        """Forget the process, in a forked child."""
        process, self._process = self._process, None
        self._is_open = self._is_asked = False
        if process is not None:
            process.disown()

    def _start(self) -> None:
        """Start a process and tell it what to open, unless there is one."""
        self._refuse_closed()
        if self._process is not None:
            return
        try:
            with _starting.held:
                self._process = process = ModelProcess(self._command, foreign=self._foreign)
            self._refuse_closed()  # meanwhile, by a thread that found no process to end
        except OSError as exc:
            ending = f"it could not be started ({exc.strerror})"
            hint = f"see whether {self._command[0]} runs, and how many files and processes this program may have"
            raise ModelCrashed(self._uri, task="load", ending=ending, hint=hint) from exc
        process.channel.set_timeout(self._isolation.start_timeout)
        try:
            with suppress(Closed, TimeoutError):  # which show when its answer is waited for
                process.channel.send(self._request)
        except BaseException:  # an option that does not cross, an interrupt
            self._end()
            raise

    def _refuse_closed(self) -> None:
        if self._is_closed:
            self._end()
            raise ModelCrashed(self._uri, task="predict", ending="it was closed", hint="load the model again")

    def _await_model(self) -> Introduction:
        process = self._process
        assert process is not None
        introduction: Introduction = self._converse("load", lambda: _receive_introduction(process))
        self._is_open = True
        return introduction

    def _converse(self, task: Task, exchange: Callable[[], Any]) -> Any:
        """Return the process's answer; whatever comes between leaves none that waits for half a message."""
        process = self._process
        assert process is not None
        try:
            return exchange()
        except _Raised as exc:
            raise self._raised(exc.failure, task) from exc.failure.__cause__
        except (NotTransferable, DependencyMissing):  # nothing was sent; or it was received whole
            raise
        except TimeoutError as exc:
            self._replace(task)
            seconds = self._isolation.start_timeout if task == "load" else self._isolation.timeout
            limit = self._isolation.memory_limit
            raise ModelTimeout(self._uri, task=task, seconds=seconds or 0.0, memory_limit=limit) from exc
        except (Closed, Junk) as exc:
            raise self._crashed(process, task, exc) from exc
        except BaseException:
            self._replace(task)
            raise

    def _crashed(self, process: ModelProcess, task: Task, exc: Exception) -> ModelCrashed:
        ending = process.wait() if isinstance(exc, Closed) else f"it answered junk: {exc}"
        words = "" if self._is_open else process.read_last_words()
        self._replace(task)
        limit = self._isolation.memory_limit
        return ModelCrashed(self._uri, task=task, ending=ending, last_words=words, memory_limit=limit)

    def _raised(self, failure: Exception, task: Task) -> Exception:
        limit = self._isolation.memory_limit
        # Where memory is short Python's own functions fail, too, and cannot say of what.
        if not isinstance(failure, MemoryError if limit is None else MemoryError | SystemError):
            if task == "load":
                self._end()
            return failure
        # What it still holds nobody knows.
        self._replace(task)
        return ModelOutOfMemory(self._uri, task=task, limit=limit)

    def _replace(self, task: Task) -> None:
        """Kill the process; start the next one at once, so that it has loaded when it is asked, unless it cannot."""
        self._end()
        if task == "predict":
            with suppress(ModelCrashed):  # which the next call finds out
                self._start()

    def _end(self) -> None:
        process, self._process, self._is_open = self._process, None, False
        if process is not None:
            process.kill()


class _Raised(Exception):
    """The process answers with what it raised."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        super().__init__()


def _receive_introduction(process: ModelProcess) -> Introduction:
    answer = process.channel.receive()
    if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
        raise Junk("its Palate is of another version; give an environment with the one that runs here")
    return _read_introduction(_value_of(answer, "ready"))


def _ask(process: ModelProcess, request: Mapping[str, Any]) -> Any:
    process.channel.send(request)
    answer = process.channel.receive()
    if not isinstance(answer, dict) or answer.get("number", request["number"]) != request["number"]:
        raise Junk("it answers another call")
    value = _value_of(answer, "value")
    return iter(value) if answer.get("iterated") and isinstance(value, list) else value


def _value_of(answer: object, key: str) -> Any:
    """Return what a process answers. Raises _Raised if it has raised something, Junk if it answers nothing."""
    if isinstance(answer, dict) and "raised" in answer:
        raise _Raised(rebuild_exception(answer["raised"]))
    if not isinstance(answer, dict) or key not in answer:
        raise Junk("it has no answer")
    return answer[key]


# A fork waits until a process that is being started is known, so that the child can forget it.
_starting = ForkLock()
_supervisors: weakref.WeakSet[Supervisor] = weakref.WeakSet()


def _disown_all() -> None:
    for supervisor in list(_supervisors):
        supervisor.disown()


os.register_at_fork(after_in_child=_disown_all)
