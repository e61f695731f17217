"""Files that are cut off, altered or made up: an error of ours, in little time, and no other ending."""

from __future__ import annotations

import io
import json
import random
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from palate.datasets import open_dataset
from palate.errors import PalateError
from palate.schema import ColSpec, Schema

MUTANTS = 150
SCHEMA = Schema(
    (
        ColSpec(type="long", name="a", required=False),
        ColSpec(type="double", name="x", required=False),
        ColSpec(type="string", name="t", required=False),
    )
)
TABLE = pa.table(
    {"a": range(50), "x": [None, 1.5] * 25, "t": ['x,"é\n'] * 50, "d": pa.array(["u", "v"] * 25).dictionary_encode()}
)


def _bodies() -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for name, options in (("plain.parquet", {"compression": "none"}), ("packed.parquet", {"compression": "zstd"})):
        file = io.BytesIO()
        parquet.write_table(TABLE, file, row_group_size=20, **options)
        made[name] = file.getvalue()
    for name, opener in (("file.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)):
        sink = pa.BufferOutputStream()
        with opener(sink, TABLE.schema) as writer:
            writer.write_table(TABLE, max_chunksize=20)
        made[name] = sink.getvalue().to_pybytes()
    made["x.csv"] = b"a,x,t\n" + b"".join(b'%d,1.5,"x,""\xc3\xa9\n"\r\n' % row for row in range(50))
    made["x.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in TABLE.to_pylist())
    file = io.BytesIO()
    np.save(file, np.arange(150.0).reshape(50, 3))
    made["x.npy"] = file.getvalue()
    return made


BODIES = _bodies()


def mutant(body: bytes, seed: int) -> bytes:
    """Return a body that was cut off, or in which bytes were altered, removed, doubled or put in."""
    chance = random.Random(seed)
    altered = bytearray(body)
    for _ in range(chance.choice([1, 1, 2, 8])):
        # The beginnings and the ends are where formats say what follows.
        edge = min(150, len(altered))
        place = chance.choice(
            [chance.randrange(edge), len(altered) - 1 - chance.randrange(edge), chance.randrange(len(altered))]
        )
        match chance.randrange(6):
            case 0:
                altered = altered[: max(place, 1)]
            case 1:
                altered[place] = chance.randrange(256)
            case 2:
                altered[place] ^= 1 << chance.randrange(8)
            case 3:
                del altered[place : place + chance.randrange(1, 9)]
            case 4:
                altered[place:place] = altered[place : place + chance.randrange(1, 40)]
            case _:
                altered[place : place + 4] = chance.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b'"\n,\r'])
        altered = altered or bytearray(b"\0")
    return bytes(altered)


def read_all(path: Path) -> str:
    """Read everything in each way, and tell how it ended."""
    endings = []
    for columns in (None, ["a", "t"]):
        try:
            dataset = open_dataset(path, schema=SCHEMA)
            for chunk in dataset.chunks(columns, batch_rows=7):
                try:
                    chunk.inputs(columns)
                    chunk.record(len(chunk) - 1)
                    chunk.column("a")
                except PalateError:
                    endings.append("rows refused")
                if len(endings) > 1000:  # a file of a few bytes may tell of any number of rows
                    break
            endings.append("read")
        except PalateError:
            endings.append("refused")
    return endings[-1]


@pytest.mark.parametrize("name", sorted(BODIES))
def test_altered_files_end_in_rows_or_in_an_error_of_ours(tmp_path, name) -> None:
    """Whatever happened to them; and none takes long."""
    endings = set()
    for seed in range(MUTANTS):
        path = tmp_path / name
        path.write_bytes(mutant(BODIES[name], seed))
        began = time.monotonic()
        try:
            endings.add(read_all(path))
        except Exception as exc:
            pytest.fail(f"mutant {seed} of {name}: {type(exc).__name__}: {exc}")
        assert time.monotonic() - began < 10, f"mutant {seed} of {name}"
    assert "read" in endings
    assert "refused" in endings or name in ("x.csv", "x.jsonl")


@pytest.mark.parametrize("name", sorted(BODIES))
def test_files_cut_off_anywhere_are_refused_or_shorter(tmp_path, name) -> None:
    """Never is there a row that the file does not have."""
    path = tmp_path / name
    whole = BODIES[name]
    for length in range(0, len(whole), max(len(whole) // 60, 1)):
        path.write_bytes(whole[:length])
        try:
            count = sum(len(chunk) for chunk in open_dataset(path, schema=SCHEMA).chunks())
        except PalateError:
            continue
        assert name in ("x.csv", "x.jsonl", "stream.arrow")
        assert count <= 50
    path.write_bytes(whole)
    assert sum(len(chunk) for chunk in open_dataset(path, schema=SCHEMA).chunks()) == 50


@pytest.mark.parametrize("name", sorted(BODIES))
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_refused(tmp_path, name, seed) -> None:
    """Under any name; of JSON lines, each by itself."""
    (tmp_path / name).write_bytes(random.Random(seed).randbytes(seed * 1000))
    if name == "x.jsonl":
        for chunk in open_dataset(tmp_path / name, schema=SCHEMA).chunks(batch_rows=1):
            with pytest.raises(PalateError):
                chunk.inputs(["a", "t"])
    else:
        assert read_all(tmp_path / name) == "refused"


def test_a_format_under_another_ones_name_is_refused(tmp_path) -> None:
    """With the file's name, and what it should be."""
    for name in BODIES:
        for other, body in BODIES.items():
            ending = name.rpartition(".")[2]
            if ending not in (other.rpartition(".")[2], "csv", "jsonl"):
                (tmp_path / name).write_bytes(body)
                with pytest.raises(PalateError, match=ending):
                    list(open_dataset(tmp_path / name).chunks())
