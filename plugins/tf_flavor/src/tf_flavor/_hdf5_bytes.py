"""The bytes of an HDF5 file, read where its own addresses point, and the types of numbers that Keras puts there."""

from __future__ import annotations

import mmap
import struct
from typing import NoReturn

from tf_flavor._refusing import refuse

__all__ = ["ELEMENT_SIZES", "TEXT_TYPES", "UNDEFINED", "Blocks"]

UNDEFINED = 0xFFFFFFFFFFFFFFFF


class Blocks:
    """A file, and the parts of it that its structures lay claim to; no byte may belong to two of them."""

    def __init__(self, data: bytes | memoryview | mmap.mmap, file: str) -> None:
        self._data, self.file, self.size = data, file, len(data)
        self._claims: list[tuple[int, int]] = []
        self._claimed = 0

    def claim(self, address: int, length: int) -> int:
        """Note that *length* bytes at *address* are a structure's own, and return the address."""
        if address > self.size or length > self.size - address:
            self.refuse("an address leads outside of the file")
        if length:
            self._claims.append((address, address + length))
        # Found now, not at the end, or going through what is used again and again would take for ever.
        self._claimed += length
        if self._claimed > self.size:
            self.refuse("its structures overlap, or one is used twice")
        return address

    def check_overlaps(self) -> None:
        """Refuse a file in which two structures share bytes: what one takes for numbers would steer another."""
        self._claims.sort()
        end = 0
        for start, stop in self._claims:
            if start < end:
                self.refuse("two of its structures overlap, or one is used twice")
            end = stop

    def integers(self, layout: str, address: int) -> tuple[int, ...]:
        """Return the integers at *address*."""
        length = struct.calcsize("<" + layout)
        if address > self.size - length:
            self.refuse("it ends inside of a structure")
        return struct.unpack_from("<" + layout, self._data, address)

    def take(self, address: int, length: int) -> bytes:
        """Return the bytes at *address*."""
        return bytes(self._data[address : address + length])

    def expect(self, address: int, value: bytes, what: str) -> None:
        """Refuse a file that has anything but *value* there."""
        if self.take(address, len(value)) != value:
            self.refuse(f"{what} is not as h5py writes it")

    def refuse(self, rule: str) -> NoReturn:
        """Refuse the file."""
        refuse(self.file, rule)


def _integer(size: int, *, signed: bool) -> bytes:
    return struct.pack("<BBBBIHH", 0x10, 8 if signed else 0, 0, 0, size, 0, size * 8)


def _float(size: int, exponent: int, mantissa: int) -> bytes:
    bits, bias = size * 8, (1 << (exponent - 1)) - 1
    return struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, bits - 1, 0, size, 0, bits, mantissa, exponent, 0, mantissa, bias)


def _opaque(size: int) -> bytes:
    """What h5py makes of bfloat16 and the eight-bit floats, whose names Keras puts into an attribute."""
    return struct.pack("<BBBBI", 0x15, 0, 0, 0, size)


def _text(charset: int) -> bytes:
    """A text of any length, which stands in a global heap."""
    return struct.pack("<BBBBI", 0x19, 1, charset, 0, 16) + struct.pack("<BBBBIHH", 0x10, 0, 0, 0, 1, 0, 8)


_BOOLEAN = b"\x18\x02\0\0\x01\0\0\0" + _integer(1, signed=True) + b"FALSE\0\0\0TRUE\0\0\0\0\0\1"

# The encoded type of a dataset, to the size of an element. Nothing else of HDF5's types reaches its library.
ELEMENT_SIZES: dict[bytes, int] = {
    **{_integer(size, signed=signed): size for size in (1, 2, 4, 8) for signed in (True, False)},
    **{_float(*parts): parts[0] for parts in ((2, 5, 10), (4, 8, 23), (8, 11, 52))},
    **{_opaque(size): size for size in (1, 2)},
    _BOOLEAN: 1,
}
TEXT_TYPES = (_text(0), _text(1))
