"""What a call through the adapter costs: the native call, stock MLflow and Palate side by side.

Run: python benchmarks/adapter.py [--mlflow PYTHON] [--repeat N] [--only WORD ...] [--markdown FILE]. Palate and MLflow
live in environments of their own, so a process of each holds the same model directory and the same data, and they take
turns, round by round. In each, the native call (on the adapter's own native object, on one thread) and the adapter's
alternate call by call. So every overhead is a difference inside one process, and a busy machine slows all alike.

Before a row is timed its predictions are proved equal to native ones, to the last bit. --markdown replaces what stands
between the markers in FILE; with it, or with --processes, startup.py's figures come along.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import startup
from _adapter_cases import MILLION, ROWS, Row
from _tables import Table, micro, times
from _timing import ENVIRONMENT

BEGIN, END = "<!-- begin: benchmarks/adapter.py -->", "<!-- end: benchmarks/adapter.py -->"
# Seconds that one process may take for a round, unless two calls take longer, and for all of a row's rounds.
ROUND, ROUNDS = 0.1, 20.0
# Rounds of a row whose calls take so long that it does not get as many as the others.
FEWEST = 3
NONE = "-"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


class Process:
    """One worker, in the interpreter of its environment."""

    def __init__(self, python: str, adapter: str, folder: Path) -> None:
        script = Path(__file__).with_name("_adapter_worker.py")
        # MLflow writes down where it was started that it was.
        environment = {**ENVIRONMENT, **ONE_THREAD, **QUIET, "MLFLOW_TRACKING_URI": f"file:{folder}/runs"}
        self._log = (folder / f"{adapter}.log").open("w+")
        self._process = subprocess.Popen(
            [python, "-W", "ignore", str(script), adapter, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
            cwd=folder,
        )

    def ask(self, *order: object) -> Any:
        """Send one order and return the answer; a worker that has died ends the run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise SystemExit(f"a worker failed at {order}:\n{self._log.read()}")
        return json.loads(line)

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()
        self._log.close()


@dataclass(frozen=True, slots=True)
class Figures:
    """What one adapter did with one row: median seconds by name, bytes at most, or the error that it raised."""

    seconds: dict[str, float]
    peak: dict[str, int]
    refused: str | None = None


def measure(number: int, processes: dict[str, Process], repeat: int) -> dict[str, Figures]:
    """Measure one row in every process, round by round."""
    refused = {name: process.ask("open", number) for name, process in processes.items()}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name, error in refused.items() if error is None}
    once = {name: _once(processes[name]) for name in rounds}
    calls = {name: max(2, min(500, int(ROUND / seconds))) for name, seconds in once.items()}
    longest = max(calls[name] * once[name] for name in rounds)
    for _ in range(min(repeat, max(FEWEST, int(ROUNDS / longest)))):
        for name, measured in rounds.items():
            measured.append(processes[name].ask("round", calls[name]))
    figures = {}
    for name, error in refused.items():
        taken = rounds.get(name, [])
        seconds = {key: statistics.median(each[key] for each in taken) for key in taken[0]} if taken else {}
        peak = processes[name].ask("peak") if taken and ROWS[number].rows == MILLION else {}
        figures[name] = Figures(seconds, peak, error)
    return figures


def _once(process: Process) -> float:
    """Return the seconds of calling everything once."""
    process.ask("round", 1)  # what is made once is made now
    return sum(seconds for name, seconds in process.ask("round", 2).items() if name != "added")


def run(python: str, mlflow: str | None, only: Sequence[str], repeat: int, folder: Path) -> Iterator[Any]:
    """Yield the versions, then each row with its figures; models of one kind share a pair of processes."""
    chosen = [number for number, row in enumerate(ROWS) if all(word in row.title for word in only)]
    environments = {"palate": python, **({"mlflow": mlflow} if mlflow else {})}
    for model in dict.fromkeys(ROWS[number].model for number in chosen):
        processes = {name: Process(interpreter, name, folder) for name, interpreter in environments.items()}
        if model == ROWS[chosen[0]].model:
            yield {name: process.ask("versions") for name, process in processes.items()}
        for number in chosen:
            if ROWS[number].model == model:
                yield ROWS[number], measure(number, processes, repeat)
        for process in processes.values():
            process.close()


# -- tables ------------------------------------------------------------------------------------------------------------


def _verdict(row: Row, ours: Figures) -> str:
    """Return the goal, and whether it is reached."""
    if row.goal is None:
        return ""
    reached = {
        "adds": ours.seconds["added"],
        "native": ours.seconds["adapter"] / ours.seconds["native"],
        "conversion": ours.seconds["added"] / ours.seconds.get("numpy", 1.0),
    }[row.goal.kind]
    limit = f"≤ {row.goal.limit * 1e6:,.0f} µs" if row.goal.kind == "adds" else f"≤ {row.goal.limit:g} x"
    return f"{limit}: {'yes' if reached <= row.goal.limit else 'no'}"


