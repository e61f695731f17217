"""Seeded mutants of real files: refused, or used in every way without harm to the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xgboost as xgb

MUTANTS = Path(__file__).with_name("mutants.py")
KINDS = ["tree booster", "category booster", "vectors", "parallel dart", "linear booster", "early", "ranker"]


COUNT = 60


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_mutants(name, models, tmp_path):
    """Of 60 mutants of each kind of file and of damage, none ends the process; most are refused."""
    model, _ = models[name]
    booster = model if isinstance(model, xgb.Booster) else model.get_booster()
    for format_ in ("ubj", "json"):
        (tmp_path / f"model.{format_}").write_bytes(booster.save_raw(format_))
    (tmp_path / "model.snapshot").write_bytes(booster.__getstate__()["handle"])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for each other take longer than the work
    command = [sys.executable, "-W", "ignore", str(MUTANTS), str(tmp_path), str(COUNT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, env=environment)
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])
    refused = json.loads(done.stdout.splitlines()[-1])
    # An accepted mutant is one of other leaves, thresholds or statistics, which are the model's own affair.
    assert all(COUNT // 6 < number < COUNT for number in refused.values()), refused
