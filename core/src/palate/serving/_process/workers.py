"""One process or several: a parent that holds the sockets and the loaded models, and workers that are forked from it.

Workers share the memory of what was loaded before the fork, as long as nobody writes to it; reference counts do, the
arrays of a model do not. The parent computes nothing, starts no thread, and only looks: at workers that have ended, and
at those whose event loop stands still.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from palate.serving._process.server import FAILED, ServedApp, run_server
from palate.serving._process.sockets import (
    AddressUnavailable,
    address_of,
    bind_again,
    bind_workers,
    close_sockets,
    start_listening,
)
from palate.serving._process.watchdog import GRACE, HeartbeatTable, StillnessGauge, start_heartbeat, start_watchdog
from palate.serving.settings import ServingSettings

__all__ = ["CANNOT_START", "Worker", "serve"]

CANNOT_START = 3  # the exit code of a worker whose application does not begin; uvicorn's own
_LOOK = 0.25  # seconds between two looks at the workers
_LAST = 4.0  # seconds after the drain, until those that are left are killed
_SHORT_LIFE = 5.0  # seconds; a worker that ends sooner waits before it is started again
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0  # seconds, doubled each time
_WAITED_FOR = 0.4  # seconds that connections may wait for a worker to be started again


def serve(
    build_app: Callable[[], ServedApp],
    settings: ServingSettings,
    *,
    preload: bool = True,
    on_listening: Callable[[Sequence[str]], None],
) -> int:
    """Serve until a signal and return the exit code: 0, or 1 if requests were cut off or no worker could start.

    Args:
        build_app: makes the application, with its models loaded.
        settings: of the server.
        preload: make it once, and share it among the workers; False: in each of them, for models that do not live
            through a fork.
        on_listening: called with the addresses once requests are accepted.

    Raises:
        AddressUnavailable: nothing can be bound there, or somebody else listens there.
    """
    sockets = bind_workers(settings, settings.workers)
    try:
        if settings.workers == 1:
            return _serve_alone(build_app(), settings, sockets[0], on_listening)
        return _Workers(build_app, settings, sockets, on_listening, preload=preload).run()
    finally:
        close_sockets(sockets)
        if settings.uds is not None:
            with suppress(OSError):
                os.unlink(settings.uds)


def _serve_alone(
    app: ServedApp,
    settings: ServingSettings,
    sockets: Sequence[socket.socket],
    on_listening: Callable[[Sequence[str]], None],
) -> int:
    table = HeartbeatTable(1)
    addresses = [address_of(one) for one in sockets]

    def begin(loop: asyncio.AbstractEventLoop) -> None:
        start_heartbeat(loop, lambda: table.beat(0))
        start_watchdog(table, settings.predict_timeout + GRACE)
        on_listening(addresses)

    run_server(app, settings, sockets, on_started=begin)
    return 0


class Worker:
    """What the parent knows of one worker."""

    def __init__(self, index: int, limit: float) -> None:
        self.index, self._limit = index, limit
        self.pid = 0
        self.started_at = self.due = 0.0
        self.wait = _FIRST_WAIT
        self.gauge = StillnessGauge(limit, _LOOK)

    def began(self, pid: int) -> None:
        """Note that it was started."""
        self.pid, self.started_at = pid, time.monotonic()
        self.gauge = StillnessGauge(self._limit, _LOOK)

    def ended(self) -> None:
        """Note that it has ended, and choose when to start it again."""
        now = time.monotonic()
        lived = now - self.started_at
        self.pid, self.due = 0, now if lived > _SHORT_LIFE else now + self.wait
        self.wait = _FIRST_WAIT if lived > _SHORT_LIFE else min(2 * self.wait, _LONGEST_WAIT)


class _Workers:
    def __init__(
        self,
        build_app: Callable[[], ServedApp],
        settings: ServingSettings,
        sockets: Sequence[Sequence[socket.socket]],
        on_listening: Callable[[Sequence[str]], None],
        *,
        preload: bool,
    ) -> None:
        self._build_app, self._settings, self._sockets = build_app, settings, list(sockets)
        self._on_listening = on_listening
        self._addresses = [address_of(one) for one in sockets[0]]
        self._table = HeartbeatTable(settings.workers)
        limit = settings.predict_timeout + GRACE
        self._workers = [Worker(index, limit) for index in range(settings.workers)]
        self._limit = limit
        self._app = build_app() if preload else None
        self._signals = 0
        self._announced = False
        self._code = 0

    def run(self) -> int:
        """Keep the workers running until a signal, then see them to their end."""
        for sockets in self._sockets:
            start_listening(sockets)
        gc.collect()
        gc.freeze()  # so that the collector's marks do not copy the pages that are shared
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        handlers = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _wake_up)
        before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            while not self._signals and not self._code:
                self._look_after()
                _sleep(woken)
            self._drain(woken)
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.close(woken)
            os.close(wake)
        return self._code

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._signals += 1

    def _look_after(self) -> None:
        self._bury(draining=False)
        now = time.monotonic()
        for worker in self._workers:
            if not worker.pid:
                if now >= worker.due and not self._code:
                    self._start(worker)
            elif worker.gauge.look(self._table.count(worker.index)):
                _tell(f"worker {worker.index} answers nothing for {self._limit:g} s; it is killed and replaced")
                _signal(worker.pid, signal.SIGKILL)
        if not self._announced and any(self._table.count(worker.index) for worker in self._workers):
            self._announced = True
            self._on_listening(self._addresses)

    def _bury(self, *, draining: bool) -> None:
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            code = os.waitstatus_to_exitcode(status)
            worker.ended()
            if draining:
                # By SIGTERM itself ends one that did not serve yet.
                self._code = self._code or (FAILED if code not in (0, -signal.SIGTERM) else 0)
            elif code == CANNOT_START and not self._announced:
                self._code = FAILED  # it has said why; the others would say the same
            else:
                _tell(f"worker {worker.index} ended ({_ending(code)}); it is started again")
                if worker.wait > _WAITED_FOR:
                    self._leave_to_others(worker.index)

    def _leave_to_others(self, index: int) -> None:
        """Close the sockets of a worker that keeps ending, so that the system gives its connections to the others."""
        if self._settings.uds is None and any(worker.pid for worker in self._workers):
            close_sockets([self._sockets[index]])
            self._sockets[index] = ()

    def _start(self, worker: Worker) -> None:
        if not self._sockets[worker.index]:
            living = next(self._sockets[other.index] for other in self._workers if self._sockets[other.index])
            try:
                made = bind_again(living)
                start_listening(made)
            except AddressUnavailable as exc:  # the others go on, and this one is tried again
                _tell(str(exc))
                worker.due = time.monotonic() + worker.wait
                return
            self._sockets[worker.index] = made
        self._table.reset(worker.index)
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal meant for the worker must not end up in the parent's handler, which it has until it has its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
            worker.began(pid)
            return
        code = CANNOT_START
        try:
            self._work(worker.index)
            code = 0
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else CANNOT_START
        except BaseException:
            traceback.print_exc()
        finally:
            # Nothing of the parent's is ended a second time here: its exit handlers, its buffers.
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _work(self, index: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A terminal's Ctrl-C goes to all of them; it is the parent who hears it and tells the workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        # The others' would go on taking connections here, when those have closed them.
        close_sockets([sockets for sockets in self._sockets if sockets is not self._sockets[index]])
        app = self._app if self._app is not None else self._build_app()
        parent = os.getppid()

        def begin(loop: asyncio.AbstractEventLoop) -> None:
            start_heartbeat(loop, beat)

        def beat() -> None:
            self._table.beat(index)
            if os.getppid() != parent:  # killed: there is nobody left who would look after this process
                os.kill(os.getpid(), signal.SIGTERM)

        run_server(app, self._settings, self._sockets[index], index=index, patient=True, on_started=begin)

    def _drain(self, woken: int) -> None:
        close_sockets(self._sockets)  # otherwise they would still take connections, which nobody answers
        self._tell_all(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.drain_timeout + _LAST
        while any(worker.pid for worker in self._workers):
            if self._signals > 1 or time.monotonic() > deadline:
                self._code = FAILED
                self._tell_all(signal.SIGKILL)
            _sleep(woken)
            self._bury(draining=True)

    def _tell_all(self, number: int) -> None:
        for worker in self._workers:
            if worker.pid:
                _signal(worker.pid, number)


def _sleep(woken: int) -> None:
    """Sleep until the next look, or until a signal comes."""
    if select.select([woken], [], [], _LOOK)[0]:
        os.read(woken, 4096)


def _wake_up(number: int, frame: FrameType | None) -> None:
    """Do nothing, but not by default: what is ignored ends no ``select``."""
    del number, frame


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _tell(text: str) -> None:
    print(f"palate serve: {text}", file=sys.stderr, flush=True)
