"""A new folder in the place of an old one, which is there until the new one is."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from palate.storage import sync_directory

__all__ = ["drop", "replace_folder"]


def replace_folder(target: Path, made: Path, *, aside: Path) -> None:
    """Let *made* be *target*; what was there is moved *aside*, and stays there.

    No file system that we know replaces a folder with files in one step. Whoever is killed in between finds the old one
    aside.

    Raises:
        OSError: the disk refuses; the old folder is back in its place, if the disk lets it.
    """
    drop(aside)
    with suppress(FileNotFoundError):
        target.rename(aside)
    try:
        made.rename(target)
    except OSError:
        with suppress(OSError):  # the first error tells more
            aside.rename(target)
        raise
    sync_directory(target.parent)


def drop(path: Path) -> None:
    """Remove what an earlier attempt may have left. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
