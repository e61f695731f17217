"""Predictions for any number of rows. Needs ``pip install palate[parquet]``."""

from palate.batch._bad_rows import find_bad_row
from palate.batch._files import BatchReport, predict_files
from palate.batch._job import OnError, Progress
from palate.batch._scoring import Scorer, output_schema
from palate.batch.engines import (
    ENGINES,
    Engine,
    EngineRun,
    dask_predict,
    predict_on_engine,
    ray_predict,
    spark_predict,
    spark_udf,
)
from palate.batch.errors import (
    BadRow,
    EngineFailed,
    JobBusy,
    JobDiffers,
    JobUnfinished,
    OutputExists,
    RowsDiffer,
    TooManyBadRows,
    WriteFailed,
)

__all__ = [
    "ENGINES",
    "BadRow",
    "BatchReport",
    "Engine",
    "EngineFailed",
    "EngineRun",
    "JobBusy",
    "JobDiffers",
    "JobUnfinished",
    "OnError",
    "OutputExists",
    "Progress",
    "RowsDiffer",
    "Scorer",
    "TooManyBadRows",
    "WriteFailed",
    "dask_predict",
    "find_bad_row",
    "output_schema",
    "predict_files",
    "predict_on_engine",
    "ray_predict",
    "spark_predict",
    "spark_udf",
]
