"""How long a prediction takes, one row at a time, on the way that every prediction goes."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from palate.datasets import Chunk
from palate.evaluation.results import Latency
from palate.pyfunc import PyFuncModel

__all__ = ["measure_latency"]

_CALLS: Final = 200
"""So many that the 99th percentile does not hang on a single call."""
_WARM_UP: Final = 5
"""Calls that are not timed: frameworks compile, and fill caches, in their first ones."""
_SECONDS: Final = 2.0


def measure_latency(model: PyFuncModel, chunk: Chunk, names: list[str] | None, method: str) -> Latency:
    """Return the times of some 200 calls with one row, or of as many as two seconds have room for.

    Args:
        model: the model.
        chunk: rows, of which each call gets another one.
        names: of the columns that it is given; None for all.
        method: what is called.
    """
    count = min(len(chunk), _CALLS)
    inputs = [chunk.slice(row, row + 1).inputs(names) for row in range(count)]
    begun = time.perf_counter()
    for row in range(_WARM_UP):
        model.call(method, inputs[row % count])
        if time.perf_counter() - begun > _SECONDS:
            break
    times = _time(model, inputs, method)
    milliseconds = np.array(times) * 1e3
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99))
    return Latency(
        rows_per_call=1,
        calls=len(times),
        mean_ms=float(milliseconds.mean()),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
    )


def _time(model: PyFuncModel, inputs: list[Any], method: str) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < _CALLS and (not times or time.perf_counter() - begun < _SECONDS):
        row = inputs[len(times) % len(inputs)]
        start = time.perf_counter()
        model.call(method, row)
        times.append(time.perf_counter() - start)
    return times
