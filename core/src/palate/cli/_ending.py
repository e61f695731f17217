"""How commands that start processes, or fill folders, come to an end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["ending_orderly"]


@contextmanager
def ending_orderly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does it: what it has started ends, too."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
