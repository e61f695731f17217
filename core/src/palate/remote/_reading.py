"""An object in a bucket as a file that is read from any place."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from palate.remote._failures import Addressee, reported

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import S3Store

__all__ = ["open_object"]

_BUFFER: Final = 1 << 20


def open_object(store: S3Store, key: str, size: int, whom: Addressee) -> io.BufferedReader:
    """Return the object under *key*, of *size* bytes, as a file; each of its reads may raise RemoteFailed."""
    return io.BufferedReader(_Object(store, key, size, whom), _BUFFER)


class _Object(io.RawIOBase):
    """Asks the server for just the bytes that somebody wants."""

    def __init__(self, store: S3Store, key: str, size: int, whom: Addressee) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self._size = size
        self._whom = whom
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        import obstore

        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._place)
        if length <= 0:
            return 0
        with reported(self._whom, "read"):
            got = obstore.get_range(self._store, self._key, start=self._place, length=length)
        view[: len(got)] = memoryview(got)
        self._place += len(got)
        return len(got)
