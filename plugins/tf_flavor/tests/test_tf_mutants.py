"""Seeded mutants of every binary file of the two flavors: none ends the process, in loading or in predicting."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import palate

SCRIPT = Path(__file__).parent / "tf_mutants.py"
SEEDS = 430


@pytest.fixture(scope="module")
def directories(keras, tf, tmp_path_factory):
    """A small Keras model, as .keras and with a loop as SavedModel, and a module of TensorFlow."""
    root = tmp_path_factory.mktemp("mutants")
    layers = keras.layers
    flat = np.random.default_rng(0).random((3, 4), dtype="f4")
    steps = np.random.default_rng(0).random((3, 5, 4), dtype="f4")
    np.save(root / "flat.npy", flat)
    np.save(root / "steps.npy", steps)
    small = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
    palate.save_model(small, root / "keras", signature=None)
    loop = keras.Sequential([keras.Input((5, 4)), layers.LSTM(3)])
    palate.save_model(loop, root / "loop", format="saved_model", signature=None)
    return root


def _member(path: Path, name: str) -> tuple[int, int]:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    return info.header_offset + 30 + len(name), info.file_size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "file", "member", "example", "floor"),
    [
        ("keras", "data/model.keras", None, "flat.npy", 400),
        ("keras", "data/model.keras", "model.weights.h5", "flat.npy", 100),
        ("loop", "data/model/saved_model.pb", None, "steps.npy", 100),
        ("loop", "data/model/variables/variables.index", None, "steps.npy", 100),
        ("loop", "data/model/variables/variables.data-00000-of-00001", None, "steps.npy", 400),
    ],
)
def test_mutants(directories, run_python, model, file, member, example, floor):
    """Each mutant is refused by an error of ours, most of those by a rule, or opens; the process lives on."""
    offset, length = _member(directories / model / file, member) if member else (0, 0)
    done = run_python(SCRIPT.read_text(), directories / model, file, directories / example, 0, SEEDS, offset, length)
    assert done.returncode == 0, (done.stdout[-400:], done.stderr[-2000:])
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["refused"] + counts["accepted"] == SEEDS
    assert counts["refused"] >= floor, counts
