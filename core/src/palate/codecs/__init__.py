"""Bytes to what a model takes, and what it answers to bytes; files and request bodies are read alike."""

from palate.codecs._binary_tables import read_arrow, read_npy, read_parquet
from palate.codecs._csv_tables import read_csv
from palate.codecs._inputs import FORMATS, DataFormat, decode_input, delimiter_of, format_of
from palate.codecs._json_documents import JSON_WRAPPERS, ModelInput, parse_text, read_document, read_rows
from palate.codecs._predictions import encode_predictions, plain

__all__ = [
    "FORMATS",
    "JSON_WRAPPERS",
    "DataFormat",
    "ModelInput",
    "decode_input",
    "delimiter_of",
    "encode_predictions",
    "format_of",
    "parse_text",
    "plain",
    "read_arrow",
    "read_csv",
    "read_document",
    "read_npy",
    "read_parquet",
    "read_rows",
]
