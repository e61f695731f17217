"""What crosses between two processes: a tree of JSON, and the bytes of its arrays beside it.

The other side may run code that nobody here trusts, under another version of numpy or pandas. So nothing is pickled: a
value is of one of a closed set of types, each with a tag, and ``encode`` refuses what is none of them. JSON's own types
stand for themselves, a dict of JSON is a tagged value. A subclass of dict, list or tuple arrives as the plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from palate._containers.kinds import is_array_like, is_ndarray, is_numpy_scalar, is_sparse, is_tabular, loaded_types
from palate._isolation.tree import Junk, Node
from palate._isolation.zones import decode_zone, encode_zone, find_zone
from palate._late import LateModule
from palate._process_errors import NotTransferable
from palate.errors import CodeReason, DependencyMissing, Problem
from palate.matrix import Matrix

if TYPE_CHECKING:
    from palate._isolation import array_wire, frame_wire
else:
    array_wire = LateModule("palate._isolation.array_wire")
    frame_wire = LateModule("palate._isolation.frame_wire")

__all__ = ["Reader", "Writer"]

_DEEPEST = 200  # values inside of values; JSON's own reader ends at about a thousand


class Writer:
    """Encodes values; their arrays gather in ``buffers``.

    Attributes:
        buffers: bytes beside the tree, each a contiguous memoryview of bytes.
    """

    def __init__(self) -> None:
        self.buffers: list[memoryview] = []
        self._depth = 0

    def add(self, content: Any) -> int:
        """Take bytes that shall lie beside the tree, and return the number that refers to them."""
        view = memoryview(content)
        # An empty view cannot be cast, and dates have a format that only numpy knows.
        self.buffers.append(view.cast("B") if view.nbytes else memoryview(b""))
        return len(self.buffers) - 1

    def encode(self, value: object) -> Node:
        """Return *value* as a part of the tree.

        Raises:
            NotTransferable: it, or something in it, is of a type that does not cross.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                raise NotTransferable(kind.__qualname__, where=f"{_DEEPEST} others inside of each other")
            encode = _ENCODERS.get(kind) or _find_encoder(value)
            return encode(self, value)
        finally:
            self._depth -= 1


class Reader:
    """Decodes what a ``Writer`` wrote.

    Args:
        buffers: the bytes beside the tree; values may keep them.
    """

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self._buffers = buffers

    def take(self, number: object) -> memoryview:
        """Return the bytes that a number refers to."""
        if type(number) is not int or not 0 <= number < len(self._buffers):
            raise Junk(f"there are no bytes {number!r:.20}")
        return self._buffers[number]

    def decode(self, node: Node) -> Any:
        """Return the value of a part of the tree.

        Raises:
            Junk: it is none.
            DependencyMissing: a package that its type belongs to is not installed here.
        """
        if type(node) is list:
            return [self.decode(part) for part in node]
        if type(node) is not dict:
            return node
        tag = node.get("t")
        decode = _DECODERS.get(tag) if type(tag) is str else None
        if decode is None:
            raise Junk(f"{tag!r:.20} is the tag of no type")
        try:
            return decode(self, node)
        except (Junk, DependencyMissing, MemoryError, RecursionError, KeyboardInterrupt):
            raise
        except BaseException as exc:  # each library has its own for bytes that are none of its; polars panics
            raise Junk(f"{tag}: {exc}") from exc


# -- Python's own types ------------------------------------------------------------------------------------------------

_PLAIN = frozenset({type(None), bool, float, str})
# Python writes no decimal of more than some thousand digits.
_LARGEST = 1 << 64


def _encode_int(_: Writer, value: int) -> Node:
    return value if -_LARGEST < value < _LARGEST else {"t": "int", "v": hex(value)}


def _encode_list(writer: Writer, value: list[Any]) -> Node:
    return [part if type(part) in _PLAIN else writer.encode(part) for part in value]


def _encode_tuple(writer: Writer, value: tuple[Any, ...]) -> Node:
    return {"t": "tuple", "v": _encode_list(writer, list(value))}


def _encode_set(writer: Writer, value: set[Any] | frozenset[Any]) -> Node:
    return {"t": "frozenset" if isinstance(value, frozenset) else "set", "v": _encode_list(writer, list(value))}


def _encode_dict(writer: Writer, value: Mapping[Any, Any]) -> Node:
    return {"t": "dict", "k": _encode_list(writer, list(value)), "v": _encode_list(writer, list(value.values()))}


def _decode_dict(reader: Reader, node: Node) -> dict[Any, Any]:
    return dict(zip(reader.decode(node["k"]), reader.decode(node["v"]), strict=True))


def _encode_matrix(writer: Writer, value: Matrix) -> Node:
    return {"t": "matrix", "a": writer.encode(value.values), "c": _encode_list(writer, list(value.columns))}


def _encode_timedelta(_: Writer, value: timedelta) -> Node:
    return {"t": "timedelta", "v": [value.days, value.seconds, value.microseconds]}


def _encode_datetime(_: Writer, value: datetime) -> Node:
    zone = value.tzinfo
    if zone is not None and not isinstance(zone, timezone | ZoneInfo):
        value = value.astimezone(find_zone(zone))  # pytz keeps in the zone which of two equal times it is
    naive = value.replace(tzinfo=None).isoformat()
    return {"t": "datetime", "v": naive, "fold": value.fold, "z": encode_zone(value.tzinfo)}


