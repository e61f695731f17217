"""Forks a process that holds loaded models, and asks the child.

argv: when to fork, the folder that zoo.py saved a family in, and the models. "loaded" is before anything was asked,
"asked" after that, "busy" while threads of the parent ask and load, "bare" with the framework's own object; with commas
between several.
Prints for each of them, model by model, "same", "different", "failed" or "hung".
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo import NAMES, answer, as_bytes, calls, load, rows

_PATIENCE = 30  # seconds after which a child has come to a standstill; what it does takes one at most
_FORKS = 5  # while the parent is busy
_DIFFERENT, _FAILED = 1, 2


def in_child(work: Callable[[], bool]) -> str:
    """Fork, run *work* in the child, and say how it went."""
    child = os.fork()
    if child == 0:
        code = _FAILED
        try:
            code = 0 if work() else _DIFFERENT
        except BaseException as exc:
            print(repr(exc), file=sys.stderr, flush=True)
        os._exit(code)
    patience = float(os.environ.get("PATIENCE", _PATIENCE))
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return {0: "same", _DIFFERENT: "different"}.get(os.waitstatus_to_exitcode(status), "failed")
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def answers(model: Any, name: str) -> list[bytes]:
    """Ask a model a few of its questions."""
    return [as_bytes(answer(model, call)) for call in calls(name)[::3]]


def fork_once(folder: Path, name: str, when: str) -> str:
    """Load a model, fork, and ask it in the child; its answers are those of another one, loaded there."""
    model = load(folder, name)
    if when != "loaded":
        wanted = answers(model, name)
        return in_child(lambda: answers(model, name) == wanted == answers(load(folder, name), name))
    return in_child(lambda: answers(model, name) == answers(load(folder, name), name))


def fork_often(folder: Path, name: str) -> str:
    """Fork again and again while threads of this process ask models, some for the first time, and load them."""
    model, done = load(folder, name), threading.Event()
    other = load(folder, name)
    wanted = answers(other, name)
    # While it predicts with a model, xgboost locks something in it (GBTreeModelView, in 3.2).
    shared = other if name in NAMES["xgboost"] else model

    def ask() -> None:
        while not done.is_set():
            answers(shared, name)

    def load_anew() -> None:
        while not done.is_set():
            answer(load(folder, name), calls(name)[0])

    threads = [threading.Thread(target=work, daemon=True) for work in (ask, load_anew, load_anew)]
    for thread in threads:
        thread.start()
    for _ in range(_FORKS):
        result = in_child(lambda: answers(model, name) == wanted == answers(load(folder, name), name))
        if result != "same":
            break
        time.sleep(0.03)
    done.set()
    for thread in threads:
        thread.join(_PATIENCE)  # torch ends a process that exits while a thread computes
    return result


def fork_bare(name: str) -> str:
    """Fork a process in which the framework itself has fitted a model, and predict in the child."""
    target = [row[0] > 0 for row in rows()]
    if name == "histogram":
        from sklearn.ensemble import HistGradientBoostingClassifier

        forest = HistGradientBoostingClassifier(max_iter=5).fit(rows(), target)
        return in_child(lambda: len(forest.predict(rows())) == len(target))
    import numpy as np
    import xgboost

    data = np.array(rows(), dtype="f4")
    booster = xgboost.train({}, xgboost.DMatrix(data, label=target), 5)
    return in_child(lambda: len(booster.inplace_predict(data)) == len(target))


def fork(when: str, folder: Path, name: str) -> str:
    """Do what the arguments say."""
    if when == "bare":
        return fork_bare(name)
    return fork_often(folder, name) if when == "busy" else fork_once(folder, name, when)


if __name__ == "__main__":
    # From Python 3.12 on, a fork beside threads warns that the child may hang; that it does not is what is tried here.
    warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
    for when in sys.argv[1].split(","):
        for name in sys.argv[3:]:
            print(fork(when, Path(sys.argv[2]), name), flush=True)