def _call_cells(row: Row, figures: dict[str, Figures]) -> list[str]:
    ours, theirs = figures["palate"], figures.get("mlflow")
    ratio = times(ours.seconds["adapter"] / ours.seconds["native"]) if ours.seconds["native"] > 2e-6 else NONE
    return [
        row.title,
        micro(ours.seconds["native"]),
        micro(theirs.seconds["native"]) if theirs and theirs.seconds else NONE,
        micro(theirs.seconds["added"]) if theirs and theirs.seconds else NONE,
        micro(ours.seconds["added"]),
        ratio,
        _verdict(row, ours),
    ]


def _conversion_cells(row: Row, figures: dict[str, Figures]) -> list[str]:
    ours, theirs = figures["palate"], figures.get("mlflow")
    refused = "refuses" if theirs and theirs.refused else NONE
    pandas = ours.seconds.get("pandas")
    return [
        row.data,
        micro(ours.seconds["numpy"]),
        micro(pandas) if pandas else NONE,
        micro(theirs.seconds["added"]) if theirs and theirs.seconds else refused,
        micro(ours.seconds["added"]),
        times(ours.seconds["added"] / ours.seconds["numpy"]),
        times(ours.seconds["added"] / pandas) if pandas else NONE,
        _verdict(row, ours),
    ]


def _memory_cells(row: Row, figures: dict[str, Figures]) -> list[str]:
    ours, theirs = figures["palate"], figures.get("mlflow")
    mebibytes = [ours.peak["native"], theirs.peak.get("adapter") if theirs else None, ours.peak["adapter"]]
    return [row.title, *(f"{value / 2**20:,.1f}" if value is not None else NONE for value in mebibytes)]


FITTING = ("native µs", "in MLflow's process", "MLflow adds µs", "Palate adds µs", "Palate / native", "goal")
CONVERTED = (
    "numpy's astype µs",
    "pandas' astype µs",
    "MLflow adds µs",
    "Palate adds µs",
    "/ numpy",
    "/ pandas",
    "goal",
)
MEMORY = ("native MiB", "MLflow MiB", "Palate MiB")


def tables(measured: Sequence[tuple[Row, dict[str, Figures]]]) -> Iterator[Table]:
    """Yield the tables that have rows."""
    plain = [_call_cells(*pair) for pair in measured if not pair[0].converts]
    converting = [_conversion_cells(*pair) for pair in measured if pair[0].converts]
    large = [_memory_cells(*pair) for pair in measured if pair[0].rows == MILLION]
    if plain:
        yield Table("A call whose data fits", ["model, data", *FITTING], plain)
    if converting:
        yield Table("A call whose data has to be converted", ["data", *CONVERTED], converting)
    if large:
        yield Table("Memory that a call needs at most, beyond its data", ["model, data", *MEMORY], large)


def describe(versions: dict[str, dict[str, str]]) -> str:
    """Return when and on what this ran, and the releases, MLflow's environment's only where they differ."""
    ours = versions["palate"]
    words = [f"{name} {release}" for name, release in ours.items()]
    for name, release in versions.get("mlflow", {}).items():
        if ours.get(name) != release:
            words.append(f"{name} {release}" if name == "mlflow" else f"{name} {release} beside MLflow")
    day = datetime.datetime.now(datetime.UTC).date()
    machine = f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}"
    return f"Measured on {day}, {machine}. {', '.join(words)}."


def write_page(page: Path, parts: Sequence[str]) -> None:
    """Put *parts* between the markers of *page*."""
    before, marker, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not marker or not end:
        raise SystemExit(f"{page} needs the lines\n{BEGIN}\n{END}")
    page.write_text(before + "\n\n".join([BEGIN, *parts, END]) + after)


def main() -> None:
    """Print the tables; write them into a page if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow, to measure beside")
    parser.add_argument("--repeat", type=int, default=15, help="rounds for each row, and half as many processes")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="rows whose title has all these words")
    parser.add_argument("--processes", action="store_true", help="startup.py's figures too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into this page")
    options = parser.parse_args()
    # Relative to where this was started, and not resolved: the link is what makes it an environment's.
    mlflow = os.path.abspath(options.mlflow) if options.mlflow else None
    with tempfile.TemporaryDirectory() as directory:
        results = run(sys.executable, mlflow, options.only, options.repeat, Path(directory))
        parts, measured = [describe(next(results))], []
        for row, figures in results:
            measured.append((row, figures))
            print(next(iter(tables([(row, figures)]))).text(), end="\n\n", flush=True, file=sys.stderr)
        found = list(tables(measured))
    if options.processes or options.markdown:
        found.extend(startup.tables(mlflow, max(3, options.repeat // 2)))
    print("\n\n".join([*parts, *(table.text() for table in found)]))
    if options.markdown:
        write_page(options.markdown, [*parts, *(table.markdown() for table in found)])


if __name__ == "__main__":
    main()
