"""The same work in many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["at_once"]

_SLOW = 60  # seconds after which something has come to a standstill


def at_once(work: Callable[[int], Any], count: int = 32) -> list[Any]:
    """Return what *work* returns in each of *count* threads, which start at the same moment; raise what one raises."""
    barrier, results, errors = threading.Barrier(count), [None] * count, []

    def run(number: int) -> None:
        try:
            barrier.wait(_SLOW)
            results[number] = work(number)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SLOW)
        if thread.is_alive():
            raise TimeoutError("a thread has come to a standstill")
    if errors:
        raise errors[0]
    return results
