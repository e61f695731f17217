"""What it costs to run a model in another process, beside a pipe that pickles and beside a copy in memory.

Run: python benchmarks/isolation.py [--rounds N] [--markdown PAGE]. Two questions:

* small calls: microseconds that isolation adds to a call, for the containers that callers use. The floor is
  ``multiprocessing.Pipe`` with a loop behind it that calls the same model, which is what one would write by hand.
* large arrays: gigabytes a second, for an array that goes to a model which answers with it (twice its bytes cross) and
  to one that answers with its first number. The floor is numpy's own copy of the array, of which isolation needs
  two for each direction. The first round is not counted: memory that a machine has never touched costs several times as
  much, in any process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from _tables import Table, micro, times, write_page
from _timing import Measure, call_timer, in_turn, median_added, medians
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import palate

HERE = palate.Isolation(environment="here")
ECHO = """
import palate
class Echo(palate.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input if {whole} else model_input[:1]
palate.set_model(Echo())
"""
SIZES = (1, 16, 256, 1024)  # MiB
CALLS = 200  # of a small call in one measurement: one alone is about as long as the clock's own noise


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the tables into this page, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = [measure_calls(Path(folder), arguments.rounds), measure_arrays(Path(folder), arguments.rounds)]
    for table in tables:
        print(table.text(), end="\n\n")
    if arguments.markdown is not None:
        write_page(arguments.markdown, "benchmarks/isolation.py", [table.markdown() for table in tables])


# -- small calls -------------------------------------------------------------------------------------------------------


def measure_calls(folder: Path, rounds: int) -> Table:
    """Measure one row in several containers: here, there, and through a pipe."""
    iris = load_iris(as_frame=True)
    path = folder / "iris"
    palate.save_model(
        LogisticRegression(max_iter=500).fit(iris.data, iris.target), path, input_example=iris.data.head(3)
    )
    row = iris.data.head(1)
    direct = palate.load_model(path)
    containers = {"a DataFrame": row, "a list of records": row.to_dict("records"), "100 rows": iris.data.head(100)}
    rows = []
    with palate.load_model(path, isolate=HERE) as isolated, _Piped(path) as piped:
        for name, data in containers.items():
            measures: dict[str, Measure] = {
                "direct": _many(direct.predict, data),
                "isolated": _many(isolated.predict, data),
                "pipe": _many(piped.predict, data),
            }
            found = in_turn(measures, rounds)
            middle = {key: value / CALLS for key, value in medians(found).items()}
            added = median_added(found, "isolated", "direct") / CALLS
            floor = median_added(found, "pipe", "direct") / CALLS
            rows.append(
                [
                    name,
                    micro(middle["direct"]),
                    micro(middle["isolated"]),
                    micro(added),
                    micro(floor),
                    times(added / floor),
                ]
            )
    header = ["one call of", "direct, µs", "isolated, µs", "added, µs", "added by a pipe, µs", "isolated / pipe"]
    return Table("Small calls of an isolated LogisticRegression", header, rows)


def _many(call: Callable[[Any], object], data: Any) -> Measure:
    def repeat(given: Any) -> None:
        for _ in range(CALLS):
            call(given)

    return call_timer(repeat, lambda: data)


class _Piped:
    """The same model behind a pipe that pickles."""

    def __init__(self, path: Path) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve_pipe, args=(theirs, str(path)), daemon=True)

    def __enter__(self) -> _Piped:
        self._process.start()
        return self

    def predict(self, data: Any) -> Any:
        """Ask the process."""
        self._ours.send(data)
        return self._ours.recv()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _serve_pipe(connection: Connection, path: str) -> None:
    model = palate.load_model(path)
    while True:
        connection.send(model.predict(connection.recv()))


# -- large arrays ------------------------------------------------------------------------------------------------------


def measure_arrays(folder: Path, rounds: int) -> Table:
    """Measure how fast arrays of several sizes cross."""
    models = {}
    for name, whole in (("whole", True), ("first", False)):
        source = folder / f"{name}.py"
        source.write_text(ECHO.format(whole=whole))
        palate.save_model(str(source), folder / name, signature=None)
        models[name] = palate.load_model(folder / name, trust=True, isolate=HERE)
    rows = []
    for size in SIZES:
        array = np.random.default_rng(0).random(size << 17)
        measures = {
            "there and back": call_timer(models["whole"].predict, lambda array=array: array),
            "there": call_timer(models["first"].predict, lambda array=array: array),
            "copy": call_timer(np.copy, lambda array=array: array),
        }
        middle = medians(in_turn(measures, max(3, rounds // 3) if size > 100 else rounds, warm_up=2))
        gigabytes = array.nbytes / 1e9
        there, both, copy = (gigabytes / middle[name] for name in ("there", "there and back", "copy"))
        rows.append([f"{size} MiB", f"{there:.2f}", f"{2 * both:.2f}", f"{copy:.2f}", times(there / copy)])
    for model in models.values():
        model.close()
    header = ["array", "there, GB/s", "there and back, GB/s", "numpy's copy, GB/s", "there / copy"]
    return Table(f"Large arrays to an isolated model ({os.cpu_count()} cores)", header, rows)


if __name__ == "__main__":
    main()
