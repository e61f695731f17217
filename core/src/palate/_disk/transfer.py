"""Copies bytes from file to file inside the kernel, while a thread looks at what has arrived.

Where a file system can, both files then have the same blocks, and nothing is copied at all. Hashing takes as long as
copying, so it is done a piece behind, of the copy: what was hashed is what is there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final

__all__ = ["Transfer"]

_PIECE: Final = 32 << 20
_BUFFER: Final = 1 << 20
# How a kernel or a file system says that it does not copy between these files by itself.
_NOT_HERE: Final = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY})

Look = Callable[[memoryview], None]


class Transfer:
    """Copies one file after the other; a context manager, whose thread ends with it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="palate-hash")
        self._buffer = memoryview(bytearray(_BUFFER))

    def __enter__(self) -> Transfer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def copy(self, source: int, start: int, target: int, place: int, size: int, look: Look, *, sync: bool) -> int:
        """Copy up to *size* bytes; return how many there were.

        Args:
            source: an open file, read from *start* on.
            start: where.
            target: a file open for reading and writing, written to from *place* on.
            place: where.
            size: how many bytes.
            look: is given what stands in the target, piece by piece, in order.
            sync: force the target to disk, while the last pieces are still looked at.

        Raises:
            OSError: the disk refuses.
        """
        done, looks = 0, list[Future[None]]()
        while done < size:
            moved = _move(source, start + done, target, place + done, min(_PIECE, size - done))
            if moved == 0:
                break
            looks.append(self._thread.submit(self._look, target, place + done, moved, look))
            done += moved
        if sync:
            os.fsync(target)
        for one in looks:
            one.result()
        return done

    def _look(self, target: int, place: int, size: int, look: Look) -> None:
        while size:
            count = os.preadv(target, [self._buffer[: min(_BUFFER, size)]], place)
            if count == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))  # it was there a moment ago
            look(self._buffer[:count])
            place, size = place + count, size - count


def _move(source: int, start: int, target: int, place: int, size: int) -> int:
    try:
        return os.copy_file_range(source, target, size, start, place)
    except OSError as exc:
        if exc.errno not in _NOT_HERE:
            raise
    os.lseek(target, place, os.SEEK_SET)
    return os.sendfile(target, source, start, size)
