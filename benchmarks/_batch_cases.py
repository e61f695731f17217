"""What benchmarks/batch.py runs, each in a process of its own: python _batch_cases.py CASE FOLDER.

The hand-written loops are what one would write with pyarrow and the framework alone; the script around MLflow's pyfunc
is what its documentation shows. Each writes the predictions as parquet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

BATCH = 32_768


def loop_linear(folder: Path) -> None:
    """Read batches, make an array of each, predict with scikit-learn, write."""
    import joblib

    model = joblib.load(folder / "linear.joblib")
    _loop(folder, model.predict, by_rows=False)


def loop_xgboost(folder: Path) -> None:
    """Read batches, make an array of each, predict with xgboost, write."""
    import xgboost

    model = xgboost.Booster(model_file=folder / "trees.ubj")
    model.feature_names = None
    _loop(folder, model.inplace_predict, by_rows=True)


def _loop(folder: Path, predict: Callable[[object], object], *, by_rows: bool) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    # Without this, pyarrow reads a row group as a whole before the first batch: 1.2 GB more, and slower.
    for batch in parquet.ParquetFile(folder / "data.parquet", pre_buffer=False).iter_batches(BATCH):
        table = pa.table({"prediction": predict(batch.to_tensor(row_major=by_rows).to_numpy())})
        if writer is None:
            writer = parquet.ParquetWriter(folder / "loop.parquet", table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def palate_linear(folder: Path) -> None:
    """Do it with Palate, in one process."""
    _palate(folder, "linear")


def palate_xgboost(folder: Path) -> None:
    """Do it with Palate, in one process."""
    _palate(folder, "trees")


def _palate(folder: Path, model: str) -> None:
    from palate.batch import predict_files

    predict_files(folder / model, folder / "data.parquet", folder / "palate.parquet")


def mlflow_linear(folder: Path) -> None:
    """Read all with pandas, predict with MLflow's pyfunc, write."""
    _mlflow(folder, "linear")


def mlflow_xgboost(folder: Path) -> None:
    """Read all with pandas, predict with MLflow's pyfunc, write."""
    _mlflow(folder, "trees")


def _mlflow(folder: Path, model: str) -> None:
    import mlflow
    import pandas as pd

    predicted = mlflow.pyfunc.load_model(str(folder / model)).predict(pd.read_parquet(folder / "data.parquet"))
    pd.DataFrame({"prediction": predicted}).to_parquet(folder / "mlflow.parquet")


CASES = {case.__name__: case for case in (loop_linear, palate_linear, mlflow_linear)}
CASES |= {case.__name__: case for case in (loop_xgboost, palate_xgboost, mlflow_xgboost)}

if __name__ == "__main__":
    CASES[sys.argv[1]](Path(sys.argv[2]))
    # What getrusage tells is, for a child, at least what its parent had when it was forked.
    print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
