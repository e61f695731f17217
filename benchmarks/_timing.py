"""The one way in which every benchmark times: what is compared takes turns, so that a busy machine slows all alike.

Standard library only; tests/test_overhead.py measures with it too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["ENVIRONMENT", "Measure", "Times", "call_timer", "in_turn", "median_added", "medians", "process_timer"]

# Installed packages come with byte code; a checkout writes it, in the round that warms up, unless told not to.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

# Does a thing once and returns the seconds that it took.
Measure = Callable[[], float]
# Seconds by name; the same place in two lists is the same round.
Times = dict[str, list[float]]


def in_turn(measures: dict[str, Measure], rounds: int, *, warm_up: int = 1) -> Times:
    """Take every measure once a round, in turn; rounds that warm up are not recorded.

    Every other round goes backwards: what runs second finds memory and caches as the first has left them.
    """
    times: Times = {name: [] for name in measures}
    for number in range(warm_up + rounds):
        for name in reversed(measures) if number % 2 else measures:
            seconds = measures[name]()
            if number >= warm_up:
                times[name].append(seconds)
    return times


def call_timer(call: Callable[[Any], object], make: Callable[[], Any]) -> Measure:
    """Return what times *call* on data of its own, which *make* makes before the clock starts."""

    def measure() -> float:
        data = make()
        started = time.perf_counter()
        call(data)
        return time.perf_counter() - started

    return measure


def process_timer(command: Callable[[], Sequence[str]]) -> Measure:
    """Return what times a whole process; *command* is asked for its words each time."""

    def measure() -> float:
        words = command()
        started = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, env=ENVIRONMENT)
        return time.perf_counter() - started

    return measure


def medians(times: Times) -> dict[str, float]:
    """Return the median seconds of each."""
    return {name: statistics.median(values) for name, values in times.items()}


def median_added(times: Times, name: str, floor: str) -> float:
    """Return what *name* takes beyond *floor*: the median of the differences inside each round."""
    return statistics.median(a - b for a, b in zip(times[name], times[floor], strict=True))
