"""How long it takes, while a model is saved, to find out what it needs: Palate beside stock MLflow, in one run.

Run: python benchmarks/environment_capture.py [--mlflow PYTHON] [--repeat N] [--markdown PAGE]. A process trains a
model and saves it, and says how long the step took in which requirements are found; the median of processes that ran in
turn. The first save of a process also imports what the step needs. MLflow loads the model again in another process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _tables import Table, milli, times, write_page
from _timing import ENVIRONMENT, Measure, in_turn, medians

SKLEARN = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
example, model = X[:5], LogisticRegression(max_iter=500).fit(X, y)
"""
PYFUNC = """
import pandas as pd
def predict(model_input):
    return pd.DataFrame({"total": model_input.sum(axis=1)})
example, model = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), predict
"""
TIMED = """
import sys, time
from functools import wraps
taken = []
def timed(module, name):
    function = getattr(module, name)
    @wraps(function)
    def call(*args, **options):
        start = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            taken.append(time.perf_counter() - start)
    setattr(module, name, call)
"""
PALATE = """
import palate, palate.saving
timed(palate.saving, "_capture")
for number in range(int(sys.argv[2])):
    palate.save_model(model, f"{sys.argv[1]}/{number}", input_example=example)
print(taken[-1])
"""
MLFLOW = """
import mlflow
timed(mlflow.models, "infer_pip_requirements")
%s
print(taken[-1])
"""
MLFLOW_SKLEARN = "mlflow.sklearn.save_model(model, sys.argv[1] + '/m', input_example=example)"
MLFLOW_PYFUNC = "mlflow.pyfunc.save_model(sys.argv[1] + '/m', python_model=model, input_example=example)"

CASES = {
    "LogisticRegression": (SKLEARN, MLFLOW_SKLEARN),
    "function that uses pandas": (PYFUNC, MLFLOW_PYFUNC),
}


def reported(python: str, code: str, saves: int) -> float:
    """Run a program in a folder of its own and return the seconds that it reports."""
    with tempfile.TemporaryDirectory() as folder:
        words = [python, "-W", "ignore", "-c", code, folder, str(saves)]
        # Away from this checkout: a project's lock would be part of what is measured.
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=ENVIRONMENT, cwd=folder)
    return float(done.stdout.split()[-1])


def tables(mlflow: str | None, repeat: int) -> Iterator[Table]:
    """Measure and yield a table for each kind of model."""
    for title, (model, mlflow_save) in CASES.items():
        own = model + TIMED + PALATE
        measures: dict[str, Measure] = {
            "palate.save_model, the first of a process": partial(reported, sys.executable, own, 1),
            "palate.save_model, the third": partial(reported, sys.executable, own, 3),
        }
        if mlflow:
            measures["mlflow save_model"] = partial(reported, mlflow, model + TIMED + MLFLOW % mlflow_save, 1)
        middle = medians(in_turn(measures, repeat))
        first = next(iter(middle.values()))
        rows = [[name, milli(value), times(value / first)] for name, value in middle.items()]
        yield Table(f"Requirements of a {title}", ["step of a save", "ms", "x the first"], rows)


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow, to measure beside")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the tables into this page, too")
    options = parser.parse_args()
    mlflow = str(Path(options.mlflow).absolute()) if options.mlflow else None
    measured = list(tables(mlflow, options.repeat))
    for table in measured:
        print(table.text(), end="\n\n", flush=True)
    if options.markdown is not None:
        write_page(options.markdown, "benchmarks/environment_capture.py", [table.markdown() for table in measured])


if __name__ == "__main__":
    main()
