"""Shared memory for the bytes of large arrays: written once by one process, read once by the other.

A region is memory of its maker's; the other side gets its descriptor. Each side seals what it maps, its own as well as
the other's: neither can be made to touch memory that is gone, which would end its process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["ReadRegion", "WriteRegion", "lay_out"]

_ALIGNMENT = 64  # of each buffer: what vector instructions like, and more than any dtype needs
_SMALLEST = 1 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
# A region larger than this is given back when the next messages need far less.
_KEPT = 64 << 20


def lay_out(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Return where each of some buffers begins when they lie one after another, and how many bytes that takes."""
    starts, at = [], 0
    for size in sizes:
        starts.append(at)
        at += -(-size // _ALIGNMENT) * _ALIGNMENT
    return starts, at


class WriteRegion:
    """Memory that this process writes and another one reads."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._memory: mmap.mmap | None = None

    def write(self, buffers: Sequence[memoryview]) -> int | None:
        """Lay buffers into the memory; return its descriptor if it is new, for the other side.

        Raises:
            OSError: there is not that much memory.
        """
        starts, size = lay_out([len(buffer) for buffer in buffers])
        fresh = self._fit(size)
        memory = self._memory
        assert memory is not None
        for start, buffer in zip(starts, buffers, strict=True):
            memory[start : start + len(buffer)] = buffer
        return self._descriptor if fresh else None

    def _fit(self, size: int) -> bool:
        held = 0 if self._memory is None else len(self._memory)
        if size <= held and not (held > _KEPT and size < held // 8):
            return False
        self.close()
        wanted = max(_SMALLEST, 1 << (size - 1).bit_length())
        self._descriptor = os.memfd_create("palate-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._descriptor, wanted)
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self._memory = mmap.mmap(self._descriptor, wanted)
        return True

    def close(self) -> None:
        """Give the memory back."""
        if self._memory is not None:
            self._memory.close()
            os.close(self._descriptor)
            self._memory, self._descriptor = None, -1


class ReadRegion:
    """Memory that another process writes and this one reads."""

    def __init__(self) -> None:
        self._memory: mmap.mmap | None = None

    def replace(self, descriptor: int) -> None:
        """Read from now on from the memory of a descriptor, which is closed.

        Raises:
            OSError: it is none of a region.
        """
        try:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size, prot=mmap.PROT_READ)
        except ValueError as exc:  # of no bytes
            raise OSError(str(exc)) from exc
        finally:
            os.close(descriptor)
        self.close()
        self._memory = memory

    def read(self, sizes: Sequence[int]) -> list[memoryview] | None:
        """Return copies of the buffers that lie there, in memory of this process; None if they do not fit."""
        starts, size = lay_out(sizes)
        if self._memory is None or size > len(self._memory):
            return None
        with memoryview(self._memory) as whole:
            return [_copy(whole[start : start + count]) for start, count in zip(starts, sizes, strict=True)]

    def close(self) -> None:
        """Give the memory back."""
        memory, self._memory = self._memory, None
        if memory is not None:
            with suppress(BufferError):  # in a child that was forked amid a copy, where it goes with its last user
                memory.close()


def _copy(view: memoryview) -> memoryview:
    # The writer uses its memory again for the next message, and a model may keep what it was given.
    import numpy as np

    copied: memoryview = np.frombuffer(view, dtype=np.uint8).copy().data if len(view) else memoryview(bytearray())
    view.release()
    return copied
