"""Save one model directory and exit; the tests kill this process, and fail its system calls, at every point.

argv: target, seed, "overwrite" or "fresh", the directory of the package ``palate``, and optionally "in-place".
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

# Only the modules under test, not the whole package with its dependencies: a run must take milliseconds.
package = types.ModuleType("palate")
package.__path__ = [sys.argv[4]]
sys.modules["palate"] = package

import ctypes  # noqa: E402, F401  (these two would be imported on the way)
import shutil  # noqa: E402

from palate._disk.manifest import write_manifest  # noqa: E402
from palate._disk.staging import stage  # noqa: E402
from palate.errors import PalateError  # noqa: E402


def write_model(path: Path, seed: str) -> None:
    """Write a small model with a file in a folder, as a flavor would."""
    (path / "data").mkdir()
    (path / "data" / "model.bin").write_bytes(seed.encode() * 5000)
    (path / "MLmodel").write_text(f"flavors: {{seed: {seed}}}\n")


def mark(name: str) -> None:
    """Leave a trace that strace shows."""
    try:
        os.stat(f"/PALATE-MARK-{name}")
    except OSError:
        return


def save(target: Path, seed: str, *, overwrite: bool) -> None:
    """Save as palate.save_model does."""
    with stage(target, overwrite=overwrite) as staging:
        write_model(staging.path, seed)
        write_manifest(staging.path)
        staging.publish()


def save_in_place(target: Path, seed: str, *, overwrite: bool) -> None:
    """Save as MLflow does, which the harness must find out."""
    if overwrite:
        shutil.rmtree(target)
    target.mkdir()
    write_model(target, seed)
    write_manifest(target)


target, seed, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
chosen = save_in_place if sys.argv[5:] == ["in-place"] else save
try:
    mark("BEGIN")
    chosen(target, seed, overwrite=mode == "overwrite")
    mark("END")
except PalateError as exc:
    print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
    sys.exit(3)
