"""The same work in many threads."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

__all__ = ["at_once"]

_SLOW = 60  # seconds after which something has come to a standstill
# Python lets another thread go on after 5 ms. In less than that a small model predicts, and two threads that write to
# one array would not be seen.
_TURN = 1e-6


def at_once(work: Callable[[int], Any], count: int = 32, *, short_turns: bool = False) -> list[Any]:
    """Return what *work* returns in each of *count* threads, which start at the same moment; raise what one raises.

    With *short_turns* they take turns as often as Python can.
    """
    barrier, results, errors = threading.Barrier(count), [None] * count, []

    def run(number: int) -> None:
        try:
            barrier.wait(_SLOW)
            results[number] = work(number)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    with _short_turns() if short_turns else nullcontext():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_SLOW)
            if thread.is_alive():
                raise TimeoutError(f"a thread has come to a standstill:\n{_place_of(thread)}")
    if errors:
        raise errors[0]
    return results


def _place_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "it has just ended"


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
