"""Signs of life of an event loop, and what ends a process whose loop stands still.

A loop stands still when a model that computes on it does not come back. No request is answered then, so the process is
of no use to anybody, and whoever started it can start it again.
"""

from __future__ import annotations

import asyncio
import faulthandler
import mmap
import os
import sys
import threading
from collections.abc import Callable

__all__ = ["GRACE", "STOOD_STILL", "HeartbeatTable", "StillnessGauge", "start_heartbeat", "start_watchdog"]

STOOD_STILL = 70  # the exit code, EX_SOFTWARE of sysexits.h
GRACE = 2.0  # seconds beyond the time a prediction may take
_BEAT = 0.25  # seconds


class HeartbeatTable:
    """Counters in memory that a process shares with those it forks afterwards, one for each of them."""

    __slots__ = ("_beats", "_memory")

    def __init__(self, count: int) -> None:
        """Make room for *count* counters."""
        self._memory = mmap.mmap(-1, 8 * count)
        self._beats = memoryview(self._memory).cast("Q")

    def beat(self, index: int) -> None:
        """Give a sign of life."""
        self._beats[index] += 1

    def count(self, index: int) -> int:
        """Return how many were given since the last ``reset``."""
        return int(self._beats[index])

    def reset(self, index: int) -> None:
        """Begin again, for a process that takes the place of another."""
        self._beats[index] = 0


class StillnessGauge:
    """Tells from looks at a counter whether it stands still.

    Time counts only from look to look, *pause* seconds at most for each: a machine that slept, or a process that was
    stopped and continued, has not stood still.
    """

    __slots__ = ("_last", "_limit", "_pause", "_still")

    def __init__(self, limit: float, pause: float) -> None:
        """Call it still after *limit* seconds, with a look every *pause* seconds."""
        self._limit, self._pause = limit, pause
        self._last = self._still = 0.0

    def look(self, count: int) -> bool:
        """Return whether it has stood still too long; what has not begun yet does not."""
        if count == self._last:
            self._still += self._pause if count else 0.0
        else:
            self._last, self._still = count, 0.0
        return self._still > self._limit


def start_heartbeat(loop: asyncio.AbstractEventLoop, beat: Callable[[], None]) -> None:
    """Call *beat* now and a few times a second, as long as the loop runs."""
    beat()
    loop.call_later(_BEAT, start_heartbeat, loop, beat)


def start_watchdog(table: HeartbeatTable, limit: float) -> None:
    """End the process with ``STOOD_STILL`` when counter 0 of *table* stands still for *limit* seconds.

    It is a thread, so native code that never lets go of the interpreter stops it as well; the parent of several
    workers sees that too.
    """
    threading.Thread(target=_watch, args=(table, limit), name="palate-watchdog", daemon=True).start()


def _watch(table: HeartbeatTable, limit: float) -> None:
    pause = min(1.0, limit / 4)
    gauge = StillnessGauge(limit, pause)
    waiting = threading.Event()
    while not gauge.look(table.count(0)):
        waiting.wait(pause)
    print(
        f"palate serve: nothing was answered for {limit:g} s, since a prediction does not come back; ending with "
        f"{STOOD_STILL} so that the server can be started again. Where its threads stand:",
        file=sys.stderr,
        flush=True,
    )
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(STOOD_STILL)
