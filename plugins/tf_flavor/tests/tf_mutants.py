"""Run seeded mutants of a model through load and predict; a script, because a crash shall end this process only.

Says before each mutant which one it is, so that whoever waits knows what a crash was due to, and at last, as JSON, how
many were refused by a typed error and how many opened. An error of another kind while loading ends the script.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import palate
from palate.errors import PalateError

_WORDS = [b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\xff" * 4, b"\0\0\0\x80", b"\x80" * 9 + b"\1"]


def mutate(data: bytes, seed: int) -> bytes:
    """Return *data* with bits flipped, bytes overwritten, a length replaced, a part moved, doubled, or cut off."""
    rng = random.Random(seed)
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3))):
        at, kind = rng.randrange(len(out)), rng.randrange(7)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind == 2:
            word = rng.choice([*_WORDS, rng.randrange(1 << 20).to_bytes(8, "little")])
            out[at : at + len(word)] = word
        elif kind == 3:
            source, length = rng.randrange(len(out)), rng.randrange(1, 64)
            out[at : at + length] = out[source : source + length]
        elif kind == 4:
            del out[at : at + rng.randrange(1, 16)]
        elif kind == 5:
            out[at:at] = out[at : at + rng.randrange(1, 16)]
        else:
            del out[at:]
        if not out:
            break
    return bytes(out)


def main(folder: str, name: str, example: str, first: int, last: int, offset: int, length: int) -> None:
    """Mutate *length* bytes at *offset* of the file *name* in the model *folder*, once for each seed."""
    model, data = Path(folder), np.load(example)
    # What is left of a directory whose bytes nobody vouches for, such as MLflow writes.
    (model / "MANIFEST.json").unlink(missing_ok=True)
    (model / "MLmodel").write_text((model / "MLmodel").read_text().partition("palate:")[0])
    original = (model / name).read_bytes()
    palate.load_model(model).predict(data)  # importing the framework takes seconds of its own
    part = original[offset : offset + length] if length else original
    counts = {"refused": 0, "accepted": 0}
    for seed in range(first, last):
        changed = mutate(part, seed)
        (model / name).write_bytes(rebuilt(original, part, changed, offset))
        print("seed", seed, flush=True)
        signal.alarm(20)
        started = time.monotonic()
        try:
            loaded = palate.load_model(model)
        except PalateError:
            counts["refused"] += 1
        else:
            counts["accepted"] += 1
            with contextlib.suppress(Exception):  # with changed numbers and names predicting may fail as it likes
                loaded.predict(data)
        assert time.monotonic() - started < 5, f"seed {seed} took too long"
        signal.alarm(0)
    (model / name).write_bytes(original)
    print(json.dumps(counts), flush=True)


def rebuilt(original: bytes, part: bytes, changed: bytes, offset: int) -> bytes:
    """Put the changed part back; inside of a .keras file the zip around it is made whole again."""
    if len(part) == len(original) or not original.startswith(b"PK"):
        return original[:offset] + changed + original[offset + len(part) :]
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members = {name: changed if data == part else data for name, data in members.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:8]))
