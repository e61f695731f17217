"""What it costs to predict on a file that is larger than one wants in memory, beside what one would write by hand.

Run: python benchmarks/batch.py [--rows N] [--rounds N] [--markdown PAGE] [--directory PLACE]. Each case is a process of
its own, start included, and they take turns: a linear model of scikit-learn and xgboost with 100 trees, on a parquet
file of 30 columns of doubles. The loop is pyarrow and the framework alone; MLflow's pyfunc (in .venv-mlflow) is called
as its documentation does, on all rows at once. The wall clock of a process with gigabytes depends on whether the
machine has its memory ready, so the seconds of CPU and the peak memory stand beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _tables import Table, times, write_page
from _timing import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[1]
MLFLOW = ROOT / ".venv-mlflow" / "bin" / "python"
COLUMNS = 30
ROW_GROUP = 1 << 20


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall: float
    user: float
    system: float
    peak: float


def make_inputs(folder: Path, rows: int) -> None:
    """Write the data and save both models, for Palate and MLflow, and for the loops."""
    import joblib
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import xgboost
    from pyarrow import parquet
    from sklearn.linear_model import LogisticRegression

    import palate

    names = [f"f{number}" for number in range(COLUMNS)]
    generator = np.random.default_rng(0)
    sample = pd.DataFrame(generator.normal(size=(20_000, COLUMNS)), columns=names)
    target = (sample.sum(axis=1) + generator.normal(size=len(sample)) > 0).astype(int)
    linear = LogisticRegression().fit(sample.to_numpy(), target)
    joblib.dump(linear, folder / "linear.joblib")
    palate.save_model(LogisticRegression().fit(sample, target), folder / "linear", input_example=sample[:5])
    trees = xgboost.XGBClassifier(n_estimators=100, max_depth=6).fit(sample, target)
    trees.get_booster().save_model(folder / "trees.ubj")
    palate.save_model(trees.get_booster(), folder / "trees", input_example=sample[:5])
    schema = pa.schema([(name, pa.float64()) for name in names])
    with parquet.ParquetWriter(folder / "data.parquet", schema) as writer:
        for start in range(0, rows, ROW_GROUP):
            block = generator.normal(size=(min(ROW_GROUP, rows - start), COLUMNS))
            writer.write_table(pa.table(dict(zip(names, block.T, strict=True)), schema), row_group_size=ROW_GROUP)


def run(case: str, folder: Path) -> Run:
    """Run one case, which prints its own peak of memory in kB; none of them starts others that do the work."""
    python = MLFLOW if case.startswith("mlflow") else Path(sys.executable)
    command = [str(python), str(Path(__file__).with_name("_batch_cases.py")), case, str(folder)]
    os.sync()
    began = time.perf_counter()
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{case} failed: {process.stderr.read().decode()[-2000:] if process.stderr else ''}")
    peak = int(process.stdout.read().split()[-1]) if process.stdout else 0
    return Run(wall, usage.ru_utime, usage.ru_stime, peak / 1000)


def measure(cases: list[str], folder: Path, rounds: int) -> dict[str, list[Run]]:
    """Run every case once a round, in turn; the first round warms up."""
    runs: dict[str, list[Run]] = {case: [] for case in cases}
    for number in range(rounds + 1):
        for case in reversed(cases) if number % 2 else cases:
            done = run(case, folder)
            if number:
                runs[case].append(done)
    return runs


def make_table(runs: dict[str, list[Run]], rows: int) -> Table:
    """Return the figures of all cases."""
    lines = []
    for case, done in runs.items():
        ours = runs[f"palate_{case.partition('_')[2]}"]
        cpu = statistics.median((b.user + b.system) / (a.user + a.system) for a, b in zip(ours, done, strict=True))
        wall = statistics.median(b.wall / a.wall for a, b in zip(ours, done, strict=True))
        figures = [statistics.median(getattr(one, name) for one in done) for name in ("wall", "user", "system")]
        peak = max(one.peak for one in done)
        lines.append((case.replace("_", ", "), *map(times, figures), f"{peak:,.0f}", times(wall), times(cpu)))
    return Table(
        f"{rows:,} rows of {COLUMNS} doubles in parquet, whole processes",
        ("", "wall s", "user s", "system s", "peak MB", "wall / Palate's", "CPU / Palate's"),
        lines,
    )


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    cases = ["loop_linear", "palate_linear", "loop_xgboost", "palate_xgboost"]
    if MLFLOW.exists():
        cases += ["mlflow_linear", "mlflow_xgboost"]
    with tempfile.TemporaryDirectory(dir=arguments.directory) as place:
        make_inputs(Path(place), arguments.rows)
        runs = measure(cases, Path(place), arguments.rounds)
    table = make_table(runs, arguments.rows)
    print(table.text())
    if arguments.markdown:
        write_page(arguments.markdown, "benchmarks/batch.py", [table.markdown()])


if __name__ == "__main__":
    main()
