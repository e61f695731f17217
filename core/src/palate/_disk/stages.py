"""Hidden folders in which something is made beside the place that it will take.

A stage is called ``.<label>.palate-stage-<pid>-<random>`` and is locked while its maker lives. One whose maker was
killed is recognised by its free lock, and removed when something of the same label is made again in that folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from palate._disk.durable import sync_directory

__all__ = ["STAGE_PATTERN", "open_stage", "remove_tree", "sweep_stages"]

STAGE_PATTERN: Final = ".*.palate-stage-*"  # a folder that is copied into a model may hold the model's own stage

_STALE_SECONDS: Final = 600
_ATTEMPTS: Final = 100
_MAX_NAME_BYTES: Final = 180  # leaves room for the rest of the stage's name within 255
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Rescue = Callable[[Path], None]


@contextmanager
def open_stage(folder: Path, label: str, *, rescue: Rescue | None = None) -> Iterator[Path]:
    """Make a stage in *folder*, and *folder* too; yield its path. Leaving the block removes what is still there.

    Args:
        folder: where it stands, on the file system of what is made.
        label: what is made in it.
        rescue: is given a stage that a killed maker left, before it is removed, to save what cannot be made again.

    Raises:
        OSError: the disk refuses.
    """
    made: list[Path] = []
    home: Path | None = None
    lock: int | None = None
    try:
        home = folder / f"{_prefix(label)}{os.getpid()}-{os.urandom(8).hex()}"
        _make_home(home, made)
        lock = _lock(home)
        sweep_stages(folder, label, rescue=rescue)
        yield home
    finally:
        _clear(home, lock, made)


def _make_home(home: Path, made: list[Path]) -> None:
    """Make a stage, and the folders on the way to it, which are added to *made*."""
    for attempt in range(1, _ATTEMPTS + 1):
        made += _make_parents(home.parent)
        try:
            # Nobody else may look into, or change, what is not sealed yet.
            os.mkdir(home, 0o700)
        except FileNotFoundError:  # another stage, ending, has taken away the folder that it had made
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def sweep_stages(folder: Path, label: str | None = None, *, rescue: Rescue | None = None) -> list[Path]:
    """Remove from *folder* the stages, of that *label* or all, whose makers were killed; return those that are gone.

    What cannot be removed stays, and is no error: it is seen by nobody.
    """
    pattern = re.compile((re.escape(_prefix(label)) if label else r"\..+\.palate-stage-") + r"[0-9]+-[0-9a-f]{16}")
    try:
        with os.scandir(folder) as entries:
            stale = [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name) and _is_old(entry)]
    except OSError:
        return []
    for home in stale:
        with suppress(OSError):
            _sweep_one(home, rescue)
    return [home for home in stale if not os.path.lexists(home)]


def _make_parents(parent: Path) -> list[Path]:
    """Create the missing directories down to *parent*; return those made, outermost first."""
    missing: list[Path] = []
    place = parent
    while not os.path.lexists(place):
        missing.append(place)
        place = place.parent
    made: list[Path] = []
    try:
        for directory in reversed(missing):
            with suppress(FileExistsError):
                os.mkdir(directory)
                made.append(directory)
        for directory in made:
            sync_directory(directory.parent)
    except BaseException:
        _remove_empty(made)
        raise
    return made


def _remove_empty(directories: list[Path]) -> None:
    for directory in reversed(directories):
        with suppress(OSError):
            os.rmdir(directory)  # fails when somebody else put something there, or when we published into it


def _prefix(label: str) -> str:
    name = os.fsencode(label)
    short = label if len(name) <= _MAX_NAME_BYTES else hashlib.sha256(name).hexdigest()
    return f".{short}.palate-stage-"


def _lock(home: Path) -> int | None:
    """Lock a stage; return the descriptor that holds the lock, or None if it is taken or cannot be had."""
    descriptor = os.open(home, _DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _clear(home: Path | None, lock: int | None, made: list[Path]) -> None:
    """Remove what is left of a stage; never raise, so that the reason for leaving is what the caller sees."""
    if home is not None:
        remove_tree(home)
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
    _remove_empty(made)


def remove_tree(home: Path) -> None:
    """Remove a directory with all that is in it, as far as possible."""
    import shutil  # brings every compression library along

    # The second try is for a disk that refused once.
    for _ in range(2):
        shutil.rmtree(home, ignore_errors=True)
        if not os.path.lexists(home):
            return


def _is_old(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS
    return False


def _sweep_one(home: Path, rescue: Rescue | None) -> None:
    lock = _lock(home)
    if lock is None:
        return
    try:
        if rescue is not None:
            rescue(home)
        remove_tree(home)
    finally:
        os.close(lock)
