"""A strict reader of TensorFlow's checkpoints: ``variables.index``, a sorted table, and the shards of data."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, Any, NoReturn

from tf_flavor._element_types import SIZES, STRING
from tf_flavor._protobuf import parse_message
from tf_flavor._refusing import refuse

__all__ = ["check_checkpoint"]

_INDEX = "variables/variables.index"
_SHARD = re.compile(r"variables/variables\.data-([0-9]{5})-of-([0-9]{5})", re.ASCII)
_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_TRAILER = 5  # how a block is compressed, and its checksum
_MAX_INDEX = 256 << 20
_MAX_TEXT = 256 << 20
_MAX_KEY = 4096
_MAX_SHARING = 32  # how often a byte of a key may be shared: between the 16 keys from one restart to the next
# The tensor that says which tensor belongs to which object.
_OBJECTS = b"_CHECKPOINTABLE_OBJECT_GRAPH"


class _Bytes:
    """A position in bytes that end."""

    def __init__(self, data: bytes, label: str) -> None:
        self.data, self.position, self._label = data, 0, label

    def varint(self, limit: int = 1 << 32) -> int:
        """Return the number at the position, as short as it can be written."""
        value, shift = 0, 0
        while True:
            if self.position >= len(self.data) or shift > 63:
                self.refuse("a number does not end")
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if value >= limit:
            self.refuse("a number is too large")
        return value

    def take(self, length: int) -> bytes:
        """Return the next *length* bytes."""
        if length > len(self.data) - self.position:
            self.refuse("it ends too early")
        start, self.position = self.position, self.position + length
        return self.data[start : self.position]

    def refuse(self, rule: str) -> NoReturn:
        """Refuse the file."""
        refuse(self._label, f"it is malformed ({rule})")


@dataclass(frozen=True, slots=True)
class _Shard:
    """A file of numbers, opened."""

    label: str
    stream: IO[bytes]

    @property
    def size(self) -> int:
        return os.fstat(self.stream.fileno()).st_size


def check_checkpoint(index: bytes, shards: Mapping[str, IO[bytes]], label: str) -> int:
    """Check a checkpoint; return how many bytes its tensors have.

    Args:
        index: the bytes of ``variables.index``.
        shards: the files beside it, by their names in the SavedModel.
        label: what the SavedModel is called in errors.

    Raises:
        UnsafeModel: naming the file and the rule that it breaks.
    """
    for number, name in enumerate(sorted(shards)):
        found = _SHARD.fullmatch(name)
        if not found or (int(found[1]), int(found[2])) != (number, len(shards)):
            refuse(f"{label}/{name}", "it is no part of the checkpoint")
    files = [_Shard(f"{label}/{name}", shards[name]) for name in sorted(shards)]
    label = f"{label}/{_INDEX}"
    entries = _entries(index, label)
    key, value = next(entries, (None, b""))
    if key != b"":
        refuse(label, "it has no header")
    header = _parsed("BundleHeaderProto", value, label)
    if header.num_shards != len(shards) or header.endianness != 0 or header.version.producer != 1:
        refuse(label, "its header does not fit the files beside it")
    places: list[tuple[int, int, int]] = []
    for key, value in entries:
        entry = _parsed("BundleEntryProto", value, label)
        _check_entry(key, entry, files, label)
        if entry.size:
            places.append((entry.shard_id, entry.offset, entry.offset + entry.size))
        if key == _OBJECTS:
            _check_objects(entry, files[entry.shard_id], label)
    places.sort()
    if any(shard == other and end > start for (shard, _, end), (other, start, _) in pairwise(places)):
        refuse(label, "two of its tensors share bytes")
    return sum(end - start for _, start, end in places)


def _parsed(kind: str, value: bytes, label: str) -> Any:
    message = parse_message(kind, value)
    if message is None:
        refuse(label, "an entry is malformed")
    return message


# -- the table -------------------------------------------------------------------------------------------------------


def _entries(data: bytes, label: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values in order; the blocks of the table must fill the file."""
    if not _FOOTER <= len(data) <= _MAX_INDEX or data[-8:] != _MAGIC:
        refuse(label, "it is not the index of a checkpoint")
    footer = _Bytes(data[-_FOOTER:-8], label)
    about, index = (_handle(footer), _handle(footer))
    if any(footer.data[footer.position :]):
        refuse(label, "its last line is malformed")
    blocks = [(key, _handle(_Bytes(value, label), whole=True)) for key, value in _block(data, index, label)]
    end = 0
    for start, size in [*(handle for _, handle in blocks), about, index]:
        if start != end:
            refuse(label, "its blocks do not follow each other")
        end = start + size + _TRAILER
    if end != len(data) - _FOOTER or list(_block(data, about, label)):
        refuse(label, "it holds bytes that belong to none of its blocks")
    last: bytes | None = None
    total = 0
    for separator, handle in blocks:
        for key, value in _block(data, handle, label):
            if (last is not None and key <= last) or key > separator:
                refuse(label, "its entries are out of order")
            total += len(key)
            if len(key) > _MAX_KEY or total > _MAX_SHARING * len(data):
                refuse(label, "its names are too long")
            last = key
            yield key, value


