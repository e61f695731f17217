"""Where environments stand: in the cache, under a name made of what they hold, or in a folder of the caller's.

An environment cannot be moved, so it is built where it stays, under a lock; the file that describes it is written
last. A folder without that file was left by a builder that was killed: whoever gets the lock takes it away. Programs
that the builder started share the lock, so it is not free before the last of them has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from palate._disk.cache_folder import user_cache
from palate._disk.paths import open_plain
from palate.errors import EnvironmentFailed, InvalidOption, UnsafePath

__all__ = [
    "NOTES_FOLDER",
    "cache_folder",
    "cached_environments",
    "describe_environment",
    "held",
    "interpreter_of",
    "prepare_place",
    "read_description",
    "remove_place",
    "write_lines",
    "write_note",
]

# What Palate keeps in an environment: the lists that it was made of, and its own wheels.
NOTES_FOLDER: Final = "palate-environment"

_DESCRIPTION: Final = "environment.json"
# Stands there from the first step on, so that nothing is removed that Palate has not made.
_MARK: Final = "made-by-palate"
_MARK_TEXT: Final = b"An environment that Palate builds; see palate env.\n"
_CACHED_NAME: Final = re.compile(r"[0-9a-f]{32}")
_MAX_DESCRIPTION: Final = 4 << 20
_ANOTHER_PLACE: Final = (
    "see that there is room and that you may write to it, or name another place: directory= (CLI: --directory), or the "
    "variable PALATE_CACHE"
)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the environments that are kept.

    Raises:
        InvalidOption: see ``user_cache``.
    """
    return user_cache(environ) / "environments"


def interpreter_of(directory: Path) -> Path:
    """Return where the interpreter of an environment is."""
    return directory / "bin" / "python"


@contextmanager
def held(directory: Path, *, wait: Callable[[], None] | None = None) -> Iterator[int]:
    """Hold the lock on what stands, or will stand, at *directory*; yield its descriptor, for programs to share.

    Folders on the way there that are missing are made, and removed again if they are empty at the end.

    Args:
        directory: the environment's folder.
        wait: is called before waiting for another process that has the lock.

    Raises:
        EnvironmentFailed: the disk refused.
    """
    made: list[Path] = []
    descriptor = -1
    lock = directory.parent / f".{directory.name}.lock"
    try:
        try:
            made = _make_parents(directory.parent)
            descriptor = _lock(lock, wait)
        except OSError as exc:
            step = f"use the folder '{directory.parent}'"
            raise EnvironmentFailed(step, output=[str(exc)], hint=_ANOTHER_PLACE) from exc
        yield descriptor
    finally:
        if descriptor >= 0:
            # Whoever waits for it sees that it is gone, and makes one anew.
            lock.unlink(missing_ok=True)
            os.close(descriptor)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def _make_parents(folder: Path) -> list[Path]:
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    return missing[::-1]


def _lock(path: Path, wait: Callable[[], None] | None) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if _wait_for(descriptor, wait):
                wait = None  # to be told once is enough, however many are ahead
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait_for(descriptor: int, wait: Callable[[], None] | None) -> bool:
    """Take the lock; return whether somebody else had it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait is not None:
            wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    return False


def prepare_place(directory: Path) -> None:
    """Make the empty folder of a new environment, its lock held; what a killed builder left there is taken away.

    Raises:
        InvalidOption: something else is there.
        EnvironmentFailed: the disk refused.
    """
    try:
        if os.path.lexists(directory) and (not _is_folder(directory) or any(directory.iterdir())):
            if not _is_begun(directory) or read_description(directory) is not None:
                reason = f"'{directory}' is there already, and is no empty folder"
                raise InvalidOption("directory", reason=reason, hint="name another, or remove it first")
            remove_place(directory)
        directory.mkdir(mode=0o700, exist_ok=True)
        _mark(directory)
    except OSError as exc:
        if _is_begun(directory) and read_description(directory) is None:
            shutil.rmtree(directory, ignore_errors=True)
        raise EnvironmentFailed(f"make the folder '{directory}'", output=[str(exc)], hint=_ANOTHER_PLACE) from exc


def _mark(directory: Path) -> None:
    (directory / NOTES_FOLDER).mkdir(mode=0o700, exist_ok=True)
    (directory / NOTES_FOLDER / _MARK).write_bytes(_MARK_TEXT)


def _is_begun(directory: Path) -> bool:
    """Tell whether Palate has begun an environment there: the mark, or as much of it as the disk had room for."""
    try:
        with open(open_plain(directory / NOTES_FOLDER / _MARK), "rb") as file:
            return _MARK_TEXT.startswith(file.read(len(_MARK_TEXT) + 1))
    except FileNotFoundError:
        return _holds_nothing_but_a_folder_for_notes(directory)
    except (OSError, UnsafePath):
        return False


def _holds_nothing_but_a_folder_for_notes(directory: Path) -> bool:
    """Tell whether a builder was killed there before it had made the mark."""
    try:
        return os.listdir(directory) == [NOTES_FOLDER] and not os.listdir(directory / NOTES_FOLDER)
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def remove_place(directory: Path) -> None:
    """Remove an environment, its description first, so that half of one is never taken for whole.

    Raises:
        EnvironmentFailed: something of it is still there.
    """
    with suppress(OSError):
        (directory / NOTES_FOLDER / _DESCRIPTION).unlink()
    for _ in range(2):  # the second time for what a dying program wrote meanwhile
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.lexists(directory):
            return
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        return
    except OSError as exc:
        with suppress(OSError):  # what is left is still known for what it is
            _mark(directory)
        hint = "end what uses it, or see who may write to it, and remove it again"
        raise EnvironmentFailed(f"remove '{directory}'", output=[str(exc)], hint=hint) from exc


def write_note(path: Path, content: bytes) -> Path:
    """Write what an installer gets to read, and return where it is.

    Raises:
        EnvironmentFailed: the disk refused.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    except OSError as exc:
        hint = "see that there is room, and that you may write there"
        raise EnvironmentFailed("write down what to install", output=[str(exc)], hint=hint) from exc
    return path


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write a list for an installer, as ``write_note`` does."""
    return write_note(path, "".join(f"{line}\n" for line in lines).encode())


def describe_environment(directory: Path, description: Mapping[str, Any]) -> None:
    """Write what an environment is: the last step of building it.

    Raises:
        EnvironmentFailed: the disk refused.
    """
    path = directory / NOTES_FOLDER / _DESCRIPTION
    unfinished = path.with_suffix(".new")
    try:
        unfinished.write_text(json.dumps(description, indent=1), encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as exc:
        step = "write down what the environment holds"
        raise EnvironmentFailed(step, output=[str(exc)], hint=_ANOTHER_PLACE) from exc


def read_description(directory: Path) -> dict[str, Any] | None:
    """Return what was written when the environment was whole; None for one that never was."""
    try:
        with (directory / NOTES_FOLDER / _DESCRIPTION).open("rb") as file:
            found = json.loads(file.read(_MAX_DESCRIPTION))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def cached_environments(folder: Path) -> list[Path]:
    """Return the folders of the environments in the cache, whole or not."""
    try:
        return sorted(path for path in folder.iterdir() if _CACHED_NAME.fullmatch(path.name) and _is_begun(path))
    except OSError:
        return []
