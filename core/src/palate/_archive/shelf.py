"""The directories of the cache: each is held by whoever uses it, and of the others those used longest ago go first.

A directory is called by a sha256. Whoever uses it has a shared lock on it, which ends with his process however that
ends; to take one away needs the lock alone. Beside it stands a file that says when it was used last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from palate._disk.stages import open_stage, sweep_stages
from palate._disk.staging import stage
from palate.errors import ModelExists

__all__ = ["cached_models", "discard", "is_name", "put", "shrink", "turn", "use"]

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_TURN_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02

# The locks of this process, by directory: one descriptor for each of the models that it opened last. They are kept as
# long as it lives, because a model may read its files at any time, and go to its forks, which may do so too.
_MAX_HELD: Final = 256
_held: dict[tuple[int, int], int] = {}


def is_name(name: object) -> bool:
    """Return whether something is the name of a directory of the cache."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def use(folder: Path, name: object) -> Path | None:
    """Return the directory of that name, held and marked as used now; None if there is none.

    Raises:
        OSError: it is there, and cannot be opened.
    """
    if not is_name(name):
        return None
    path = folder / str(name)
    if not _hold(path):
        return None
    with suppress(OSError):
        _used_file(path).touch(mode=0o600)
    return path


def put(folder: Path, name: str, fill: Callable[[Path], object]) -> Path:
    """Return the directory of that name, held; if there is none, the one that *fill* writes, which is empty before.

    Where several want the same one at once, one of them writes it, and the others wait.

    Raises:
        SaveFailed, OSError: the disk refuses.
    """
    with turn(folder / f".{name}.lock"):
        if found := use(folder, name):
            return found
        try:
            with stage(folder / name) as staging:
                fill(staging.path)
                os.chmod(staging.path, 0o700)
                # Held before it is seen: nobody takes away what has just been made.
                with _about_to_hold(staging.path):
                    staging.publish()
        except ModelExists:  # somebody did not wait
            pass
        found = use(folder, name)
    if found is None:
        raise OSError(errno.EBUSY, "another process takes away what was unpacked")
    return found


def discard(path: Path) -> bool:
    """Take away a directory that is damaged, unless another process uses it; return whether it is gone."""
    key = _identity(path)
    own = _held.pop(key, None) if key is not None else None
    if own is not None:
        os.close(own)
    if _take_away(path):
        return True
    if own is not None:
        with suppress(OSError):
            _hold(path)
    return False


def cached_models(folder: Path) -> list[Path]:
    """Return the directories in the cache, the one that was used last at the end."""
    try:
        found = [path for path in folder.iterdir() if is_name(path.name)]
    except OSError:
        return []
    return sorted(found, key=_used_at)


def shrink(folder: Path, limit: int, *, keep: Path) -> None:
    """Take away what was used longest ago until the rest keeps to the limit; what is in use stays."""
    sweep_stages(folder)
    models = cached_models(folder)
    sizes = {path: _size(path) for path in models}
    total = sum(sizes.values())
    for path in models:
        if total <= limit:
            return
        if path != keep and _take_away(path):
            total -= sizes[path]


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Let one at a time do what takes long; after a minute, or where the file cannot be locked, several.

    For what does no harm if it is done twice. The file is removed afterwards.
    """
    descriptor: int | None = None
    with suppress(OSError):
        descriptor = os.open(lock, _LOCK_FILE, 0o600)
    if descriptor is None:
        yield
        return
    is_mine = _wait_for(descriptor)
    try:
        yield
    finally:
        if is_mine:
            with suppress(OSError):
                os.unlink(lock)
            with suppress(OSError):
                # To close it is not enough: a process that was forked meanwhile has the descriptor, too.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _wait_for(descriptor: int) -> bool:
    """Lock a file, unless another has it for too long; return whether nobody else has it, as far as can be told."""
    until = time.monotonic() + _TURN_SECONDS
    while time.monotonic() < until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_SECONDS)
        except OSError:
            return True
        else:
            return True
    return False


# -- holding -----------------------------------------------------------------------------------------------------------


def _hold(path: Path) -> bool:
    """Hold a directory as long as this process lives; return whether it is there."""
    if _identity(path) in _held:
        return True
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError as exc:
        if exc.errno in _NOT_THERE:
            return False
        raise
    if not _share(descriptor) or not _is_at(path, descriptor):
        os.close(descriptor)  # it is just being taken away
        return False
    _keep(descriptor)
    return True


@contextmanager
def _about_to_hold(path: Path) -> Iterator[None]:
    descriptor = os.open(path, _DIRECTORY)
    try:
        _share(descriptor)
        yield
    except BaseException:
        os.close(descriptor)
        raise
    _keep(descriptor)


def _keep(descriptor: int) -> None:
    status = os.fstat(descriptor)
    if _held.setdefault((status.st_dev, status.st_ino), descriptor) != descriptor:
        os.close(descriptor)  # another thread was faster
    while len(_held) > _MAX_HELD:  # of the descriptors that a process may have, most are for others
        with suppress(StopIteration, KeyError, RuntimeError):  # another thread does the same
            os.close(_held.pop(next(iter(_held))))


def _share(descriptor: int) -> bool:
    """Lock a directory together with others; where nothing can be locked, nobody can take it away either."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _take_away(path: Path) -> bool:
    """Remove a directory that nobody holds; return whether it is gone."""
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError as exc:
        return exc.errno == errno.ENOENT
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(path, descriptor):
            with open_stage(path.parent, "removed") as home:
                os.rename(path, home / "model")  # nobody finds it half removed
                _used_file(path).unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_at(path: Path, descriptor: int) -> bool:
    status = os.fstat(descriptor)
    return _identity(path) == (status.st_dev, status.st_ino)


def _used_file(path: Path) -> Path:
    # Not the directory's own time: that is part of what a loader looks at, to see that nobody touched it.
    return path.with_name(f".{path.name}.used")


def _used_at(path: Path) -> float:
    try:
        return _used_file(path).stat().st_mtime
    except OSError:
        return 0.0


def _size(directory: Path) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for file in files:
            with suppress(OSError):  # removed just now
                total += os.lstat(os.path.join(place, file)).st_size
    return total
