"""Saving all or nothing: write beside the target, then take its place by one rename.

A reader sees the old directory or the new one, whole, at every moment and after every crash. While a model is written
it stands in ``.<name>.palate-stage-<pid>-<random>`` next to its target, locked; a stage whose writer was killed is
recognised by its free lock and removed by a later save to the same target.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from palate._disk.manifest import sync_directory
from palate._disk.paths import MODEL_FILE
from palate.errors import InvalidOption, ModelExists, PalateError, SaveFailed

__all__ = ["STAGE_PATTERN", "Staging", "stage"]

STAGE_PATTERN: Final = ".*.palate-stage-*"  # a folder that is copied into a model may hold the model's own stage

_STALE_SECONDS: Final = 600
_ATTEMPTS: Final = 100
_MAX_NAME_BYTES: Final = 180  # leaves room for the rest of the stage's name within 255
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
_OVERTAKEN: Final = _TAKEN | {errno.ENOENT}  # another saver renamed in between
_NO_EXCHANGE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


class Staging:
    """A model directory that is being written and is not visible yet.

    Attributes:
        path: the directory to write into; it exists and is empty.
        target: the directory that it will become.
    """

    def __init__(self, target: Path, home: Path, *, overwrite: bool) -> None:
        self.target = target
        self.path = home / "model"
        self._home = home
        self._overwrite = overwrite

    def publish(self) -> None:
        """Make the directory visible under its target's name; when this returns, it survives a power cut.

        The files must be on disk already (``write_manifest`` does that); their directories are forced there here.

        Raises:
            ModelExists: if somebody else saved to the target in the meantime.
            OSError: if the disk refuses; nothing is visible then. ``stage`` turns it into SaveFailed.
        """
        for directory, _, _ in os.walk(self.path, topdown=False, onerror=_raise):
            sync_directory(directory)
        born = os.lstat(self.path)
        undo = self._take_place()
        try:
            sync_directory(self.target.parent)
        except BaseException:
            with suppress(OSError):
                # Whoever has replaced it since then has saved another model; that one is not ours to remove.
                if os.path.samestat(os.lstat(self.target), born):
                    undo()
            raise

    def _take_place(self) -> Callable[[], None]:
        """Rename into place; return what takes it back."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                os.rename(self.path, self.target)  # takes the place of an empty directory, never of a full one
            except OSError as exc:
                if exc.errno not in _TAKEN:
                    raise
            else:
                return lambda: os.rename(self.target, self.path)
            _refuse_taken(self.target, overwrite=self._overwrite)
            try:
                return self._replace()
            except OSError as exc:
                if exc.errno not in _OVERTAKEN or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _replace(self) -> Callable[[], None]:
        try:
            _exchange(self.path, self.target)
        except OSError as exc:
            if exc.errno not in _NO_EXCHANGE:
                raise
            return self._replace_in_two_steps()
        return lambda: _exchange(self.path, self.target)

    def _replace_in_two_steps(self) -> Callable[[], None]:
        """Replace where two names cannot be exchanged.

        Between the two renames nothing stands at the target. A process killed just there leaves the old model in the
        stage; the next save to the same target puts it back.
        """
        old = _old(self._home)
        try:
            os.rename(self.target, old)
            os.rename(self.path, self.target)
        except BaseException:
            if os.path.lexists(old):
                _put_back(old, self.target)
            raise

        def undo() -> None:
            os.rename(self.target, self.path)
            os.rename(old, self.target)

        return undo


@contextmanager
def stage(target: Path, *, overwrite: bool = False) -> Iterator[Staging]:
    """Open a stage for *target*; call ``publish`` on it when everything is written.

    Missing parent directories are created. Leaving the block without having published removes every trace, whatever
    the reason, parents created on the way included.

    Raises:
        ModelExists: if *target* is taken; with *overwrite*, if what is there is not a model directory.
        SaveFailed: if the disk refuses.
    """
    target = _real(target)
    made: list[Path] = []
    home: Path | None = None
    lock: int | None = None
    try:
        _refuse_taken(target, overwrite=overwrite)
        made = _make_parents(target.parent)
        _sweep(target)
        home = target.parent / f"{_stage_prefix(target)}{os.getpid()}-{os.urandom(8).hex()}"
        # Nobody else may look into, or change, a model that is not sealed yet.
        os.mkdir(home, 0o700)
        lock = _lock(home)
        staging = Staging(target, home, overwrite=overwrite)
        os.mkdir(staging.path)
        yield staging
    except PalateError:
        raise
    except OSError as exc:
        if not _is_ours(exc, target, home):
            raise
        raise SaveFailed(str(target), cause=exc) from exc
    finally:
        _clear(home, lock, made)


def _refuse_taken(target: Path, *, overwrite: bool) -> None:
    """Raise ModelExists unless a model may be saved at *target*."""
    names = _list_names(target)
    if names is None:
        raise ModelExists(str(target), is_model=False)
    is_model = MODEL_FILE in names
    if names and not (is_model and overwrite):
        raise ModelExists(str(target), is_model=is_model)


def _list_names(target: Path) -> set[str] | None:
    """List the directory at *target*; empty if nothing is there, None if it is something other than a directory.

    Another saver may exchange the target at any moment and then take what stood there apart, so a listing counts only
    if the directory still stands there after it. While it is held open, no other one can be given its inode.
    """
    while True:
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(target).st_mode):
                return None
            with _opened(target) as descriptor:
                names = set(os.listdir(descriptor))
                if os.path.samestat(os.fstat(descriptor), os.lstat(target)):
                    return names
        if not os.path.lexists(target):
            return set()


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _real(target: Path) -> Path:
    """Resolve links on the way to the target, not the target itself: what is renamed is the name given."""
    try:
        if b"\0" in os.fsencode(target):
            raise ValueError("it holds a NUL character")
    except ValueError as exc:
        raise InvalidOption("path", reason=str(exc), hint="give the path of a directory") from exc
    if target.name in ("", ".."):
        return Path(os.path.realpath(target))
    return Path(os.path.realpath(target.absolute().parent), target.name)


def _is_ours(exc: OSError, target: Path, home: Path | None) -> bool:
    """Whether the disk refused the model, rather than a file of the caller's, or the network, failing."""
    if exc.errno is None:
        return False
    # A copy that fails names where from and where to; a file of the caller's that cannot be opened, itself alone.
    named = exc.filename2 or exc.filename
    if not isinstance(named, str):
        return True
    place = Path(named)
    return target.is_relative_to(place) or (home is not None and place.is_relative_to(home))


def _raise(exc: OSError) -> None:
    raise exc


def _put_back(old: Path, target: Path) -> None:
    """Give a replaced model its name again, unless another saver has published there since: then that one stands."""
    try:
        os.rename(old, target)
    except OSError as exc:
        if exc.errno not in _TAKEN:
            raise
        _remove(old)


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


def _exchange(first: Path, second: Path) -> None:
    """Exchange two names in one step, as only Linux can."""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))


# -- stages ------------------------------------------------------------------------------------------------------------


def _stage_prefix(target: Path) -> str:
    name = os.fsencode(target.name)
    short = target.name if len(name) <= _MAX_NAME_BYTES else hashlib.sha256(name).hexdigest()
    return f".{short}.palate-stage-"


def _old(home: Path) -> Path:
    return home / "old"


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
    """Remove what is left of a save; never raise, so that the reason for leaving is what the caller sees."""
    if home is not None:
        _remove(home)
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
    _remove_empty(made)


def _remove(home: Path) -> None:
    import shutil  # brings every compression library along

    # The second try is for a disk that refused once.
    for _ in range(2):
        shutil.rmtree(home, ignore_errors=True)
        if not os.path.lexists(home):
            return


def _sweep(target: Path) -> None:
    """Remove the stages that killed savers of this target left behind, as far as possible."""
    pattern = re.compile(re.escape(_stage_prefix(target)) + r"[0-9]+-[0-9a-f]{16}")
    with suppress(OSError), os.scandir(target.parent) as entries:
        stale = [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name) and _is_old(entry)]
        for home in stale:
            with suppress(OSError):
                _sweep_one(home, target)


def _is_old(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS
    return False


def _sweep_one(home: Path, target: Path) -> None:
    lock = _lock(home)
    if lock is None:
        return
    try:
        if os.path.lexists(_old(home)) and not os.path.lexists(target):
            os.rename(_old(home), target)  # killed between the two steps of a replacement
            sync_directory(target.parent)
        _remove(home)
    finally:
        os.close(lock)
