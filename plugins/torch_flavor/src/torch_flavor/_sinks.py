"""Files for torch to write to, which may run out of disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["open_sink"]


class _Sink(io.RawIOBase):
    """Takes everything, and keeps the first error for later.

    When a write fails, torch writes again while it takes its writer apart, and then an error ends the process.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def seekable(self) -> bool:
        """Say that it can be moved in, which torch wants of a file."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move in the file."""
        return self._file.seek(offset, whence)

    def write(self, data: Any) -> int:
        """Write *data*, or drop it after a failure."""
        if self.failure is None:
            try:
                self._file.write(data)
            except OSError as exc:
                self.failure = exc
        return memoryview(data).nbytes


@contextmanager
def open_sink(path: Path) -> Iterator[Any]:
    """Open *path* for torch to write to.

    Raises:
        OSError: at the end of the block, when the disk refused; whatever torch made of it is left out.
    """
    with path.open("wb") as file:
        sink = _Sink(file)
        try:
            yield sink
        finally:
            if sink.failure is not None:
                raise sink.failure
