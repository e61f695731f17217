"""Closed-loop load by wrk: so many connections, each of which asks again as soon as it is answered."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _serving_bodies import Body
from _serving_processes import Running

__all__ = ["Sample", "middle", "run_wrk"]

_RESULT = re.compile(
    r"RESULT requests=(?P<requests>\d+) seconds=(?P<seconds>[\d.]+) p50=(?P<p50>[\d.]+) p99=(?P<p99>[\d.]+) "
    r"longest=(?P<longest>[\d.]+) failed=(?P<failed>\d+) refused=(?P<refused>\d+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run of wrk saw. Times are in seconds.

    Attributes:
        rate: requests in a second that were answered as asked.
        p50, p99, longest: of the time until the answer.
        failed: connections that broke, and requests without an answer.
        refused: answers with another status than 2xx or 3xx.
        processor: time on the processor that the server took for one of these.
        busy: the share of the time in which the server was on its processor; 1.0 is all of one core.
    """

    rate: float
    p50: float
    p99: float
    longest: float
    failed: int
    refused: int
    processor: float
    busy: float


def run_wrk(running: Running, body: Body, *, connections: int, seconds: float, core: int, folder: Path) -> Sample:
    """Post *body* over *connections* for *seconds*, from *core*."""
    content = folder / "wrk.body"
    content.write_bytes(body.content)
    headers = "\n".join(f"{name}: {value}" for name, value in body.headers.items())
    words = ["taskset", "--cpu-list", str(core), "wrk", "--threads", "1", "--connections", str(connections)]
    words += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "30s"]
    words += ["--script", str(Path(__file__).with_name("_serving_post.lua"))]
    words += [f"http://127.0.0.1:{running.port}{body.path}"]
    before = running.processor_seconds()
    done = subprocess.run(
        words, env={**os.environ, "WRK_BODY": str(content), "WRK_HEADERS": headers}, capture_output=True, text=True
    )
    used = running.processor_seconds() - before
    found = _RESULT.search(done.stdout)
    if found is None or found["requests"] == found["refused"]:
        raise SystemExit(f"wrk got no answer from {running.server.name}:\n{done.stdout}{done.stderr}")
    took = float(found["seconds"])
    answered = int(found["requests"]) - int(found["refused"])
    return Sample(
        rate=answered / took,
        p50=float(found["p50"]),
        p99=float(found["p99"]),
        longest=float(found["longest"]),
        failed=int(found["failed"]),
        refused=int(found["refused"]),
        processor=used / answered,
        busy=used / took,
    )


def middle(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure; of what went wrong, all of it."""
    return Sample(
        rate=statistics.median(sample.rate for sample in samples),
        p50=statistics.median(sample.p50 for sample in samples),
        p99=statistics.median(sample.p99 for sample in samples),
        longest=max(sample.longest for sample in samples),
        failed=sum(sample.failed for sample in samples),
        refused=sum(sample.refused for sample in samples),
        processor=statistics.median(sample.processor for sample in samples),
        busy=statistics.median(sample.busy for sample in samples),
    )
