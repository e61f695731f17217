"""The outer shape of a .skops file: a zip of one schema.json and of arrays, held to limits before anything is built."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any, NoReturn

from palate.errors import UnsafeModel
from palate.hookspecs import parse_json

__all__ = ["SCHEMA", "ArrayHeader", "SkopsArchive", "looks_like_bomb"]

SCHEMA = "schema.json"
_MEMBER = re.compile(r"[0-9a-f-]{1,40}\.(npy|npz|bin)", re.ASCII)
_SPARSE_PARTS = ["format", "shape", "data", "indices", "indptr", "row", "col", "coords", "offsets", "_is_array"]
_SPARSE_MEMBERS = frozenset(f"{name}.npy" for name in _SPARSE_PARTS)
_MAX_SCHEMA = 256 << 20
_MAX_MEMBERS = 1_000_000
# A forest of zeros deflates a thousand-fold; below this many bytes nobody is hurt by that.
_FREE_SIZE = 64 << 20
_MAX_RATIO = 100
_MAX_HEADER = 16 << 10

ArrayHeader = tuple[tuple[int, ...], str]


@dataclass(slots=True)
class SkopsArchive:
    """An opened .skops file whose members are known, bounded, and free of pickles.

    Attributes:
        file: what the file is called in errors.
        members: the names of all members but the schema.
        arrays: the shape and dtype of every ``.npy`` member, by member name.
    """

    file: str
    archive: zipfile.ZipFile
    members: frozenset[str]
    arrays: dict[str, ArrayHeader]
    schema: dict[str, Any]

    @classmethod
    def read(cls, stream: IO[bytes], file: str) -> SkopsArchive:
        """Check *stream* and read its schema and the headers of its arrays.

        Raises:
            UnsafeModel: naming *file* and the rule that it breaks.
        """
        try:
            archive = zipfile.ZipFile(stream)  # it closes only what it opened itself
            names = _check_members(archive, stream, file)
            arrays = {name: _read_header(archive, name, file) for name in names if name.endswith(".npy")}
            for name in names:
                if name.endswith(".npz"):
                    _check_sparse(archive, name, file)
            schema = _read_schema(archive, file)
        except UnsafeModel:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
            raise UnsafeModel(file, rule=f"it is not a whole .skops file ({exc!s:.200})") from exc
        except (ValueError, SyntaxError, TypeError) as exc:
            raise UnsafeModel(file, rule=f"a member is malformed ({exc!s:.200})") from exc
        return cls(file, archive, frozenset(names), arrays, schema)

    def content(self, member: str) -> bytes:
        """Return the bytes of a member; their sum has been held against the size of the file."""
        try:
            return self.archive.read(member)
        except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
            raise UnsafeModel(self.file, rule=f"its member {member} is damaged ({exc!s:.200})") from exc


def _refuse(file: str, rule: str) -> NoReturn:
    raise UnsafeModel(file, rule=rule, hint="fetch the model again from where it came")


def _check_members(archive: zipfile.ZipFile, stream: IO[bytes], file: str) -> list[str]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(infos) > _MAX_MEMBERS:
        _refuse(file, f"it has more than {_MAX_MEMBERS:,} members")
    if len(set(names)) != len(names):
        _refuse(file, "it has two members of one name")
    if names.count(SCHEMA) != 1:
        _refuse(file, f"it has no {SCHEMA}")
    for info in infos:
        if info.filename != SCHEMA and not _MEMBER.fullmatch(info.filename):
            _refuse(file, f"it has a member called {info.filename!r:.80}")
        _check_coding(info, info.filename, file)
    _check_size(infos, _stream_size(stream), file)
    return [name for name in names if name != SCHEMA]


def _check_coding(info: zipfile.ZipInfo, label: str, file: str) -> None:
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _refuse(file, f"its member {label} is encrypted or compressed in an unusual way")


def _stream_size(stream: IO[bytes]) -> int:
    position = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return size


def looks_like_bomb(stored: int, unpacked: int) -> bool:
    """Whether so few bytes on disk should not become so many in memory."""
    return unpacked > max(_FREE_SIZE, stored * _MAX_RATIO)


def _check_size(infos: list[zipfile.ZipInfo], stored: int, file: str) -> None:
    unpacked = sum(info.file_size for info in infos)
    if looks_like_bomb(stored, unpacked):
        _refuse(file, f"its {stored:,} bytes would unpack to {unpacked:,}")


def _read_schema(archive: zipfile.ZipFile, file: str) -> dict[str, Any]:
    if archive.getinfo(SCHEMA).file_size > _MAX_SCHEMA:
        _refuse(file, f"its {SCHEMA} is larger than {_MAX_SCHEMA >> 20} MiB")
    try:
        schema = parse_json(archive.read(SCHEMA), max_bytes=_MAX_SCHEMA)
    except ValueError as exc:
        raise UnsafeModel(file, rule=f"its {SCHEMA} cannot be read ({exc!s:.200})") from exc
    if not isinstance(schema, dict):
        _refuse(file, f"its {SCHEMA} is not a mapping")
    return schema


def _read_header(archive: zipfile.ZipFile, name: str, file: str) -> ArrayHeader:
    """Return shape and dtype of an array member whose size is exactly what they say; never unpickles."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        head = io.BytesIO(member.read(_MAX_HEADER))
    return _parse_header(head, size, name, file)


def _parse_header(head: io.BytesIO, size: int, label: str, file: str) -> ArrayHeader:
    from numpy.lib import format as npy

    version = npy.read_magic(head)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        _refuse(file, f"{label} is an array file of version {version}")
    shape, _, dtype = readers[version](head)
    count = 1
    for length in shape:
        if length < 0:
            _refuse(file, f"{label} has a negative size")
        count *= length
    if dtype.hasobject:
        _refuse(file, f"{label} holds pickled objects")
    if head.tell() + count * dtype.itemsize != size:
        _refuse(file, f"{label} is {size:,} bytes long, which is not what its header says")
    return tuple(shape), dtype.str if dtype.names is None else "record"


def _check_sparse(archive: zipfile.ZipFile, name: str, file: str) -> None:
    """Check the zip inside the zip that scipy writes for a sparse matrix."""
    with archive.open(name) as member:
        packed = io.BytesIO(member.read())
    with zipfile.ZipFile(packed) as inner:
        infos = inner.infolist()
        if {info.filename for info in infos} - _SPARSE_MEMBERS or len({i.filename for i in infos}) != len(infos):
            _refuse(file, f"{name} has members that a sparse matrix has not")
        for info in infos:
            _check_coding(info, name, file)
        _check_size(infos, len(packed.getbuffer()), file)
        for info in infos:
            with inner.open(info.filename) as part:
                head = io.BytesIO(part.read(_MAX_HEADER))
            _parse_header(head, info.file_size, f"{name}/{info.filename}", file)