def _decode_datetime(_: Reader, node: Node) -> datetime:
    return datetime.fromisoformat(node["v"]).replace(fold=node["fold"], tzinfo=decode_zone(node["z"]))


def _encode_time(_: Writer, value: time) -> Node:
    naive = value.replace(tzinfo=None).isoformat()
    return {"t": "time", "v": naive, "fold": value.fold, "z": encode_zone(value.tzinfo)}


def _decode_time(_: Reader, node: Node) -> time:
    return time.fromisoformat(node["v"]).replace(fold=node["fold"], tzinfo=decode_zone(node["z"]))


def _tagged_text(tag: str, write: Callable[[Any], str]) -> Callable[[Writer, Any], Node]:
    return lambda _, value: {"t": tag, "v": write(value)}


def _encode_problem(writer: Writer, value: Problem) -> Node:
    return {"t": "problem", "w": _encode_list(writer, list(value.where)), "k": value.kind, "m": value.message}


_Encoder: TypeAlias = Callable[[Writer, Any], Node]
_Decoder: TypeAlias = Callable[[Reader, Node], Any]

_ENCODERS: dict[type, _Encoder] = {
    list: _encode_list,
    tuple: _encode_tuple,
    dict: _encode_dict,
    set: _encode_set,
    frozenset: _encode_set,
    bytes: lambda writer, value: {"t": "bytes", "b": writer.add(value)},
    bytearray: lambda writer, value: {"t": "bytearray", "b": writer.add(bytes(value))},
    complex: lambda _, value: {"t": "complex", "v": [value.real, value.imag]},
    int: _encode_int,
    date: _tagged_text("date", date.isoformat),
    time: _encode_time,
    datetime: _encode_datetime,
    timedelta: _encode_timedelta,
    Decimal: _tagged_text("decimal", str),
    UUID: _tagged_text("uuid", str),
    Matrix: _encode_matrix,
    Problem: _encode_problem,
    CodeReason: lambda _, value: {"t": "reason", "f": value.file, "r": value.rule},
}

_DECODERS: dict[str, _Decoder] = {
    "tuple": lambda reader, node: tuple(reader.decode(node["v"])),
    "set": lambda reader, node: set(reader.decode(node["v"])),
    "frozenset": lambda reader, node: frozenset(reader.decode(node["v"])),
    "dict": _decode_dict,
    "bytes": lambda reader, node: bytes(reader.take(node["b"])),
    "bytearray": lambda reader, node: bytearray(reader.take(node["b"])),
    "complex": lambda _, node: complex(*node["v"]),
    "date": lambda _, node: date.fromisoformat(node["v"]),
    "int": lambda _, node: int(node["v"], 16),
    "time": _decode_time,
    "datetime": _decode_datetime,
    "timedelta": lambda _, node: timedelta(*node["v"]),
    "decimal": lambda _, node: Decimal(node["v"]),
    "uuid": lambda _, node: UUID(node["v"]),
    "matrix": lambda reader, node: Matrix(reader.decode(node["a"]), tuple(reader.decode(node["c"]))),
    "problem": lambda reader, node: Problem(tuple(reader.decode(node["w"])), node["k"], node["m"]),
    "reason": lambda _, node: CodeReason(node["f"], node["r"]),
    "array": lambda reader, node: array_wire.decode_array(reader, node),
    "scalar": lambda reader, node: array_wire.decode_scalar(reader, node),
    "sparse": lambda reader, node: array_wire.decode_sparse(reader, node),
    "tensor": lambda reader, node: array_wire.decode_tensor(reader, node),
    "frame": lambda reader, node: frame_wire.decode_frame(reader, node),
    "series": lambda reader, node: frame_wire.decode_series(reader, node),
    "index": lambda reader, node: frame_wire.decode_index(reader, node),
    "timestamp": lambda reader, node: frame_wire.decode_moment(reader, node),
    "missing": lambda reader, node: frame_wire.decode_missing(reader, node),
    "arrow": lambda reader, node: frame_wire.decode_arrow(reader, node),
    "polars": lambda reader, node: frame_wire.decode_polars(reader, node),
}


# Python's own way, whatever a subclass such as an enumeration says that it looks like.
_AS_PLAIN: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


def _find_encoder(value: object) -> _Encoder:
    """Return what encodes a value that is none of Python's own types."""
    if is_ndarray(value):
        return array_wire.encode_array
    if is_numpy_scalar(value):
        return array_wire.encode_scalar
    if is_sparse(value):
        return array_wire.encode_sparse
    if is_tabular(value):
        return frame_wire.encode_table
    if isinstance(value, loaded_types("pandas", "Timestamp", "Timedelta", "Index")) or frame_wire.is_missing(value):
        return frame_wire.encode_part
    if is_array_like(value):
        return array_wire.encode_tensor
    for base in (dict, list, tuple):
        if isinstance(value, base):
            return _ENCODERS[base]
    for kind, as_plain in _AS_PLAIN.items():
        if isinstance(value, kind):
            return lambda writer, given: writer.encode(as_plain(given))
    raise NotTransferable(f"{type(value).__module__}.{type(value).__qualname__}")
