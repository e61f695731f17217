"""The ``code/`` folder of a model: copies of the user's Python files and packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from palate._disk.copying import copy_into
from palate.errors import InvalidOption

__all__ = ["CODE_FOLDER", "copy_code", "top_level_names"]

CODE_FOLDER = "code"
_LEFT_OUT = ("__pycache__", "*.pyc", ".git", ".venv*")


def copy_code(paths: Sequence[Path], root: Path) -> str | None:
    """Copy files and folders into ``root/code``, as MLflow lays them out; return its name, or None for no code.

    Raises:
        InvalidOption: a path is not there, or two have the same name.
    """
    if not paths:
        return None
    folder = root / CODE_FOLDER
    folder.mkdir()
    for path in paths:
        target = folder / path.resolve().name
        if not path.exists():
            raise InvalidOption("code_paths", reason=f"'{path}' is not there", hint="give existing files or folders")
        if target.exists():
            raise InvalidOption(
                "code_paths", reason=f"two entries are called '{target.name}'", hint="give one folder that holds both"
            )
        copy_into(path, target, *_LEFT_OUT)
    return CODE_FOLDER


def top_level_names(root: Path, code: str | None) -> set[str]:
    """Return the module names that ``code/`` offers: they need no distribution."""
    return {entry.stem for entry in (root / code).iterdir()} if code else set()
