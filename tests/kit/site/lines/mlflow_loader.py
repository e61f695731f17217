"""What stock MLflow opens a directory with."""

from __future__ import annotations

import json
from pathlib import Path

from lines import Line

__all__: list[str] = []


def _load_pyfunc(path: str) -> Line:
    # MLflow hands on the directory, or what the section's "data" names in it.
    file = Path(path)
    return Line(**json.loads((file if file.is_file() else file / "line.json").read_text()))
