"""The other end of ``_processes.Worker``: runs tasks until nobody asks any more."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys

from palate.testing._processes import read_message, write_message

__all__: list[str] = []

_PR_SET_PDEATHSIG = 1


def _serve(ask: int, tell: int) -> None:
    with os.fdopen(ask, "rb") as requests, os.fdopen(tell, "wb") as answers:
        while True:
            try:
                request = read_message(requests)
            except EOFError:
                return
            write_message(answers, _run(request))


def _run(request: bytes) -> bytes:
    try:
        task, args, kwargs = pickle.loads(request)
        return pickle.dumps((True, task(*args, **kwargs)))
    except BaseException as exc:  # the asker decides what it means
        return pickle.dumps((False, f"{type(exc).__name__}: {exc}"))


def _end_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends, which may not get to do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    _serve(int(sys.argv[1]), int(sys.argv[2]))
