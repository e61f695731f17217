"""The outer shape of a ``.keras`` file: a zip in which each byte belongs to one known, uncompressed member."""

from __future__ import annotations

import io
import mmap
import re
import struct
import zipfile
from typing import IO

from palate.errors import UnsafeModel
from tf_flavor._hdf5 import check_hdf5
from tf_flavor._keras_config import MAX_CONFIG
from tf_flavor._refusing import FETCH_AGAIN, refuse

__all__ = ["CONFIG", "METADATA", "WEIGHTS", "check_archive", "member_start"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_ASSET = re.compile(r"assets/([A-Za-z0-9_]{1,200}/){1,40}vocabulary\.txt")
_MAX_METADATA = 1 << 20
_MAX_MEMBERS = 10_000
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_UTF8_NAME = 0x800


def check_archive(stream: IO[bytes], file: str) -> tuple[bytes, int]:
    """Check *stream* and return the description of the model, and how many bytes its weights have.

    Raises:
        UnsafeModel: naming *file* and the rule that it breaks.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _check_members(archive, stream, file)
            config = archive.read(CONFIG)
            weights = _check_weights(stream, member_start(stream, members[WEIGHTS]), members[WEIGHTS].file_size, file)
    except UnsafeModel:
        raise
    except (zipfile.BadZipFile, struct.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as exc:
        raise UnsafeModel(file, rule=f"it is not a whole .keras file ({exc!s:.200})", hint=FETCH_AGAIN) from exc
    finally:
        stream.seek(0)
    return config, weights


def _check_members(archive: zipfile.ZipFile, stream: IO[bytes], file: str) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(infos) > _MAX_MEMBERS or len(members) != len(infos):
        refuse(file, "it has too many members, or two of one name")
    for name in (CONFIG, METADATA, WEIGHTS):
        if name not in members:
            refuse(file, f"it has no {name}")
    for name in members.keys() - {CONFIG, METADATA, WEIGHTS}:
        if not _ASSET.fullmatch(name):
            refuse(file, f"it has a member called {name!r:.80}")
    if members[CONFIG].file_size > MAX_CONFIG or members[METADATA].file_size > _MAX_METADATA:
        refuse(file, f"its {CONFIG} or {METADATA} is too large")
    _check_layout(archive, infos, stream, file)
    return members


def _check_layout(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], stream: IO[bytes], file: str) -> None:
    """Check that the members fill the file without gap or overlap, and that both of their headers agree."""
    position = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ~_UTF8_NAME or info.comment:
            refuse(file, f"its member {info.filename} is compressed, encrypted, or has a comment")
        if info.header_offset != position or info.compress_size != info.file_size:
            refuse(file, f"its member {info.filename} is not where it should be")
        position = member_start(stream, info) + info.file_size
    directory = sum(46 + len(info.orig_filename.encode()) + len(info.extra) for info in infos)
    size = stream.seek(0, io.SEEK_END)
    # An archive of more than 4 GiB has another two records at its end.
    if archive.start_dir != position or size - position - directory not in (22, 22 + 76) or archive.comment:
        refuse(file, "it holds bytes that belong to none of its members")


def member_start(stream: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin; its own header must say what the directory of the archive says."""
    stream.seek(info.header_offset)
    signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(
        stream.read(_LOCAL.size)
    )
    name, extra = stream.read(name_length), stream.read(extra_length)
    if packed == size == 0xFFFFFFFF and extra[:4] == b"\x01\0\x10\0" and len(extra) == 20:
        size, packed = struct.unpack("<QQ", extra[4:])
    elif extra:
        raise zipfile.BadZipFile("a member has an unknown extra field")
    expected = (b"PK\3\4", info.flag_bits, info.compress_type, info.CRC, info.compress_size, info.file_size)
    if (signature, flags, method, crc, packed, size) != expected or name != info.orig_filename.encode():
        raise zipfile.BadZipFile("a member's header is not what the directory says")
    return info.header_offset + _LOCAL.size + int(name_length) + int(extra_length)


def _check_weights(stream: IO[bytes], start: int, size: int, file: str) -> int:
    with (
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as whole,
        whole[start : start + size] as part,
    ):
        return check_hdf5(part, f"{file}:{WEIGHTS}")
