"""Text in blocks that end where a record ends, so that each can be read by itself."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

from palate.datasets._files import DataFile
from palate.datasets._units import reading
from palate.errors import InvalidData

if TYPE_CHECKING:
    import numpy as np

__all__ = ["count_records", "has_stray_marks", "read_blocks", "split_records"]

_BLOCK_BYTES: Final = 4 << 20
_LONGEST_RECORD: Final = 256 << 20
_QUOTE: Final = b'"'
_NEW_LINE, _RETURN, _MARK = b'\n\r"'


def read_blocks(file: DataFile, format: str, *, delimiter: str | None) -> Generator[bytes, None, None]:
    """Yield the bytes of a text file, without a byte-order mark, in blocks of whole records.

    Args:
        file: which one; it is open until the last block, or the end of the iterator.
        format: what it is, for errors.
        delimiter: between the cells of csv, where a line's end between quotation marks is part of a cell (RFC 4180);
            None for text without cells, where each line is a record.

    Raises:
        InvalidData: it cannot be read, or a record has no end for very long.
    """
    with reading(file, format):
        opened = file.open()
    with opened:
        read = partial(_read, file, format, opened)
        yield from _cut(file, read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8), read, delimiter)


def _read(file: DataFile, format: str, opened: IO[bytes], size: int) -> bytes:
    with reading(file, format):
        return opened.read(size)


def _cut(file: DataFile, rest: bytes, read: Callable[[int], bytes], delimiter: str | None) -> Iterator[bytes]:
    size = _BLOCK_BYTES
    while True:
        more = read(size)
        block = rest + more
        if not more:
            if block:
                yield block
            return
        end = _last_end(block, delimiter)
        if end == 0 and len(block) > _LONGEST_RECORD:
            reason = f"a record is longer than {_LONGEST_RECORD:,} bytes"
            raise InvalidData(file.name, reason=reason, hint="see that its quotation marks come in pairs")
        # Looked through again and again, a long record would take a time that grows with the square of its length.
        size = _BLOCK_BYTES if end else len(block)
        if end:
            yield block[:end]
        rest = block[end:]


def _last_end(block: bytes, delimiter: str | None) -> int:
    """Return where the last whole record of a block ends."""
    if delimiter is None or (_QUOTE not in block and b"\n" in block):
        return block.rfind(b"\n") + 1
    ends = _record_ends(block, delimiter)
    # What follows may be the rest of a line's end.
    if len(ends) and ends[-1] == len(block) and block.endswith(b"\r"):
        ends = ends[:-1]
    return int(ends[-1]) if len(ends) else 0


def split_records(block: bytes, *, delimiter: str | None) -> list[bytes]:
    """Return the records of a block, each with its line's end; blank lines are none.

    Those of csv are behind the blank lines before them, so that lines can be counted.
    """
    if delimiter is None:
        return [line + b"\n" for line in block.split(b"\n") if line.strip()]
    if _QUOTE in block:
        ends = [*_record_ends(block, delimiter).tolist(), len(block)]
        lines = [block[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    else:
        lines = block.splitlines(keepends=True)
    records, blanks = list[bytes](), b""
    for line in lines:
        if not line.strip(b"\r\n"):
            blanks += line
            continue
        records.append(blanks + line if blanks else line)
        blanks = b""
    if records and not records[-1].endswith((b"\n", b"\r")):
        records[-1] += b"\n"
    return records


def count_records(block: bytes, *, delimiter: str | None) -> int:
    """Return how many records a block has."""
    has_blanks = block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\n\r" in block
    has_others = (b"\r" in block or _QUOTE in block) if delimiter is not None else has_blanks
    if has_blanks or has_others or delimiter is None:
        return len(split_records(block, delimiter=delimiter))
    return block.count(b"\n") + (block != b"" and not block.endswith(b"\n"))


# -- quotation marks ---------------------------------------------------------------------------------------------------


def has_stray_marks(block: bytes, *, delimiter: str) -> bool:
    """Tell whether whole records have a mark that neither begins nor ends a cell, nor is doubled inside of one."""
    count = block.count(_QUOTE)
    return count % 2 == 1 or (count > 0 and not _are_paired(_bytes_of(block), delimiter))


def _record_ends(block: bytes, delimiter: str) -> np.ndarray[Any, Any]:
    """Return the places behind all ends of lines that are not inside of a cell."""
    import numpy as np

    text = _bytes_of(block)
    is_end = text == _NEW_LINE
    is_end[:-1] |= (text[:-1] == _RETURN) & (text[1:] != _NEW_LINE)
    is_end[-1:] |= text[-1:] == _RETURN
    ends = np.flatnonzero(is_end)
    if _are_paired(text, delimiter):
        ends = ends[np.searchsorted(np.flatnonzero(text == _MARK), ends) % 2 == 0]
    else:
        starts, stops = _find_cells(block, delimiter)
        ends = ends[np.searchsorted(starts, ends) == np.searchsorted(stops, ends, side="right")]
    places: np.ndarray[Any, Any] = ends + 1
    return places


def _are_paired(text: np.ndarray[Any, Any], delimiter: str) -> bool:
    """Tell whether each mark begins a cell, ends one, or is one of two inside of one; the last cell may have no end."""
    import numpy as np

    if not delimiter.isascii():
        return False
    outside = np.array([_NEW_LINE, _RETURN, ord(delimiter)], "uint8")
    marks = np.flatnonzero(text == _MARK)
    openers, closers = marks[::2], marks[1::2]
    before = text[openers[openers > 0] - 1]
    after = text[closers[closers < len(text) - 1] + 1]
    begins, ends = np.isin(before, outside), np.isin(after, outside)
    # A closing mark that another one follows is the first of two, and that one the second.
    is_second = np.zeros(len(openers), bool)
    is_second[1:] = openers[1:] == closers[: len(openers) - 1] + 1
    return bool(np.all(begins | is_second[openers > 0]) and np.all(ends | (after == _MARK)))


def _find_cells(block: bytes, delimiter: str) -> tuple[list[int], list[int]]:
    """Return where cells in quotation marks begin and end, as Python's reader of csv understands them."""
    mark = re.escape(delimiter.encode())
    pattern = re.compile(rb'"(?:(?<=[\r\n]")|(?<=%s"))[^"]*(?:""[^"]*)*(?:"|\Z)' % mark)
    spans = [(found.start() - 1, found.end() - 1) for found in pattern.finditer(b"\n" + block)]
    return [start for start, _ in spans], [end for _, end in spans]


def _bytes_of(block: bytes) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.frombuffer(block, "uint8")
