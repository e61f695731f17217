"""Predictions for any number of rows. Needs ``pip install palate[parquet]``."""

from palate.batch._files import BatchReport, predict_files
from palate.batch._job import OnError, Progress
from palate.batch._scoring import Scorer, output_schema
from palate.batch.errors import (
    BadRow,
    JobBusy,
    JobDiffers,
    JobUnfinished,
    OutputExists,
    RowsDiffer,
    TooManyBadRows,
    WriteFailed,
)

__all__ = [
    "BadRow",
    "BatchReport",
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
    "output_schema",
    "predict_files",
]
