"""Saving all or nothing: write beside the target, then take its place by one rename.

A reader sees the old directory (or file) or the new one, whole, at every moment and after every crash. While it is
written it stands in a stage next to its target (``_disk.stages``).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from palate._disk.durable import NO_SUCH_RENAME, exchange, rename_new, sync_directory
from palate._disk.paths import MODEL_FILE
from palate._disk.stages import open_stage, remove_tree
from palate.errors import InvalidOption, ModelExists, PalateError, SaveFailed

__all__ = ["FileStaging", "Staging", "stage", "stage_file"]

_ATTEMPTS: Final = 100
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
_OVERTAKEN: Final = _TAKEN | {errno.ENOENT}  # another saver renamed in between
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

IsModel = Callable[[Path], bool]


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
        self._appear()

    def _appear(self) -> None:
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
                self._take_free_place()
            except OSError as exc:
                if exc.errno not in _TAKEN:
                    raise
            else:
                return lambda: os.rename(self.target, self.path)
            self._refuse_taken()
            try:
                return self._replace()
            except OSError as exc:
                if exc.errno not in _OVERTAKEN or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _take_free_place(self) -> None:
        os.rename(self.path, self.target)  # takes the place of an empty directory, never of a full one

    def _refuse_taken(self) -> None:
        _refuse_taken(self.target, overwrite=self._overwrite)

    def _replace(self) -> Callable[[], None]:
        try:
            exchange(self.path, self.target)
        except OSError as exc:
            if exc.errno not in NO_SUCH_RENAME:
                raise
            return self._replace_in_two_steps()
        return lambda: exchange(self.path, self.target)

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


class FileStaging(Staging):
    """A model in one file that is being written and is not visible yet.

    Attributes:
        path: where to write the file, which must be new.
        target: the file that it will become.
        draft: an empty directory for what goes into it.
    """

    def __init__(self, target: Path, home: Path, *, overwrite: bool, is_model: IsModel) -> None:
        super().__init__(target, home, overwrite=overwrite)
        self.draft = home / "draft"
        self._is_model = is_model

    def publish(self) -> None:
        """Make the file visible under its target's name; when this returns, it survives a power cut.

        Raises:
            ModelExists: if somebody else saved to the target in the meantime.
            OSError: if the disk refuses; nothing is visible then. ``stage_file`` turns it into SaveFailed.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._appear()

    def _take_free_place(self) -> None:
        rename_new(self.path, self.target)

    def _refuse_taken(self) -> None:
        _refuse_taken_file(self.target, overwrite=self._overwrite, is_model=self._is_model)


@contextmanager
def stage(target: Path, *, overwrite: bool = False) -> Iterator[Staging]:
    """Open a stage for the directory *target*; call ``publish`` on it when everything is written.

    Missing parent directories are created. Leaving the block without having published removes every trace, whatever
    the reason, parents created on the way included.

    Raises:
        ModelExists: if *target* is taken; with *overwrite*, if what is there is not a model directory.
        SaveFailed: if the disk refuses.
    """
    target = _real(target)
    with _home_for(target, lambda: _refuse_taken(target, overwrite=overwrite)) as home:
        staging = Staging(target, home, overwrite=overwrite)
        os.mkdir(staging.path)
        yield staging


@contextmanager
def stage_file(target: Path, *, overwrite: bool = False, is_model: IsModel) -> Iterator[FileStaging]:
    """Open a stage for the file *target*, as ``stage`` does for a directory.

    Args:
        target: the file.
        overwrite: whether it may replace a model that is there.
        is_model: whether a file is one.

    Raises:
        ModelExists: if *target* is taken; with *overwrite*, if what is there is not a model in a file.
        SaveFailed: if the disk refuses.
    """
    target = _real(target)
    with _home_for(target, lambda: _refuse_taken_file(target, overwrite=overwrite, is_model=is_model)) as home:
        staging = FileStaging(target, home, overwrite=overwrite, is_model=is_model)
        os.mkdir(staging.draft)
        yield staging


@contextmanager
def _home_for(target: Path, refuse_taken: Callable[[], None]) -> Iterator[Path]:
    """Open a stage for *target*, if it may be saved to; turn the disk's refusals into SaveFailed."""
    home: Path | None = None
    try:
        refuse_taken()
        with open_stage(target.parent, target.name, rescue=lambda left: _rescue(left, target)) as home:
            yield home
    except PalateError:
        raise
    except OSError as exc:
        if home is not None and not _is_ours(exc, target, home):
            raise
        raise SaveFailed(str(target), cause=exc) from exc


def _refuse_taken(target: Path, *, overwrite: bool) -> None:
    """Raise ModelExists unless a model may be saved at *target*."""
    names = _list_names(target)
    if names is None:
        raise ModelExists(str(target), is_model=False)
    is_model = MODEL_FILE in names
    if names and not (is_model and overwrite):
        raise ModelExists(str(target), is_model=is_model)


def _refuse_taken_file(target: Path, *, overwrite: bool, is_model: IsModel) -> None:
    """Raise ModelExists unless a model may be saved in the file *target*."""
    if not os.path.lexists(target):
        return
    found = is_model(target)
    if not (found and overwrite):
        raise ModelExists(str(target), is_model=found)


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


def _is_ours(exc: OSError, target: Path, home: Path) -> bool:
    """Whether the disk refused the model, rather than a file of the caller's, or the network, failing."""
    if exc.errno is None:
        return False
    # A copy that fails names where from and where to; a file of the caller's that cannot be opened, itself alone.
    named = exc.filename2 or exc.filename
    if not isinstance(named, str):
        return True
    place = Path(named)
    return target.is_relative_to(place) or place.is_relative_to(home)


def _raise(exc: OSError) -> None:
    raise exc


def _old(home: Path) -> Path:
    return home / "old"


def _put_back(old: Path, target: Path) -> None:
    """Give a replaced model its name again, unless another saver has published there since: then that one stands."""
    try:
        os.rename(old, target)
    except OSError as exc:
        if exc.errno not in _TAKEN:
            raise
        remove_tree(old)


def _rescue(home: Path, target: Path) -> None:
    """Put back what a saver, killed between the two steps of a replacement, left in its stage."""
    if os.path.lexists(_old(home)) and not os.path.lexists(target):
        os.rename(_old(home), target)
        sync_directory(target.parent)
