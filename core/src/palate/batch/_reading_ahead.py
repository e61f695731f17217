"""What is read next, read while what was read before is looked at."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import Full, Queue
from typing import Final, TypeVar

__all__ = ["read_ahead"]

T = TypeVar("T")

_AHEAD: Final = 1  # more would only be more memory: what is slower sets the pace anyhow
_END: Final = object()
_LOOK_SECONDS: Final = 0.2


class _Failure:
    """What was raised while reading."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield *items*, which a thread of its own takes one ahead; an error comes where the item would have come.

    The thread ends with the iterator, also when that is closed before its end.
    """
    queue: Queue[T | _Failure | object] = Queue(_AHEAD)
    stop = threading.Event()
    reader = threading.Thread(target=_fill, args=(items, queue, stop), name="palate-reader", daemon=True)
    reader.start()
    try:
        while (item := queue.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
            del item  # the next one may be large as well
    finally:
        stop.set()
        reader.join()


def _fill(items: Iterator[T], queue: Queue[T | _Failure | object], stop: threading.Event) -> None:
    try:
        for item in items:
            if not _put(queue, item, stop):
                return
            del item
    except BaseException as exc:
        _put(queue, _Failure(exc), stop)
        return
    _put(queue, _END, stop)


def _put(queue: Queue[T | _Failure | object], item: T | _Failure | object, stop: threading.Event) -> bool:
    """Put an item as soon as there is room; return False if nobody wants it any more."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_LOOK_SECONDS)
        except Full:
            continue
        return True
    return False
