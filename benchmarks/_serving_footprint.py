"""What a server takes until it is ready, and the memory it then has, beside the framework alone."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from _serving_bodies import make_body
from _serving_load import run_wrk
from _serving_models import Served, rows_of
from _serving_processes import ENVIRONMENT, Server, memory_of, start
from _tables import Table, times

__all__ = ["footprint"]

NATIVE = "the framework alone"
# Seconds beyond importing and loading natively, and times its memory, that Palate may take.
LATER, MORE = 0.4, 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Seconds from the start of the process, and bytes after some predictions."""

    seconds: float
    resident: int
    proportional: int


def footprint(
    served: Served, servers: Mapping[str, Server], python: str, repeat: int, cores: tuple[int, int], folder: Path
) -> Table:
    """Start everything in turn, each alone, *repeat* times.

    Args:
        served: the model.
        servers: what serves it.
        python: the interpreter that opens it with the framework alone.
        repeat: how often, after once to warm up.
        cores: the servers' and the client's.
        folder: for what they write.
    """
    taken: dict[str, list[Footprint]] = {name: [] for name in (NATIVE, *servers)}
    for number in range(repeat + 1):
        for name, values in taken.items():
            server = servers.get(name)
            found = _of_server(server, cores, folder) if server else _natively(served, python, cores[0])
            if number:  # the first round warms up
                values.append(found)
    native = _middle(taken[NATIVE])
    rows = []
    for name, values in taken.items():
        middle = _middle(values)
        later, more = middle.seconds - native.seconds, middle.resident / native.resident
        ours = name.startswith("palate")
        rows.append(
            [
                name,
                f"{middle.seconds:.2f}",
                f"{later:+.2f}{_verdict(later, LATER) if ours else ''}",
                f"{middle.resident / 2**20:,.0f}",
                f"{middle.proportional / 2**20:,.0f}",
                f"{times(more)}{_verdict(more, MORE) if ours else ''}",
            ]
        )
    header = ["", "ready after s", f"beyond the first (goal ≤ {LATER:g})", "RSS MiB", "PSS MiB", f"x (goal ≤ {MORE:g})"]
    return Table(f"{served.kind}: until ready, and memory", header, rows)


def _verdict(value: float, limit: float) -> str:
    return " yes" if value <= limit else " no"


def _middle(values: list[Footprint]) -> Footprint:
    return Footprint(
        seconds=statistics.median(value.seconds for value in values),
        resident=int(statistics.median(value.resident for value in values)),
        proportional=int(statistics.median(value.proportional for value in values)),
    )


def _of_server(server: Server, cores: tuple[int, int], folder: Path) -> Footprint:
    with start(server, cores[0], folder) as running:
        body = make_body(server.form, rows_of(1))
        run_wrk(running, body, connections=8, seconds=1, core=cores[1], folder=folder)
        resident, proportional = memory_of(running.process.pid)
        return Footprint(seconds=running.seconds, resident=resident, proportional=proportional)


def _natively(served: Served, python: str, core: int) -> Footprint:
    """Import, load, tell so, predict, tell so, wait."""
    told = "print(flush=True)"
    program = f"{served.load}; {told}; {served.predict_row}; {told}; sys.stdin.read()"
    words = ["taskset", "--cpu-list", str(core), python, "-W", "ignore", "-c", program, str(served.native)]
    started = time.perf_counter()
    with subprocess.Popen(
        words, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - started
        process.stdout.readline()
        resident, proportional = memory_of(process.pid)
        process.stdin.close()
    return Footprint(seconds=seconds, resident=resident, proportional=proportional)
