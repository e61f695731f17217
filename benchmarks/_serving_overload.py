"""What becomes of requests when ten times as many come as can be answered.

The model is scikit-learn's nearest neighbours by brute force, which takes about 5 ms for each row, joined or not: ten
times of what it can do is then little for the server itself, which shares the core with the model, and for the client.
What is accepted under overload is held against a full load: as many connections as wrk's largest case has, each asking
again as soon as it is answered.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _serving_bodies import Body, make_body
from _serving_load import run_wrk
from _serving_models import COLUMNS, rows_of
from _serving_processes import ENVIRONMENT, Running, palate_server, start
from _tables import Table, milli, times

__all__ = ["overload"]

TIMES = 10
FULL = 64
POINTS = 15_000
CONNECTIONS = 900  # below the most that a server takes by default
ACCEPTED, REFUSED = "200", "503"
# At most, of the 99th percentile of the full load.
LIMIT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an open-loop run saw: the sorted seconds of answers by status, and what got none."""

    seconds: dict[str, list[float]]
    unsent: int
    broken: int

    def percentile(self, status: str, share: float) -> float:
        """Return that percentile of the answers of a status; NaN if there were none."""
        times = self.seconds.get(status, [])
        return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


def overload(python: str, options: Sequence[str], seconds: float, cores: tuple[int, int], folder: Path) -> Table:
    """Measure Palate under overload; *cores* are the server's and the client's."""
    model = _save_neighbours(folder / "neighbours")
    server = palate_server("palate neighbours", model, "split", python, options)
    body = make_body("split", rows_of(1))
    with start(server, cores[0], folder) as running:
        full = run_wrk(running, body, connections=FULL, seconds=seconds, core=cores[1], folder=folder)
        outcome = _open_loop(running, body, full.rate * TIMES, seconds, cores[1], folder)
        after = run_wrk(running, body, connections=FULL, seconds=seconds, core=cores[1], folder=folder)
    return _table(full.rate, full.p99, after.p99, outcome, seconds)


def _save_neighbours(path: Path) -> Path:
    import numpy as np
    import pandas as pd
    from sklearn.neighbors import KNeighborsClassifier

    import palate

    X = np.random.default_rng(0).standard_normal((POINTS, len(COLUMNS)))
    frame = pd.DataFrame(X, columns=COLUMNS)
    model = KNeighborsClassifier(5, algorithm="brute", p=3).fit(frame, (X[:, 0] > 0).astype("i8"))
    example = frame[:5]
    palate.save_model(
        model, path, signature=palate.infer_signature(example, model.predict(example)), input_example=example
    )
    return path


def _open_loop(running: Running, body: Body, rate: float, seconds: float, core: int, folder: Path) -> Outcome:
    content = folder / "open-loop.body"
    content.write_bytes(body.content)
    order = {
        "port": running.port,
        "path": body.path,
        "headers": body.headers,
        "body": str(content),
        "rate": rate,
        "seconds": seconds,
        "connections": CONNECTIONS,
    }
    script = str(Path(__file__).with_name("_serving_open_loop.py"))
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), sys.executable, script],
        input=json.dumps(order),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    seconds_by_status = {status: sorted(values) for status, values in answer["times"].items()}
    return Outcome(seconds=seconds_by_status, unsent=answer["unsent"], broken=answer["broken"])


def _table(rate: float, full: float, after: float, outcome: Outcome, seconds: float) -> Table:
    accepted = outcome.percentile(ACCEPTED, 0.99)
    others = {status: len(values) for status, values in outcome.seconds.items() if status not in (ACCEPTED, REFUSED)}
    refused, reached = outcome.seconds.get(REFUSED, []), "yes" if accepted <= LIMIT * full else "no"
    rows = [
        [f"full load, {FULL} connections: requests/s", f"{rate:,.0f}"],
        ["full load: p99 ms", milli(full)],
        [f"{TIMES} x as many: accepted/s", f"{len(outcome.seconds.get(ACCEPTED, [])) / seconds:,.0f}"],
        ["accepted: p99 ms", milli(accepted)],
        [f"accepted: p99 / full load's (≤ {LIMIT:g}: {reached})", times(accepted / full)],
        ["refused with 503 /s", f"{len(refused) / seconds:,.0f}"],
        ["refused: p50 ms", milli(statistics.median(refused)) if refused else "-"],
        ["refused: p99 ms", milli(outcome.percentile(REFUSED, 0.99))],
        ["answered otherwise", str(others or "none")],
        ["connections broken, requests without a free one", f"{outcome.broken}, {outcome.unsent}"],
        ["full load again: p99 ms", milli(after)],
    ]
    return Table(f"Overload: nearest neighbours of {POINTS:,} points, one row in a request", ["", ""], rows)
