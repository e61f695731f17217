"""Writing lines for whoever reads the logs, without ever waiting for them.

A pipe whose reader has stopped, a full disk and a hanging network share block or fail the write; so a thread of its own
writes, and what it does not get rid of is dropped and counted. Formatting is left to the event loop: a thread that
computed would hold the interpreter for up to 5 ms at a time, which is as long as a request may take.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from contextlib import suppress
from queue import SimpleQueue

from palate.serving._watching.counters import Counter

__all__ = ["LogWriter", "Stream"]

# Ten thousand lines and more.
_BACKLOG_LIMIT = 8 << 20
_STDERR = 2


class Stream:
    """Where lines go: a descriptor that nobody else closes, and how many of them were lost.

    Args:
        descriptor: a copy of it is used.
        name: what it is called where losses are told.
        counter: counts the losses too, as far as they are known when something is written.
    """

    __slots__ = ("_counted", "_counter", "descriptor", "failed", "name", "refused", "torn")

    def __init__(self, descriptor: int, name: str, counter: Counter | None = None) -> None:
        self.name = name
        self._counter, self._counted = counter, 0
        # A closed descriptor's number goes to the next socket that is opened, whose client would get our log.
        try:
            self.descriptor = os.dup(descriptor)
        except OSError:
            self.descriptor = -1
        # Each of the two is written to by one thread only: the event loop's and the writer's.
        self.refused = self.failed = 0
        self.torn = False

    @property
    def lost(self) -> int:
        """The lines that were not, or not wholly, written."""
        return self.refused + self.failed

    def count_lost(self) -> None:
        """Bring the counter up to date; from the event loop's thread, which alone counts."""
        if self._counter is not None and (lost := self.lost) != self._counted:
            self._counter.count(lost - self._counted)
            self._counted = lost


class LogWriter:
    """Writes whole lines to streams. To be made before the workers are forked, and used in each of them.

    The lock that keeps the lines of several workers apart is a POSIX lock, which the kernel frees when its holder dies;
    within a worker there is one thread that writes.
    """

    __slots__ = ("_done", "_lock", "_put", "_queue", "_thread", "_told")

    def __init__(self) -> None:
        self._lock = os.memfd_create("palate-log")
        self._queue: SimpleQueue[tuple[Stream, bytes, int] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        # Bytes; of the two, too, each is written to by one thread only.
        self._put = self._done = 0
        self._told: set[str] = set()

    def write(self, stream: Stream, data: bytes, lines: int) -> None:
        """Have *data*, that many whole lines, written soon; from the event loop's thread only."""
        refused = self._put - self._done + len(data) > _BACKLOG_LIMIT
        stream.refused += lines * refused
        stream.count_lost()
        if refused:
            return
        # A thread does not survive a fork, so it is started where it is needed.
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="palate-log", daemon=True)
            self._thread.start()
        self._put += len(data)
        self._queue.put((stream, data, lines))

    def close(self, seconds: float = 1.0) -> None:
        """Wait until all is written, at most that long; what is written later starts anew."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)
            self._thread = None

    def _run(self) -> None:
        while (given := self._queue.get()) is not None:
            stream, data, lines = given
            try:
                # Only one process writes at a time: a pipe takes more than 4096 bytes in pieces.
                fcntl.lockf(self._lock, fcntl.LOCK_EX)
                try:
                    _write_all(stream, data, lines)
                finally:
                    fcntl.lockf(self._lock, fcntl.LOCK_UN)
                if stream.refused:
                    self._tell(stream, "its reader is too slow")
            except OSError as exc:
                self._tell(stream, exc.strerror or str(exc))
            self._done += len(data)

    def _tell(self, stream: Stream, reason: str) -> None:
        # From the writing thread only: standard error may be the pipe whose reader has stopped.
        if stream.name not in self._told:
            self._told.add(stream.name)
            told = (
                f"palate: the {stream.name} cannot be written ({reason}); lines are lost, /metrics has their number\n"
            )
            with suppress(OSError):
                os.write(_STDERR, told.encode())


def _write_all(stream: Stream, data: bytes, lines: int) -> None:
    rest = memoryview(b"\n" + data if stream.torn else data)
    while rest:
        try:
            written = os.write(stream.descriptor, rest)
        except BlockingIOError:
            # Whoever made the pipe may have set it so, as Node.js does; it holds for all who have it.
            writable = select.poll()
            writable.register(stream.descriptor, select.POLLOUT)
            writable.poll()
            continue
        except OSError:
            stream.failed += min(lines, rest.tobytes().count(b"\n"))
            raise
        rest = rest[written:]
        # Should the next write fail, the line that this one began must not run into a later one.
        stream.torn = bool(rest)
