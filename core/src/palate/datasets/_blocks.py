"""Text in blocks that end where a record ends, so that each can be read by itself."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Final

from palate.datasets._files import DataFile
from palate.errors import InvalidData

__all__ = ["count_records", "read_blocks", "split_records"]

_BLOCK_BYTES: Final = 4 << 20
_LONGEST_RECORD: Final = 256 << 20
_QUOTE: Final = b'"'


def read_blocks(file: DataFile, opened: IO[bytes], *, quoted: bool) -> Iterator[bytes]:
    """Yield the bytes of a text file, without a byte-order mark, in blocks of whole records.

    Args:
        file: which one it is, for errors.
        opened: the same, open.
        quoted: whether a line's end between quotation marks is part of a cell, as in csv (RFC 4180).

    Raises:
        InvalidData: a record has no end for very long.
    """
    rest = opened.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    while True:
        more = opened.read(_BLOCK_BYTES)
        block = rest + more
        if not more:
            if block:
                yield block
            return
        end = _last_end(block, quoted=quoted)
        if end == 0 and len(block) > _LONGEST_RECORD:
            reason = f"a record is longer than {_LONGEST_RECORD:,} bytes"
            raise InvalidData(file.name, reason=reason, hint="see that its quotation marks come in pairs")
        if end:
            yield block[:end]
        rest = block[end:]


def _last_end(block: bytes, *, quoted: bool) -> int:
    """Return where the last whole record of a block ends."""
    end = block.rfind(b"\n") + 1
    if not quoted:
        return end
    marks = block.count(_QUOTE, 0, end)
    while end and marks % 2:  # marks inside of a cell are doubled, so outside of all cells their number is even
        earlier = block.rfind(b"\n", 0, end - 1) + 1
        marks -= block.count(_QUOTE, earlier, end)
        end = earlier
    return end


def split_records(block: bytes, *, quoted: bool) -> list[bytes]:
    """Return the records of a block, each with its line's end; blank lines are none."""
    lines = [line + b"\n" for line in block.split(b"\n")]
    if not quoted or _QUOTE not in block:
        return [line for line in lines if line.strip()]
    records: list[bytes] = []
    begun: list[bytes] = []
    marks = 0
    for line in lines:
        begun.append(line)
        marks += line.count(_QUOTE)
        if marks % 2 == 0:
            records.append(b"".join(begun))
            begun, marks = [], 0
    return [record for record in (*records, b"".join(begun)) if record.strip()]


def count_records(block: bytes, *, quoted: bool) -> int:
    """Return how many records a block has."""
    has_blanks = block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\n\r\n" in block
    if has_blanks or (quoted and _QUOTE in block):
        return len(split_records(block, quoted=quoted))
    return block.count(b"\n") + (block != b"" and not block.endswith(b"\n"))
