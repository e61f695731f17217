"""The other end of ``_processes.Worker``: runs tasks until nobody asks any more."""

from __future__ import annotations

import os
import pickle
import sys

from palate.testing import _tasks
from palate.testing._processes import read_message, write_message

__all__: list[str] = []


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
        task, arguments = pickle.loads(request)
        return pickle.dumps((True, getattr(_tasks, task)(*arguments)))
    except BaseException as exc:  # the asker decides what it means
        return pickle.dumps((False, f"{type(exc).__name__}: {exc}"))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
