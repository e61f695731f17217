"""Bytes on their way from a server into a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

from palate.remote._failures import Addressee, reported

if TYPE_CHECKING:
    from obstore import GetResult

__all__ = ["Progress", "pour"]

Progress = Callable[[int, int], object]
"""Told again and again how many bytes are there, and how many there will be."""

_CHUNK: Final = 1 << 20


def pour(answer: GetResult, into: IO[bytes], *, whom: Addressee, doing: str, progress: Progress | None) -> None:
    """Write what *answer* brings, as it comes.

    Raises:
        RemoteFailed: it broke off, and could not be taken up again.
        OSError: the file refuses.
    """
    total, done = answer.meta["size"], 0
    chunks = iter(answer.stream(min_chunk_size=_CHUNK))
    while True:
        with reported(whom, doing):
            chunk = next(chunks, None)
        if chunk is None:
            break
        into.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    if done != total:
        reason = f"{done:,} bytes came, and {total:,} were announced"
        raise whom.failed(doing, reason=reason, hint="try again later")
