"""What a call through the adapter costs: the native call, stock MLflow and Palate side by side.

Run: python benchmarks/adapter.py [--mlflow PYTHON] [--repeat N] [--only WORD ...] [--markdown FILE]. Palate and MLflow
live in environments of their own, so a process of each holds the same model directory and the same data, and they take
turns, round by round. In each, the native call (on the adapter's own native object, on one thread) and the adapter's
alternate call by call. So every overhead is a difference inside one process, and a busy machine slows all alike.

Before a row is timed its predictions are proved equal to native ones, to the last bit. --markdown replaces what stands
between the markers in FILE; with it, or with --processes, startup.py's figures come along. FILE stays as it is when the
native calls of the two processes differ so much that something else was at work; --anyway writes all the same.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import startup
from _adapter_cases import HOOK, MILLION, ROWS, Row
from _tables import Table, micro, times, write_page
from _timing import ENVIRONMENT

# Seconds that one process may take for a round, unless two calls take longer, and for all of a row's rounds.
ROUND, ROUNDS = 0.1, 20.0
# Rounds of a row whose calls take so long that it does not get as many as the others.
FEWEST = 3
# A native call below it is mostly the clock's own reading: no ratio to it means anything.
SHORTEST = 2e-6
# How many times the native call of one process may take what it takes in the other, on a machine that is quiet.
UNQUIET = 1.3
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
    """What one adapter did with one row.

    Attributes:
        seconds: by name, all of one round, so that they belong together: that whose ``added`` is the median. None when
            the adapter refuses the data.
        peak: bytes at most, by name; none for small data.
    """

    seconds: Mapping[str, float] | None
    peak: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """What a call through the adapter takes, in native calls."""
        assert self.seconds is not None
        return 1.0 + self.seconds["added"] / self.seconds["native"]


Measured: TypeAlias = tuple[Row, dict[str, Figures]]


def measure(number: int, processes: Mapping[str, Process], repeat: int) -> dict[str, Figures]:
    """Measure one row in every process, round by round."""
    refused = {name: process.ask("open", number) for name, process in processes.items()}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in processes if not refused[name]}
    once = {name: _once(processes[name]) for name in rounds}
    calls = {name: max(2, min(500, int(ROUND / seconds))) for name, seconds in once.items()}
    longest = max(calls[name] * once[name] for name in rounds)
    for _ in range(min(repeat, max(FEWEST, int(ROUNDS / longest)))):
        for name, measured in rounds.items():
            measured.append(processes[name].ask("round", calls[name]))
    figures = {}
    for name in processes:
        seconds = _middle(rounds[name]) if name in rounds else None
        peak = processes[name].ask("peak") if seconds and ROWS[number].rows == MILLION else {}
        figures[name] = Figures(seconds, peak)
    return figures


def _once(process: Process) -> float:
    """Return the seconds of calling everything once."""
    process.ask("round", 1)  # what is made once is made now
    return sum(seconds for name, seconds in process.ask("round", 2).items() if name != "added")


def _middle(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the round whose difference is the median."""
    return sorted(rounds, key=lambda seconds: seconds["added"])[(len(rounds) - 1) // 2]


def start(environments: Mapping[str, str], folder: Path) -> dict[str, Process]:
    """Start a worker in each environment."""
    return {name: Process(interpreter, name, folder) for name, interpreter in environments.items()}


def ask_versions(environments: Mapping[str, str], folder: Path) -> dict[str, dict[str, str]]:
    """Return the releases in each environment, by its name and theirs."""
    processes = start(environments, folder)
    versions = {name: process.ask("versions") for name, process in processes.items()}
    for process in processes.values():
        process.close()
    return versions


def run(environments: Mapping[str, str], only: Sequence[str], repeat: int, folder: Path) -> Iterator[Measured]:
    """Yield each row with its figures; models of one kind share a pair of processes."""
    chosen = [number for number, row in enumerate(ROWS) if all(word in row.title for word in only)]
    for model in dict.fromkeys(ROWS[number].model for number in chosen):
        # pluggy alone is nothing that MLflow could be asked for.
        asked = {name: python for name, python in environments.items() if name == "palate" or model != HOOK}
        processes = start(asked, folder)
        for number in chosen:
            if ROWS[number].model == model:
                yield ROWS[number], measure(number, processes, repeat)
        for process in processes.values():
            process.close()


def differing(measured: Sequence[Measured]) -> list[str]:
    """Return the rows whose native call, or bare conversion, took much longer in one process than in the other."""
    found = []
    for row, figures in measured:
        name = "numpy" if row.converts else "native"
        both = [each.seconds[name] for each in figures.values() if each.seconds is not None]
        if min(both) > SHORTEST and max(both) > UNQUIET * min(both):
            found.append(f"{row.title}: {' and '.join(map(micro, both))} µs")
    return found


# -- tables ------------------------------------------------------------------------------------------------------------


def _verdict(row: Row, seconds: Mapping[str, float], ratio: float) -> str:
    """Return the goal, and whether it is reached."""
    if row.goal is None:
        return ""
    if row.goal.kind == "adds":
        limit, reached = f"≤ {row.goal.limit * 1e6:,.0f} µs", seconds["added"]
    else:
        limit, reached = f"≤ {row.goal.limit:g} x", ratio
    return f"{limit}: {'yes' if reached <= row.goal.limit else 'no'}"


def _of_palate(row: Row, figures: Figures) -> Mapping[str, float]:
    """Return Palate's seconds. What it is asked for here is all lossless: to refuse it is a fault, and no figure."""
    if figures.seconds is None:
        raise SystemExit(f"Palate refuses: {row.title}")
    return figures.seconds


def _call_cells(row: Row, figures: dict[str, Figures]) -> list[str]:
    ours = _of_palate(row, figures["palate"])
    theirs = figures["mlflow"].seconds if "mlflow" in figures else None
    ratio = figures["palate"].ratio
    return [
        row.title,
        micro(ours["native"]),
        micro(theirs["native"]) if theirs else NONE,
        micro(theirs["added"]) if theirs else NONE,
        micro(ours["added"]),
        times(ratio) if ours["native"] > SHORTEST else NONE,
        _verdict(row, ours, ratio),
    ]


def _conversion_cells(row: Row, figures: dict[str, Figures]) -> list[str]:
    ours = _of_palate(row, figures["palate"])
    theirs = figures["mlflow"].seconds if "mlflow" in figures else None
    pandas, ratio = ours.get("pandas"), ours["added"] / ours["numpy"]
    return [
        row.data,
        micro(ours["numpy"]),
        micro(pandas) if pandas else NONE,
        micro(theirs["added"]) if theirs else "refuses" if "mlflow" in figures else NONE,
        micro(ours["added"]),
        times(ratio),
        times(ours["added"] / pandas) if pandas else NONE,
        _verdict(row, ours, ratio),
    ]


def _memory_cells(row: Row, figures: dict[str, Figures]) -> list[str]:
    ours = figures["palate"].peak
    theirs = figures["mlflow"].peak.get("adapter") if "mlflow" in figures else None
    mebibytes = [ours["native"], theirs, ours["adapter"]]
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


def tables(measured: Sequence[Measured]) -> Iterator[Table]:
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


def main() -> None:
    """Print the tables; write them into a page if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow, to measure beside")
    parser.add_argument("--repeat", type=int, default=15, help="rounds for each row, and half as many processes")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="rows whose title has all these words")
    parser.add_argument("--processes", action="store_true", help="startup.py's figures too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into this page")
    parser.add_argument("--anyway", action="store_true", help="write them even if the machine was not quiet")
    options = parser.parse_args()
    # Relative to where this was started, and not resolved: the link is what makes it an environment's.
    mlflow = os.path.abspath(options.mlflow) if options.mlflow else None
    environments = {"palate": sys.executable, **({"mlflow": mlflow} if mlflow else {})}
    with tempfile.TemporaryDirectory() as directory:
        folder, measured = Path(directory), []
        parts = [describe(ask_versions(environments, folder))]
        for row, figures in run(environments, options.only, options.repeat, folder):
            measured.append((row, figures))
            print(next(tables([(row, figures)])).text(), end="\n\n", flush=True, file=sys.stderr)
    found = list(tables(measured))
    unlike = differing(measured)
    if options.markdown and unlike and not options.anyway:
        raise SystemExit("Nothing is written: the native calls of the two processes differ.\n" + "\n".join(unlike))
    if options.processes or options.markdown:
        found.extend(startup.tables(mlflow, max(3, options.repeat // 2)))
    print("\n\n".join([*parts, *(table.text() for table in found)]))
    if options.markdown:
        write_page(options.markdown, "benchmarks/adapter.py", [*parts, *(table.markdown() for table in found)])


if __name__ == "__main__":
    main()
