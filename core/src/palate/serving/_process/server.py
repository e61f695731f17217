"""One process that serves: uvicorn with our protocol, told when to stop, and ended if it does not come to an end."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol, cast

import uvicorn

from palate.serving._http.exchange import DirectHandler
from palate.serving._http.limits import AllowedHosts, HttpLimits
from palate.serving._http.protocol import HttpProtocol
from palate.serving._http.refusals import Refusal
from palate.serving._http.site import HttpSite
from palate.serving._process.sockets import AddressUnavailable, raise_file_limit
from palate.serving.settings import ServingSettings

__all__ = ["FAILED", "ServedApp", "limits_of", "run_server"]

FAILED = 1  # the exit code when requests under way got no answer, or no worker could start
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
_LAST = 2.0  # seconds after the drain in which the application has to come to its end
# Young objects are looked at less often than by default: a request makes a few, and no cycles of them.
_GC_THRESHOLDS = (10_000, 20, 20)


class ServedApp(Protocol):
    """An ASGI application with what a server tells it.

    Attributes:
        direct: handlers of hot routes, by method and path, that are called without ASGI.
    """

    direct: Mapping[tuple[str, str], DirectHandler]

    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> Awaitable[None]:
        """Answer a request, or live through a lifespan."""

    def begin_worker(self, index: int) -> None:
        """Be the worker with that number; called once in each process that serves, before its loop runs."""

    def begin_drain(self) -> None:
        """Say from now on that nothing is ready; called on the event loop's thread, perhaps more than once."""

    def note_refusal(self, refusal: Refusal) -> None:
        """Count a request that was refused before the application saw it."""


def limits_of(settings: ServingSettings, on_refusal: Callable[[Refusal], None]) -> HttpLimits:
    """Return what a connection may take."""
    names = None if settings.uds is not None else settings.accepted_hosts  # no web page reaches a socket file
    return HttpLimits(
        hosts=AllowedHosts(names, numbers=settings.host in _WILDCARDS),
        max_body_bytes=settings.max_body_bytes,
        max_header_bytes=settings.max_header_bytes,
        max_headers=settings.max_headers,
        max_connections=settings.max_connections,
        header_timeout=settings.header_timeout,
        body_timeout=settings.body_timeout,
        write_timeout=settings.write_timeout,
        keep_alive_timeout=settings.keep_alive_timeout,
        on_refusal=on_refusal,
    )


def run_server(
    app: ServedApp,
    settings: ServingSettings,
    sockets: Sequence[socket.socket],
    *,
    index: int = 0,
    patient: bool = False,
    on_started: Callable[[asyncio.AbstractEventLoop], None],
) -> None:
    """Serve until SIGTERM or SIGINT, and answer what is under way.

    A second signal ends the process where it stands, with FAILED, and so do requests and an application that do not
    come to their end within the drain.

    Args:
        app: the application; its lifespan begins and ends here.
        settings: limits and deadlines.
        sockets: bound ones, which are closed when the drain begins.
        index: the worker's number.
        patient: for a worker, whose parent hears SIGINT in its place and does the killing: a second signal is nothing.
        on_started: called when requests are accepted.

    Raises:
        AddressUnavailable: somebody else listens there already.
        SystemExit: the application's lifespan did not begin; it has said why on stderr.
    """
    raise_file_limit(settings.max_connections)
    app.begin_worker(index)
    server = _Server(_config(app, settings), app, patient=patient, on_started=on_started, drain=settings.drain_timeout)
    server.run(sockets=list(sockets))


def _config(app: ServedApp, settings: ServingSettings) -> uvicorn.Config:
    site = HttpSite(limits_of(settings, app.note_refusal), app.direct)
    return uvicorn.Config(
        cast(Any, app),
        http=cast(Any, functools.partial(HttpProtocol, site=site)),
        ws="none",
        interface="asgi3",
        lifespan="on",
        proxy_headers=False,  # its middleware believes what any local client says of itself
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=cast(int, settings.drain_timeout),  # asyncio.wait_for takes any number
    )


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        app: ServedApp,
        *,
        patient: bool,
        on_started: Callable[[asyncio.AbstractEventLoop], None],
        drain: float,
    ) -> None:
        super().__init__(config)
        self._app, self._patient, self._on_started, self._drain = app, patient, on_started, drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; what was loaded before is never looked at by the garbage collector again."""
        try:
            await super().startup(sockets)
        except OSError as exc:
            raise AddressUnavailable.of(sockets or (), exc) from exc
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        self._on_started(asyncio.get_running_loop())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new and let what is under way come to its end."""
        self._app.begin_drain()
        # A lifespan that does not end, or a thread that the loop waits for, would keep the process for ever.
        asyncio.get_running_loop().call_later(self._drain + _LAST, _end_now)
        began = asyncio.get_running_loop().time()
        await super().shutdown(sockets)
        if asyncio.get_running_loop().time() - began > self._drain:
            _end_now()  # something was cut off, and a thread may still be busy with it

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at our signals; uvicorn would raise them again at the end, and the exit code would not be ours."""
        mine = (signal.SIGTERM,) if self._patient else (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in mine}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at the second signal, now."""
        del sig, frame
        if self.should_exit and not self._patient:
            _end_now()
        self.should_exit = True
        self._app.begin_drain()


def _end_now() -> None:
    # Not sys.exit: the interpreter waits at its end for threads, and one of them may be what does not end.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(FAILED)