def _handle(position: _Bytes, *, whole: bool = False) -> tuple[int, int]:
    start, size = position.varint(1 << 40), position.varint(1 << 40)
    if whole and position.position != len(position.data):
        position.refuse("the place of a block is malformed")
    return start, size


def _block(data: bytes, handle: tuple[int, int], label: str) -> Iterator[tuple[bytes, bytes]]:
    start, size = handle
    if size < 4 or start + size + _TRAILER > len(data) - _FOOTER or data[start + size] != 0:
        refuse(label, "a block is outside of the file, or compressed")
    block = data[start : start + size]
    count = int.from_bytes(block[-4:], "little")
    if not 0 < count <= (size - 4) // 4:
        refuse(label, "a block is malformed")
    body = len(block) - 4 - 4 * count
    restarts = {int.from_bytes(block[place : place + 4], "little") for place in range(body, len(block) - 4, 4)}
    if len(restarts) != count or (body == 0 and restarts != {0}):
        refuse(label, "a block is malformed")
    yield from _block_entries(_Bytes(block[:body], label), restarts)


def _block_entries(reader: _Bytes, restarts: set[int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block; a key may share its start with the one before, but not at a restart."""
    if 0 not in restarts:
        reader.refuse("a block does not start with a restart")
    key, waiting = b"", set(restarts)
    while reader.position < len(reader.data):
        restart = reader.position in waiting
        waiting.discard(reader.position)
        shared, rest, length = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key) or (restart and shared):
            reader.refuse("a key shares more than there is")
        key = key[:shared] + reader.take(rest)
        yield key, reader.take(length)
    if waiting - {0}:
        reader.refuse("a restart is not at an entry")


# -- the tensors -----------------------------------------------------------------------------------------------------


def _check_entry(key: bytes, entry: Any, shards: Sequence[_Shard], label: str) -> None:
    name = key.decode("utf-8", "replace")
    sizes = [dimension.size for dimension in entry.shape.dim]
    if entry.shape.unknown_rank or any(size < 0 for size in sizes) or len(sizes) > 254 or entry.slices:
        refuse(label, f"{name!r:.80} has no plain shape")
    if not 0 <= entry.shard_id < len(shards) or entry.offset < 0 or entry.size < 0:
        refuse(label, f"{name!r:.80} is nowhere")
    if entry.offset + entry.size > shards[entry.shard_id].size:
        refuse(label, f"{name!r:.80} is outside of its file")
    count = math.prod(sizes)
    if entry.dtype == STRING:
        _check_texts(entry, shards[entry.shard_id], count, label)
    elif entry.dtype not in SIZES or entry.size != count * SIZES[entry.dtype]:
        refuse(label, f"{name!r:.80} is of shape {sizes!s:.80} and has {entry.size:,} bytes")


def _check_texts(entry: Any, shard: _Shard, count: int, label: str) -> bytes:
    """Check a tensor of texts: their lengths, a checksum of those, then the texts one after the other: return these."""
    if entry.size > _MAX_TEXT or count > entry.size:
        refuse(label, "a tensor of texts is too large")
    shard.stream.seek(entry.offset)
    data = _Bytes(shard.stream.read(entry.size), shard.label)
    lengths = [data.varint(1 << 40) for _ in range(count)]
    data.take(4)
    if data.position + sum(lengths) != len(data.data):
        data.refuse("the lengths of its texts do not fit")
    return data.take(sum(lengths))


def _check_objects(entry: Any, shard: _Shard, label: str) -> None:
    """Check that each tensor is restored once, and into TensorFlow's own kinds of objects."""
    if entry.dtype != STRING or entry.shape.dim:
        refuse(label, "the list of its objects is no text")
    graph = _parsed("TrackableObjectGraph", _check_texts(entry, shard, 1, label), label)
    keys = [attribute.checkpoint_key for node in graph.nodes for attribute in node.attributes]
    if len(set(keys)) != len(keys):
        refuse(label, "two of its objects share a tensor")
    if any(node.HasField("registered_saver") for node in graph.nodes):
        refuse(label, "an object would be restored by a class that somebody registered")
