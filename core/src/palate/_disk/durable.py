"""Writes that are on disk when they return, files that are replaced in one step, and renames that only Linux has."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO, Final

__all__ = ["NO_SUCH_RENAME", "exchange", "rename_new", "replace_file", "sync_directory", "write_all", "write_new"]

# How a system or a file system says that it has not these renames.
NO_SUCH_RENAME: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
_AT_FDCWD: Final = -100
_NO_REPLACE: Final = 1
_EXCHANGE: Final = 2


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, and force it to disk; its directory has to be synced besides."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb", buffering=0) as file:
        write_all(file, content)
        os.fsync(descriptor)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of *data* to an unbuffered file, which may take less of it at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def replace_file(path: Path, content: bytes, *, temporary: Path) -> None:
    """Let *content* take the place of a file in one step: by way of *temporary*, which stands beside it.

    Raises:
        OSError: the disk refuses; the old file is then still there, and *temporary* is not.
    """
    temporary.unlink(missing_ok=True)  # what an earlier attempt may have left
    try:
        write_new(temporary, content)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: str | Path) -> None:
    """Force a directory's entries to disk, where the file system can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # What CIFS and some FUSE file systems say of directories; their renames are durable, or nothing there is.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def exchange(first: Path, second: Path) -> None:
    """Exchange two names in one step.

    Raises:
        OSError: the disk refuses, or has no such rename (``NO_SUCH_RENAME``).
    """
    _rename(first, second, _EXCHANGE)


def rename_new(old: Path, new: Path) -> None:
    """Rename a file to a name that must be free.

    Raises:
        FileExistsError: it is taken.
        OSError: the disk refuses.
    """
    try:
        _rename(old, new, _NO_REPLACE)
    except OSError as exc:
        if exc.errno not in NO_SUCH_RENAME:
            raise
        os.link(old, new)
        os.unlink(old)


def _rename(first: Path, second: Path, flag: int) -> None:
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), flag) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))
