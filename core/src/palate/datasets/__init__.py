"""Rows in files, of any number, read piece by piece in bounded memory. Needs ``pip install palate[parquet]``."""

from palate.datasets._chunks import Chunk, Place, TableChunk, missing_column
from palate.datasets._dataset import STREAMED_FORMATS, Dataset, open_dataset
from palate.datasets._text_types import possible_types
from palate.datasets._units import Unit, require_pyarrow

__all__ = [
    "STREAMED_FORMATS",
    "Chunk",
    "Dataset",
    "Place",
    "TableChunk",
    "Unit",
    "missing_column",
    "open_dataset",
    "possible_types",
    "require_pyarrow",
]
