"""Predictions for any number of rows. Needs ``pip install palate[parquet]``."""

from palate.batch._scoring import Scorer, output_schema
from palate.batch.errors import RowsDiffer

__all__ = ["RowsDiffer", "Scorer", "output_schema"]
