"""Locks in a process that forks: a child inherits those that threads of its parent held, and has not the threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import takewhile
from operator import methodcaller
from weakref import WeakSet

__all__ = ["PARSING", "ForkLock", "ProcessLock"]


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


class ForkLock:
    """A lock between the threads of one process that a fork waits for; a thread that holds it may take it again.

    So no child begins amid what it guards, such as the import of a framework, which it could not finish. What runs
    under it must not wait for a thread that forks, and what may take for ever is better guarded otherwise.

    Attributes:
        held: what a ``with`` statement takes: Python's own lock, so that no interrupt comes between taking it and the
            block that gives it back.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held = threading.RLock()
        _waited_for.add(self)


_locks: WeakSet[ProcessLock] = WeakSet()
_waited_for: WeakSet[ForkLock] = WeakSet()

PARSING = ForkLock()
"""For whoever makes a tree of Python text: ``ast.parse``, ``ast.literal_eval``, numpy for the header of an .npy file.

Python 3.11 mixes up threads that do so at once (gh-106905: "AST constructor recursion depth mismatch").
"""


class _Forking(threading.local):
    """What this thread has taken in order to fork."""

    def __init__(self) -> None:
        self.taken: list[threading.RLock] = []


_forking = _Forking()
_wait, _try, _give_back = methodcaller("acquire"), methodcaller("acquire", False), methodcaller("release")


# An interrupt comes between two calls, never inside one that runs no Python: what is taken is noted, and what is given
# back is forgotten, in the same call.


def _take_all() -> None:
    locks = [lock.held for lock in list(_waited_for)]
    taken = _forking.taken
    while len(taken) < len(locks):
        _give_back_all()
        # Only the first is waited for, with none of the others in hand: whoever holds it may want those.
        taken.extend(filter(_wait, locks[:1]))
        taken.extend(takewhile(_try, locks[1:]))
        locks.insert(0, locks.pop(min(len(taken), len(locks) - 1)))


def _give_back_all() -> None:
    _forking.taken[:] = filter(_give_back, _forking.taken)


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()


os.register_at_fork(before=_take_all, after_in_parent=_give_back_all, after_in_child=_give_back_all)
os.register_at_fork(after_in_child=_renew_all)
