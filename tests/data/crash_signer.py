"""Put a signature into a model directory and exit; the tests kill this process, and fail its calls, at every point.

argv: the model, what to write, "overwrite" or "fresh", the directory of the package ``palate``, and optionally
"in-place".
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

import shutil  # noqa: E402, F401  (would be imported on the way)

from palate._signing.placing import place_signature  # noqa: E402
from palate.errors import PalateError  # noqa: E402


def mark(name: str) -> None:
    """Leave a trace that strace shows."""
    try:
        os.stat(f"/PALATE-MARK-{name}")
    except OSError:
        return


target, content, overwrite = Path(sys.argv[1]) / "model.sig", sys.argv[2].encode() * 10_000, sys.argv[3] == "overwrite"
try:
    mark("BEGIN")
    if sys.argv[5:] == ["in-place"]:  # as model_signing does, which the harness must find out
        target.write_bytes(content[:5000])
        with target.open("ab") as file:
            file.write(content[5000:])
    else:
        place_signature(target, content, overwrite=overwrite)
    mark("END")
except PalateError as exc:
    print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
    sys.exit(3)
