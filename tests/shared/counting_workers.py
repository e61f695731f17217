"""Workers that count in shared memory, in a process of their own: forking beside a test runner's threads is no good.

Run as a program, it prints what the test wants to know as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable

from palate.serving._watching.exposition import Exposition
from palate.serving._watching.metrics import Metrics

__all__ = ["WORKERS"]

WORKERS = 3
MODEL = ("iris", "1")
EACH = 20_000


def fork(work: Callable[[], None]) -> int:
    """Start a process that does *work* and ends."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return process


def ended(process: int) -> int:
    """Wait for a process, and return how it ended: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def together(metrics: Metrics) -> dict[str, object]:
    """All workers count at the same time, while their parent reads; then each reads what all have counted."""

    def work(worker: int) -> None:
        bound = metrics.bind(worker)
        counted = bound.model(*MODEL)
        for _ in range(EACH):
            bound.server.in_flight.add(1)
            counted.protocols["v2"].done(200, 0.002)
            counted.stages["predict"].observe(0.5)
        counted.ready.set(1)

    processes = [fork(lambda worker=worker: work(worker)) for worker in range(metrics.workers)]
    seen = [metrics.total().model(*MODEL).protocols["v2"].seconds.buckets[-1] for _ in range(200)]
    codes = [ended(process) for process in processes]
    return {"codes": codes, "rising": seen == sorted(seen), **summary(metrics)}


def summary(metrics: Metrics) -> dict[str, object]:
    """Return some of the numbers of all workers."""
    total = metrics.total()
    model = total.model(*MODEL)
    return {
        "requests": dict(model.protocols["v2"].responses.items())[200],
        "seconds": model.protocols["v2"].seconds.sum,
        "predicts": model.stages["predict"].buckets[-1],
        "in_flight": total.server.in_flight.value,
        "ready": model.ready.value,
    }


def taken_over(metrics: Metrics) -> dict[str, object]:
    """A worker is killed, and another one takes its place."""
    read, write = os.pipe()

    def killed() -> None:
        os.write(write, b".")
        signal.pause()

    def work(then: Callable[[], None]) -> None:
        bound = metrics.bind(1)
        bound.model(*MODEL).protocols["v2"].done(200, 1.0)
        bound.model(*MODEL).ready.set(1)
        bound.server.in_flight.add(1)
        then()

    first = fork(lambda: work(killed))
    os.read(read, 1)
    before = summary(metrics)
    os.kill(first, signal.SIGKILL)
    code = ended(first)
    second = fork(lambda: work(lambda: None))
    return {"codes": [code, ended(second)], "before": before, "after": summary(metrics)}


def pages(metrics: Metrics) -> list[str]:
    """Return what ``/metrics`` says for all workers: first as their parent says it, then as each of them does."""
    exposition = Exposition(metrics)
    counted, go, said = os.pipe(), os.pipe(), os.pipe()

    def work(worker: int) -> None:
        metrics.bind(worker).model(*MODEL).protocols["v2"].done(200, 0.1)
        os.write(counted[1], b".")
        os.read(go[0], 1)
        page = exposition.render()[0]
        with os.fdopen(said[1], "wb") as pipe:
            pipe.write(page + b"\0")

    # One of the workers is never started.
    processes = [fork(lambda worker=worker: work(worker)) for worker in range(metrics.workers - 1)]
    for _ in processes:
        os.read(counted[0], 1)
    answers = [exposition.render()[0].decode()]
    with os.fdopen(said[0], "rb") as pipe:
        for _ in processes:
            os.write(go[1], b".")
            page = b""
            while not page.endswith(b"\0"):
                page += pipe.read1()
            answers.append(page[:-1].decode())
    return answers if [ended(process) for process in processes] == [0] * len(processes) else []


if __name__ == "__main__":
    made = Metrics(models=[MODEL], workers=WORKERS)
    json.dump({"together": together, "taken_over": taken_over, "pages": pages}[sys.argv[1]](made), sys.stdout)
