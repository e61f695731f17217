"""Copies of the caller's files and folders in a model."""

from __future__ import annotations

import shutil
from pathlib import Path

from palate._disk.stages import STAGE_PATTERN

__all__ = ["copy_into"]


def copy_into(source: Path, target: Path, *leave_out: str) -> None:
    """Copy a file or a folder; links in it are followed, because a model must not lead out of its directory.

    Args:
        source: the file or folder.
        target: what the copy is to be; the folder that it is in is made.
        *leave_out: patterns of names that a folder's copy goes without.

    Raises:
        OSError: the first one, where shutil would tell of all files in one error without a number.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        shutil.copyfile(source, target)
        return
    failed: list[OSError] = []

    def copy(file: str, place: str) -> None:
        try:
            shutil.copy2(file, place)
        except OSError as exc:
            failed.append(exc)
            raise

    try:
        ignore = shutil.ignore_patterns(STAGE_PATTERN, *leave_out)
        shutil.copytree(source, target, ignore=ignore, copy_function=copy)
    except shutil.Error as exc:
        raise (failed[0] if failed else exc) from exc
