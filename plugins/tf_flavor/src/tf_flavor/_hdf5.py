"""A strict reader of the HDF5 files that h5py writes for Keras: each structure is checked before libhdf5 sees a byte.

libhdf5 is C code that believes the addresses and sizes of a file. Of the format, Keras uses little: groups in the
layout of HDF5 1.0 (symbol tables), datasets of plain numbers in one piece, and texts as attributes. Whatever else there
is (soft and external links, external or virtual storage, chunks, filters, other types) is refused, and of what remains
every field that libhdf5 acts upon must be what h5py would have written.
"""

from __future__ import annotations

import math
import mmap

from palate.errors import UnsafeModel
from tf_flavor._hdf5_bytes import ELEMENT_SIZES, TEXT_TYPES, UNDEFINED, Blocks
from tf_flavor._refusing import FETCH_AGAIN

__all__ = ["check_hdf5"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Versions 0, offsets and lengths of 8 bytes, 4 symbols in half a node, 16 children in half a node of a tree.
_VERSIONS = b"\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0"
_NODE_SIZE = 24 + 33 * 8 + 32 * 8
_SYMBOLS_SIZE = 8 + 8 * 40
_FILL_VALUE = b"\x02\x02\x02\x01\0\0\0\0"
# In the header of an object everything fills up to eight bytes.
_PADDED_SIZES = {kind.ljust(-(-len(kind) // 8) * 8, b"\0"): size for kind, size in ELEMENT_SIZES.items()}
_MAX_DEPTH = 64
_MAX_OBJECTS = 1_000_000
_MAX_RANK = 32
_NIL, _SPACE, _TYPE, _FILL, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE = 0, 1, 3, 5, 8, 12, 16, 17


def check_hdf5(data: bytes | memoryview | mmap.mmap, file: str) -> int:
    """Check the whole structure of *data* and return how many bytes its datasets have in all.

    Raises:
        UnsafeModel: naming *file* and the rule that it breaks.
    """
    reader = _Reader(Blocks(data, file))
    reader.read_file()
    return reader.nbytes


Message = tuple[int, int, int]


class _Reader:
    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.nbytes = 0
        self._objects = 0
        self._heaps: dict[int, dict[int, int]] = {}

    def read_file(self) -> None:
        blocks = self.blocks
        blocks.claim(0, 96)
        blocks.expect(0, _SIGNATURE, "its first line")
        blocks.expect(8, _VERSIONS, "the version of its layout")
        flags, base, free, end, driver = blocks.integers("IQQQQ", 20)
        if (flags, base, free, driver) != (0, 0, UNDEFINED, UNDEFINED):
            blocks.refuse("its superblock is not as h5py writes it")
        if end != blocks.size:
            blocks.refuse(f"it is {blocks.size:,} bytes long and says {end:,}")
        if blocks.integers("Q", 56) != (0,):
            blocks.refuse("its root has a name")
        self._read_entry(56, "", depth=0)
        blocks.check_overlaps()

    def _read_entry(self, address: int, path: str, *, depth: int) -> None:
        """Read an object from the entry of a symbol table that leads to it; a copy of its table may stand there."""
        header, kind, reserved, tree, heap = self.blocks.integers("QIIQQ", address + 8)
        if kind not in (0, 1) or reserved:
            self.blocks.refuse(f"{path or 'its root'} is a link, not an object")
        table = self._read_object(header, path, depth=depth)
        if kind == 1 and table != (tree, heap):
            self.blocks.refuse(f"{path or 'its root'} is described twice, differently")

    # -- objects -------------------------------------------------------------------------------------------------------

    def _read_object(self, address: int, path: str, *, depth: int) -> tuple[int, int] | None:
        self._objects += 1
        if depth > _MAX_DEPTH or self._objects > _MAX_OBJECTS:
            self.blocks.refuse("it has too many objects, or too deep a tree of them")
        messages = self._messages(address)
        plain: dict[int, Message] = {}
        attributes = 0
        for message in messages:
            kind = message[0]
            if kind == _ATTRIBUTE:
                attributes += 1
                self._check_attribute(message)
            elif kind in plain:
                self.blocks.refuse(f"{path or 'its root'} is described twice")
            elif kind != _NIL:
                plain[kind] = message
        if attributes > 64:
            self.blocks.refuse(f"{path or 'its root'} has {attributes} attributes")
        if set(plain) == {_SYMBOL_TABLE}:
            return self._read_group(plain[_SYMBOL_TABLE], path, depth=depth)
        if set(plain) != {_SPACE, _TYPE, _FILL, _LAYOUT}:
            self.blocks.refuse(f"{path or 'its root'} is neither a group nor a dataset in one piece without filters")
        self._read_dataset(plain, path)
        return None

    def _messages(self, address: int) -> list[Message]:
        """Return the messages of an object's header, as kind, address and size; none of them is shared."""
        blocks = self.blocks
        blocks.claim(address, 16)
        version, reserved, count, references, size = blocks.integers("BBHII", address)
        if (version, reserved, references) != (1, 0, 1):
            blocks.refuse("the header of an object is not as h5py writes it, or the object has two names")
        pending, messages, total = [(address + 16, size)], [], 0
        while pending:
            start, length = pending.pop()
            position, end = blocks.claim(start, length), start + length
            if length % 8 or length < 8:
                blocks.refuse("the header of an object has an odd size")
            while position < end:
                kind, size, flags, *zeros = blocks.integers("HHBBBB", position)
                if size % 8 or position + 8 + size > end or flags > 1 or zeros != [0] * 3:
                    blocks.refuse("a message in the header of an object is malformed")
                total += 1
                if kind == _CONTINUATION:
                    self._need(size, 16)
                    pending.append((blocks.integers("Q", position + 8)[0], blocks.integers("Q", position + 16)[0]))
                else:
                    messages.append((kind, position + 8, size))
                position += 8 + size
            if total > count:
                break
        if total != count:
            blocks.refuse("the header of an object has another number of messages than it says")
        return messages

    def _need(self, size: int, least: int) -> None:
        if size < least:
            self.blocks.refuse("a message in the header of an object is too short")

    # -- groups --------------------------------------------------------------------------------------------------------

    def _read_group(self, message: Message, path: str, *, depth: int) -> tuple[int, int]:
        self._need(message[2], 16)
        tree, heap = self.blocks.integers("QQ", message[1])
        names = self._read_heap(heap)
        seen: set[str] = set()
        for address in self._symbols(tree, names):
            name = self._name(self.blocks.integers("Q", address)[0], names)
            if not name or name in seen or "/" in name or name in (".", ".."):
                self.blocks.refuse(f"{path or 'its root'} has a member called {name!r:.80}, or two of them")
            seen.add(name)
            self._read_entry(address, f"{path}/{name}", depth=depth + 1)
        return tree, heap

    def _read_heap(self, address: int) -> tuple[int, int]:
        """Check a local heap, where the names of a group's members stand; return where they start and end."""
        blocks = self.blocks
        blocks.claim(address, 32)
        blocks.expect(address, b"HEAP\0\0\0\0", "a heap of names")
        size, free, start = blocks.integers("QQQ", address + 8)
        blocks.claim(start, size)
        if size < 8 or size % 8:
            blocks.refuse("a heap of names has an odd size")
        last = -1
        # 1 ends the list; h5py keeps it in the order of addresses, which rules out a ring.
        while free != 1:
            if free <= last or free % 8 or free > size - 16:
                blocks.refuse("the free space of a heap of names is malformed")
            last = free
            free, length = blocks.integers("QQ", start + free)
            if length < 16 or length % 8 or length > size - last:
                blocks.refuse("the free space of a heap of names is malformed")
        return start, start + size

    def _name(self, offset: int, names: tuple[int, int]) -> str:
        start, end = names
        if offset >= end - start:
            self.blocks.refuse("the name of an object is outside of its heap")
        text = self.blocks.take(start + offset, min(end - start - offset, 1025))
        name, found, _ = text.partition(b"\0")
        if not found:
            self.blocks.refuse("the name of an object does not end")
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise UnsafeModel(self.blocks.file, rule="the name of an object is not UTF-8", hint=FETCH_AGAIN) from exc

    def _symbols(self, root: int, names: tuple[int, int]) -> list[int]:
        """Return the addresses of all entries of a group, from a tree whose levels are linked as they should be."""
        blocks, level, nodes = self.blocks, None, [root]
        while True:
            children: list[int] = []
            for number, address in enumerate(nodes):
                blocks.claim(address, _NODE_SIZE)
                blocks.expect(address, b"TREE\0", "a tree of names")
                found, used, left, right = blocks.integers("BHQQ", address + 5)
                level = found if level is None else level
                beside = (
                    nodes[number - 1] if number else UNDEFINED,
                    nodes[number + 1] if number + 1 < len(nodes) else UNDEFINED,
                )
                if found != level or used > 32 or (left, right) != beside or (used == 0 and address != root):
                    blocks.refuse("a tree of names is malformed")
                for place in range(used + 1):
                    self._name(blocks.integers("Q", address + 24 + 16 * place)[0], names)
                children += [blocks.integers("Q", address + 32 + 16 * place)[0] for place in range(used)]
            if len(children) > _MAX_OBJECTS:
                blocks.refuse("it has too many objects")
            if not level:
                return [entry for child in children for entry in self._leaf(child)]
            nodes, level = children, level - 1

    def _leaf(self, address: int) -> list[int]:
        blocks = self.blocks
        blocks.claim(address, _SYMBOLS_SIZE)
        blocks.expect(address, b"SNOD\1\0", "a table of names")
        (count,) = blocks.integers("H", address + 6)
        if not 0 < count <= 8:
            blocks.refuse("a table of names has an impossible length")
        return [address + 8 + 40 * place for place in range(count)]

    # -- datasets ------------------------------------------------------------------------------------------------------

    def _read_dataset(self, messages: dict[int, Message], path: str) -> None:
        blocks = self.blocks
        shape = self._shape(*messages[_SPACE][1:])
        itemsize = self._itemsize(*messages[_TYPE][1:])
        blocks.expect(messages[_FILL][1], _FILL_VALUE, f"the fill value of {path}")
        _, address, size = messages[_LAYOUT]
        self._need(size, 18)
        blocks.expect(address, b"\x03\x01", f"the storage of {path}")
        start, length = blocks.integers("QQ", address + 2)
        nbytes = math.prod(shape) * itemsize
        if length != nbytes or (start == UNDEFINED) != (nbytes == 0):
            blocks.refuse(f"{path} is of shape {shape} and has {length:,} bytes in the file")
        if nbytes:
            blocks.claim(start, length)
        self.nbytes += nbytes

    def _shape(self, address: int, size: int) -> tuple[int, ...]:
        self._need(size, 8)
        version, rank, limits, *zeros = self.blocks.integers("BBBBI", address)
        if version != 1 or rank > _MAX_RANK or limits > 1 or any(zeros):
            self.blocks.refuse("the shape of a dataset is not as h5py writes it")
        self._need(size, 8 + 8 * rank * (1 + limits))
        shape = self.blocks.integers(f"{rank}Q", address + 8)
        if limits and self.blocks.integers(f"{rank}Q", address + 8 + 8 * rank) != shape:
            self.blocks.refuse("a dataset can grow")
        return shape

    def _itemsize(self, address: int, size: int) -> int:
        encoded = self.blocks.take(address, size)
        if encoded not in _PADDED_SIZES:
            self.blocks.refuse("a dataset holds something else than numbers")
        return _PADDED_SIZES[encoded]

    # -- attributes ----------------------------------------------------------------------------------------------------

    def _check_attribute(self, message: Message) -> None:
        blocks, (_, address, size) = self.blocks, message
        self._need(size, 8)
        version, reserved, *sizes = blocks.integers("BBHHH", address)
        if (version, reserved) != (1, 0) or not 1 < sizes[0] <= 256:
            blocks.refuse("an attribute is not as h5py writes it")
        name, kind, space = (-(-length // 8) * 8 for length in sizes)
        self._need(size, 8 + name + kind + space)
        text = blocks.take(address + 8, sizes[0])
        if text[-1] or b"\0" in text[:-1]:
            blocks.refuse("the name of an attribute does not end")
        shape = self._shape(address + 8 + name + kind, space)
        encoded = blocks.take(address + 8 + name, sizes[1])
        value = address + 8 + name + kind + space
        is_text = encoded in TEXT_TYPES
        itemsize = 16 if is_text else ELEMENT_SIZES.get(encoded, 0)
        count = math.prod(shape)
        if not itemsize or value + count * itemsize > address + size:
            blocks.refuse("an attribute is neither text nor a number, or larger than it says")
        if is_text:
            for place in range(count):
                self._check_text(*blocks.integers("IQI", value + 16 * place))

    def _check_text(self, length: int, heap: int, index: int) -> None:
        if (length, heap, index) == (0, 0, 0):
            return
        if heap not in self._heaps:
            self._heaps[heap] = self._read_global_heap(heap)
        if self._heaps[heap].get(index) != length:
            self.blocks.refuse("the text of an attribute is not where it should be")

    def _read_global_heap(self, address: int) -> dict[int, int]:
        """Return the sizes of the texts in a collection by number; together they must fill it."""
        blocks = self.blocks
        blocks.claim(address, 16)
        blocks.expect(address, b"GCOL\1\0\0\0", "a heap of texts")
        (size,) = blocks.integers("Q", address + 8)
        if size < 4096 or size % 8:
            blocks.refuse("a heap of texts has an odd size")
        blocks.claim(address + 16, size - 16)
        objects: dict[int, int] = {}
        position, end = address + 16, address + size
        while end - position >= 16:
            index, _, reserved, length = blocks.integers("HHIQ", position)
            # Number 0 is the free space at the end, whose size counts its own header.
            step = length if index == 0 else 16 + -(-length // 8) * 8
            if reserved or index in objects or step < 16 or step > end - position:
                blocks.refuse("a heap of texts is malformed")
            objects[index] = length
            position += step
            if index == 0 and position != end:
                blocks.refuse("a heap of texts has a hole")
        objects.pop(0, None)
        return objects
