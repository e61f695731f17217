"""A disk that takes no more: the save is refused as what it is, the process lives, and nothing is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# A limit on the size of files stands for the full disk: the kernel refuses a write in the middle of a file either way.
SCRIPT = """
import resource, signal, sys
import torch, palate
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
options = {"pt2": {"example_inputs": torch.zeros(2, 256)}, "safetensors": {}, "pickle": {}, "script": {}}[sys.argv[2]]
model = torch.nn.Linear(256, 1024)
name = sys.argv[2]
if name == "script":
    name, model = "pickle", torch.jit.script(model)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    palate.save_model(model, sys.argv[1], format=name, **options)
except palate.errors.SaveFailed as exc:
    print("refused:", exc)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux's")
@pytest.mark.parametrize("kind", ["pt2", "safetensors", "pickle", "script"])
def test_a_disk_that_refuses(run_python, tmp_path: Path, kind: str) -> None:
    """In each format the error is SaveFailed; torch by itself would end the process."""
    done = run_python(SCRIPT, tmp_path / "model", kind)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("refused: Could not save"), done.stdout + done.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []
