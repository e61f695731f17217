"""How long it takes to import Palate, and to save and load a small model: beside bare Python, the framework and MLflow.

Run: python benchmarks/startup.py [--mlflow PYTHON] [--repeat N]. Every figure is the median of whole processes that
ran in turn, so that a busy machine slows all of them; read the differences and ratios, which are to the first line.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from _tables import Table, milli, times
from _timing import in_turn, median_added, medians, process_timer

MODEL = """
import sys
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(X, y)
target = sys.argv[1]
"""
IMPORTS = {
    "bare Python": "pass",
    "import palate": "import palate",
    "import palate; palate.load_model": "import palate; palate.load_model",
    "palate --help": "import sys; sys.argv = ['palate', '--help']; import palate.cli; palate.cli.main()",
}
SAVE = "import palate; palate.save_model(model, target, input_example=X[:5])\n"
SAVES = {
    "train only": MODEL,
    "train, skops.io.dump": MODEL + "import os, skops.io; os.mkdir(target); skops.io.dump(model, target + '/m.skops')",
    "train, palate.save_model": MODEL + "import palate; palate.save_model(model, target)",
    "train, palate.save_model with example": MODEL + SAVE,
}
MLFLOW_SAVE = MODEL + "import mlflow; mlflow.sklearn.save_model(model, target)"
PALATE_LOAD = "import sys, numpy, palate; palate.load_model(sys.argv[1]).predict(numpy.ones((1, 4)))"
MLFLOW_LOAD = "import sys, mlflow, numpy; mlflow.pyfunc.load_model(sys.argv[1]).predict(numpy.ones((1, 4)))"
SKLEARN_LOADS = {
    # Where torch is installed, skops imports it and Palate does not: the difference is no merit of loading.
    "joblib.load, predict": (
        "import sys, joblib, numpy; joblib.load(sys.argv[1] + '.joblib').predict(numpy.ones((1, 4)))"
    ),
    "skops.io.load, predict": (
        "import sys, numpy, skops.io; skops.io.load(sys.argv[1] + '/model.skops').predict(numpy.ones((1, 4)))"
    ),
    "palate.load_model, predict": PALATE_LOAD,
}
XGB_LOADS = {
    "XGBClassifier.load_model, predict": (
        "import sys, numpy, xgboost; model = xgboost.XGBClassifier(); model.load_model(sys.argv[1] + '/model.ubj')\n"
        "model.predict(numpy.ones((1, 4)))"
    ),
    "palate.load_model, predict": PALATE_LOAD,
}
SAVE_SKLEARN = MODEL + SAVE + "import joblib; joblib.dump(model, target + '.joblib')"
SAVE_XGB = MODEL + "import xgboost; model = xgboost.XGBClassifier(n_estimators=50).fit(X, y)\n" + SAVE


def command(python: str, code: str, places: Iterator[str]) -> list[str]:
    """Return the words of a program that is given the next place."""
    return [python, "-W", "ignore", "-c", code, next(places)]


def measure(
    title: str, programs: Mapping[str, str], mlflow: tuple[str | None, str, str], repeat: int, places: Iterator[str]
) -> Table:
    """Run every program in turn, *repeat* times after a warm-up; MLflow's too if it has an interpreter."""
    python, label, code = mlflow
    all_of_them = {name: (sys.executable, code) for name, code in programs.items()}
    if python:
        all_of_them[label] = (python, code)
    timers = {name: process_timer(partial(command, *program, places)) for name, program in all_of_them.items()}
    taken = in_turn(timers, repeat)
    floor, middle = next(iter(taken)), medians(taken)
    rows = [
        [name, milli(value), milli(median_added(taken, name, floor)), times(value / middle[floor])]
        for name, value in middle.items()
    ]
    return Table(title, ["whole process", "ms", "beyond the first, ms", "x the first"], rows)


def tables(mlflow: str | None, repeat: int) -> Iterator[Table]:
    """Measure and yield one table after the other."""
    with tempfile.TemporaryDirectory() as directory:
        fresh = (f"{directory}/{number}" for number in itertools.count())
        yield measure("Import", IMPORTS, (mlflow, "import mlflow", "import mlflow"), repeat, fresh)
        label = "train, mlflow.sklearn.save_model"
        yield measure("Save a LogisticRegression", SAVES, (mlflow, label, MLFLOW_SAVE), repeat, fresh)
        label = "mlflow.pyfunc.load_model, predict"
        for title, save, loads in (
            ("Load a LogisticRegression and predict one row", SAVE_SKLEARN, SKLEARN_LOADS),
            ("Load an XGBClassifier and predict one row", SAVE_XGB, XGB_LOADS),
        ):
            model = str(Path(directory) / title.split()[2])
            process_timer(partial(command, sys.executable, save, iter([model])))()
            yield measure(title, loads, (mlflow, label, MLFLOW_LOAD), repeat, itertools.repeat(model))


def main() -> None:
    """Print four tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow, to measure beside")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    for table in tables(options.mlflow, options.repeat):
        print(table.text(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
