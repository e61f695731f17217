"""Locks in a process that forks: a child inherits those that threads of its parent held, and has not the threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakSet

__all__ = ["ProcessLock"]


class ProcessLock:
    """A lock between the threads of one process; a thread that holds it may take it again.

    In a forked child it is free, unless the thread that forked holds it.

    Attributes:
        held: what a ``with`` statement takes: Python's own lock, so that no interrupt comes between taking it and the
            block that gives it back.

    Args:
        tidy: called in a child whose parent had the lock taken by another thread, to undo what that thread had only
            begun.
    """

    __slots__ = ("__weakref__", "_tidy", "held")

    def __init__(self, tidy: Callable[[], None] | None = None) -> None:
        self.held = threading.RLock()
        self._tidy = tidy
        _locks.add(self)

    def _renew(self) -> None:
        if self.held.acquire(blocking=False):  # free, or this thread's own
            self.held.release()
            return
        self.held = threading.RLock()
        if self._tidy is not None:
            self._tidy()


_locks: WeakSet[ProcessLock] = WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()


os.register_at_fork(after_in_child=_renew_all)
