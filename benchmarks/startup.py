"""How long it takes to import Palate, and to save and load a small model: beside bare Python, skops and stock MLflow.

Run: python benchmarks/startup.py [--mlflow PYTHON] [--repeat N]. Every figure is the median of whole processes that
ran in turn, so that a busy machine slows all of them; read the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
SAVES = {
    "train only": MODEL,
    "train, skops.io.dump": MODEL + "import os, skops.io; os.mkdir(target); skops.io.dump(model, target + '/m.skops')",
    "train, palate.save_model": MODEL + "import palate; palate.save_model(model, target)",
    "train, palate.save_model with example": MODEL
    + "import palate; palate.save_model(model, target, input_example=X[:5])",
}
MLFLOW_SAVE = MODEL + "import mlflow; mlflow.sklearn.save_model(model, target)"
LOADS = {
    "skops.io.load, predict": "import sys, skops.io; skops.io.load(sys.argv[1] + '/model.skops').predict([[1.0] * 4])",
    "palate.load_model, predict": (
        "import sys, numpy, palate; palate.load_model(sys.argv[1]).predict(numpy.ones((1, 4)))"
    ),
}
MLFLOW_LOAD = "import sys, mlflow, numpy; mlflow.pyfunc.load_model(sys.argv[1]).predict(numpy.ones((1, 4)))"


def run(python: str, code: str, *arguments: str) -> float:
    """Return the seconds that one process takes."""
    started = time.perf_counter()
    subprocess.run([python, "-W", "ignore", "-c", code, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def measure(programs: dict[str, tuple[str, str]], repeat: int, argument: str, *, fresh: bool) -> None:
    """Run every program in turn, *repeat* times after a warm-up, and print medians and ratios to the first."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for round_number in range(repeat + 1):
        for index, (name, (python, code)) in enumerate(programs.items()):
            place = f"{argument}/{round_number}-{index}" if fresh else argument
            seconds = run(python, code, place)
            if round_number:
                times[name].append(seconds)
    floor = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"  {name:<42}{middle * 1000:>9.1f} ms{(middle - floor) * 1000:>+10.1f} ms{middle / floor:>8.2f} x")


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow, to measure beside")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    here = {name: (sys.executable, code) for name, code in IMPORTS.items()}
    saves = {name: (sys.executable, code) for name, code in SAVES.items()}
    loads = {name: (sys.executable, code) for name, code in LOADS.items()}
    if options.mlflow:
        here["import mlflow"] = (options.mlflow, "import mlflow")
        saves["train, mlflow.sklearn.save_model"] = (options.mlflow, MLFLOW_SAVE)
        loads["mlflow.pyfunc.load_model, predict"] = (options.mlflow, MLFLOW_LOAD)
    with tempfile.TemporaryDirectory() as directory:
        print("import (median, difference and ratio to the first line)")
        measure(here, options.repeat, directory, fresh=True)
        print("save a LogisticRegression")
        measure(saves, options.repeat, directory, fresh=True)
        print("load it and predict one row")
        model = str(Path(directory) / "model")
        run(sys.executable, SAVES["train, palate.save_model with example"], model)
        measure(loads, options.repeat, model, fresh=False)


if __name__ == "__main__":
    main()
