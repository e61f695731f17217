"""Locks in a process that forks: a child inherits those that threads of its parent held, and has not the threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from weakref import WeakSet

__all__ = ["ProcessLock"]


class ProcessLock:
    """A lock between the threads of one process; a thread that holds it may take it again.

    In a forked child it is free, unless the thread that forked holds it.

    Args:
        tidy: undoes what a thread had only begun; called by the first who takes the lock in a child that inherited it
            from such a thread.
    """

    __slots__ = ("__weakref__", "_inherited", "_lock", "_tidy")

    def __init__(self, tidy: Callable[[], None] | None = None) -> None:
        self._lock = threading.RLock()
        self._tidy = tidy
        self._inherited = False
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._inherited:
            self._inherited = False
            if self._tidy is not None:
                self._tidy()

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def _renew(self) -> None:
        if self._lock.acquire(blocking=False):  # free, or this thread's own
            self._lock.release()
            return
        self._lock = threading.RLock()
        self._inherited = True


_locks: WeakSet[ProcessLock] = WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()


os.register_at_fork(after_in_child=_renew_all)
