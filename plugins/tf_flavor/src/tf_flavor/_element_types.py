"""The types of TensorFlow's tensors by their numbers, as far as a file can hold them."""

from __future__ import annotations

__all__ = ["SIZES", "STRING"]

STRING = 7

# Bytes of an element, in the order of TensorFlow's types.proto.
SIZES = {
    1: 4,  # float32
    2: 8,  # float64
    3: 4,  # int32
    4: 1,  # uint8
    5: 2,  # int16
    6: 1,  # int8
    8: 8,  # complex64
    9: 8,  # int64
    10: 1,  # bool
    11: 1,  # qint8
    12: 1,  # quint8
    13: 4,  # qint32
    14: 2,  # bfloat16
    15: 2,  # qint16
    16: 2,  # quint16
    17: 2,  # uint16
    18: 16,  # complex128
    19: 2,  # float16
    22: 4,  # uint32
    23: 8,  # uint64
    24: 1,  # float8_e5m2
    25: 1,  # float8_e4m3fn
    29: 1,  # int4
    30: 1,  # uint4
}
