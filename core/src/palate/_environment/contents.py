"""What of a model depends on the version of Python."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from palate._code.pickles import has_byte_code, pickle_globals
from palate._disk.paths import confine
from palate.errors import PalateError

__all__ = ["Contents", "find_contents"]

Contents: TypeAlias = Literal["data", "source", "byte code", "unknown"]

# A pickle is read opcode by opcode: one of more bytes than this is not looked through in time.
_MAX_PICKLE_BYTES = 32 << 20


def find_contents(directory: Path, files: Iterable[str]) -> Contents:
    """Return the most telling that is in *files*, those whose code runs when the model is opened.

    Nothing of them is run. Pickles without functions in them are data: any version of Python reads them.
    """
    found = {_look_into(directory, file) for file in files}
    order: tuple[Contents, ...] = ("byte code", "unknown", "source")
    return next((kind for kind in order if kind in found), "data")


def _look_into(directory: Path, name: str) -> Contents:
    try:
        path = confine(directory, name.rstrip("/"), field="the model")
        if path.is_dir() or path.suffix == ".py":
            return "source"
        if path.stat().st_size > _MAX_PICKLE_BYTES:
            return "unknown"
        if has_byte_code(path):
            return "byte code"
        return "data" if pickle_globals(path) else "unknown"
    except (PalateError, OSError):
        return "unknown"
