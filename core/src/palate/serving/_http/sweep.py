"""The deadlines of all connections, kept by looking at each of them a few times a second instead of by timers."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Final, Protocol

from palate.serving._http.limits import HttpLimits

__all__ = ["BODY", "CLOSING", "HEAD", "IDLE", "Sweep", "Watched"]

# What a connection is reading.
IDLE: Final = 0  # nothing: between requests
HEAD: Final = 1
BODY: Final = 2
CLOSING: Final = 3  # whatever comes is thrown away, so that the client gets to read why

_LINGER = 2.0  # seconds for a client to take in why it was refused
_LONGEST = 0.5  # seconds between two looks
_SHARE = 8  # looks within the shortest deadline


class Watched(Protocol):
    """What a sweep sees of a connection."""

    transport: asyncio.Transport
    phase: int
    serial: int
    seen: tuple[int, int, int]
    seen_at: float

    def busy(self) -> bool:
        """Return whether an answer is being made."""

    def expire(self, phase: int) -> None:
        """End what has taken too long: reading, in a phase, or waiting for a request."""


class Sweep:
    """Looks at the connections of a process while there are any.

    A connection counts (``serial``) and tells (``phase``) what it does, which costs it nothing; whatever a look finds
    unchanged has lasted since an earlier one. So a deadline is never early, and late by one look at most.
    """

    def __init__(self, limits: HttpLimits) -> None:
        self._timeouts = {
            IDLE: limits.keep_alive_timeout,
            HEAD: limits.header_timeout,
            BODY: limits.body_timeout,
            CLOSING: _LINGER,
        }
        self._write_timeout = limits.write_timeout
        self._first_timeout = max(limits.keep_alive_timeout, limits.header_timeout)
        shortest = min(limits.header_timeout, limits.body_timeout, limits.write_timeout)
        self._pause = min(_LONGEST, shortest / _SHARE)
        self._connections: Set[Watched] = frozenset()
        self._armed = False

    def watch(self, connections: Set[Watched], loop: asyncio.AbstractEventLoop) -> None:
        """Keep looking at *connections* until there are none; called whenever one is added."""
        if not self._armed:
            self._armed = True
            self._connections = connections
            loop.call_later(self._pause, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self._connections):
            self._check(connection, now)
        self._armed = bool(self._connections)
        if self._armed:
            loop.call_later(self._pause, self._look, loop)

    def _check(self, connection: Watched, now: float) -> None:
        waiting = connection.transport.get_write_buffer_size()
        state = (connection.serial, connection.phase, waiting)
        if state != connection.seen:
            connection.seen, connection.seen_at = state, now
            return
        lasted = now - connection.seen_at
        if waiting and lasted >= self._write_timeout:
            connection.transport.abort()
        elif waiting or connection.busy():
            return
        elif lasted >= (self._timeouts[connection.phase] if connection.serial else self._first_timeout):
            connection.expire(connection.phase)
