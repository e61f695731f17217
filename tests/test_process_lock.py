"""Locks and forks: a fork waits for a ForkLock, whichever of them threads hold, and leaves them all free."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from palate.hookspecs import ForkLock

# From Python 3.12 on, a fork beside threads warns that the child may hang; that it does not is what is tried here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def in_child(work: Callable[[], bool]) -> bool:
    """Fork, and return what *work* returns in the child; False if it raises or takes more than ten seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    deadline = time.monotonic() + 10
    while not (found := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return False
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(found[1]) == 0


def is_free(lock: ForkLock) -> bool:
    """Whether another thread could take *lock* now."""
    answers: list[bool] = []

    def ask() -> None:
        answers.append(lock.held.acquire(blocking=False))
        if answers[0]:
            lock.held.release()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


def test_a_fork_waits_for_what_is_guarded() -> None:
    """No child begins while another thread is amid the block; afterwards the lock is free on both sides."""
    lock, begun, amid = ForkLock(), threading.Event(), []

    def work() -> None:
        with lock.held:
            amid.append(True)
            begun.set()
            time.sleep(0.1)
            amid.clear()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    assert in_child(lambda: not amid and is_free(lock))
    thread.join()
    assert is_free(lock)


def test_locks_are_waited_for_in_any_order() -> None:
    """Threads that take two locks, one inside the other, come to an end, whichever of them is the older."""
    for first, second in ((a := ForkLock(), b := ForkLock()), (b, a)):
        done = threading.Event()

        def work(outer: ForkLock = first, inner: ForkLock = second, done: threading.Event = done) -> None:
            while not done.is_set():
                with outer.held:
                    time.sleep(0.001)
                    with inner.held:
                        time.sleep(0.001)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            assert all(in_child(lambda: is_free(a) and is_free(b)) for _ in range(20))
        finally:
            done.set()
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_may_fork_while_it_holds_the_lock() -> None:
    """It still holds it in the child and in the parent, once, as the block that it is in ends on both sides."""
    lock = ForkLock()

    def ends_there() -> bool:
        held = not is_free(lock)
        lock.held.release()
        return held and is_free(lock)

    with lock.held:
        assert in_child(ends_there)
        assert not is_free(lock)
    assert is_free(lock)
