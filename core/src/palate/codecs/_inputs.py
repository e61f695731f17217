"""Reading model input from files and bodies, typed by the signature."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from palate.codecs._binary_tables import read_arrow, read_npy, read_parquet, require_pandas
from palate.codecs._csv_tables import read_csv
from palate.codecs._decimals import refuse_body
from palate.codecs._json_documents import ModelInput, parse_text, read_document, read_rows
from palate.schema import Schema

__all__ = ["FORMATS", "DataFormat", "decode_input", "delimiter_of", "format_of"]

DataFormat: TypeAlias = Literal["csv", "json", "jsonl", "parquet", "arrow", "npy"]
FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)
_ENDINGS: dict[str, DataFormat] = {
    **{known: known for known in FORMATS},
    "ndjson": "jsonl",
    "tsv": "csv",
    "arrows": "arrow",
    "feather": "arrow",
    "pq": "parquet",
}


def format_of(name: str) -> DataFormat | None:
    """Return the format that a file name's ending tells, or None."""
    return _ENDINGS.get(name.rpartition(".")[2].lower())


def delimiter_of(name: str) -> str:
    """Return what stands between the cells of a csv file of that name: a tab where it is called .tsv, else a comma."""
    return "\t" if name.lower().endswith(".tsv") else ","


def decode_input(
    body: bytes,
    format: DataFormat,
    schema: Schema | None,
    *,
    delimiter: str = ",",
    has_header: bool = True,
    max_cells: int | None = None,
    max_bytes: int | None = None,
) -> ModelInput:
    """Read *body*; text becomes the types that *schema* declares, never by guessing where it declares one.

    Args:
        body: a file, or what came in a request.
        format: what it is.
        schema: of the model's inputs.
        delimiter: between the cells of csv.
        has_header: whether csv begins with a line of names; without it, cells are in the order of *schema*.
        max_cells: how many cells a parquet file may have, see ``read_parquet``.
        max_bytes: how many bytes a table of parquet or Arrow may have when it is decompressed, see there.

    Raises:
        InvalidInput: it is not of that format, or a cell is not of its column's type.
        DependencyMissing: parquet or Arrow without pyarrow.
    """
    match format:
        case "csv":
            return ModelInput(data=read_csv(_text(body), schema, delimiter, has_header=has_header))
        case "json":
            return read_document(parse_text(_text(body), "the file"), schema)
        case "jsonl":
            # Not splitlines: a text may hold other separators, such as U+2028.
            lines = enumerate(_text(body).split("\n"), 1)
            rows = [parse_text(line, f"line {number}") for number, line in lines if line.strip()]
            return ModelInput(data=read_rows(rows, schema))
        case "npy":
            return ModelInput(data=read_npy(body))
        case "parquet" | "arrow":
            if format == "parquet":
                table = read_parquet(body, max_cells=max_cells, max_bytes=max_bytes)
            else:
                table = read_arrow(body, max_bytes=max_bytes)
            if schema is None:  # nothing says what the model takes: a frame, as csv gives it
                require_pandas()
                return ModelInput(data=table.to_pandas())
            return ModelInput(data=table)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise refuse_body("the file is not UTF-8 text", exc) from exc
