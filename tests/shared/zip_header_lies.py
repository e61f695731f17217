"""Zip files whose two headers of a member disagree, or hold what readers understand differently.

Ids are H (fields, names, streams) and X (extra fields).
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from archive_recipes import Members, Recipe, Verdict, add, change_first, in_order, say
from zip_writing import (
    DATA_DESCRIPTOR,
    DEFLATED,
    UTF_8,
    Member,
    deflate,
    descriptor,
    extra_field,
    write_zip,
    zip64_extra,
)

__all__ = ["HEADER_LIES"]

_FULL: Final = 0xFFFFFFFF
_UNKNOWN: Final = 0x4C50  # an extra field of nobody's
_AES: Final = extra_field(0x9901, struct.pack("<H2sBH", 2, b"AE", 3, 0))


def _first(evil: str, change: Callable[[Member], Member], verdict: Verdict = "refused") -> Recipe:
    return Recipe(evil, lambda members: write_zip(change_first(members, change)), verdict, bare=None)


def _said(evil: str, verdict: Verdict = "refused", *, to: str = "both", **says: object) -> Recipe:
    recipe = say(evil, verdict=verdict, local=to != "central", central=to != "local", **says)
    return replace(recipe, bare=None)


def _off_by_one(evil: str, where: str, name: str, step: int = 1) -> Recipe:
    """Let one of the two headers say one more (or less) than the truth, which the other says."""

    def change(member: Member) -> Member:
        truth = {"crc": zlib.crc32(member.content), "size": len(member.content), "compressed": len(member.content)}
        lie = {name: truth[name] + step}
        return replace(member, local=lie) if where == "local" else replace(member, central=lie)

    return _first(evil, change)


def _mode(evil: str, mode: int, verdict: Verdict = "refused", *, made: int = 3 << 8 | 20, dos: int = 0) -> Recipe:
    return _said(evil, verdict, external=mode << 16 | dos, made=made)


# -- streams -----------------------------------------------------------------------------------------------------------


def _stream(evil: str, pack: Callable[[bytes], bytes], verdict: Verdict = "refused", method: int = DEFLATED) -> Recipe:
    def change(member: Member) -> Member:
        return replace(member, stored=pack(member.content), says={"method": method})

    return _first(evil, change, verdict)


def _unfinished(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _two_streams(content: bytes) -> bytes:
    return deflate(content[:10]) + deflate(content[10:])


def _described(member: Member) -> Member:
    zeros = {"crc": 0, "compressed": 0, "size": 0}
    return replace(member, says={"flags": UTF_8 | DATA_DESCRIPTOR}, local=zeros, after=descriptor(member.content))


def _described_without_signature(member: Member) -> Member:
    return replace(_described(member), after=descriptor(member.content)[4:])


def _descriptor_in_the_content(members: Members) -> bytes:
    """Its data holds a descriptor and another header: a reader of streams ends it there."""
    evil = Member(name="zz-evil.txt", content=b"evil\n")
    shown = b"shown\n"
    content = shown + descriptor(shown) + evil.local_header() + evil.content
    return write_zip(in_order([*members, _described(Member(name="zz", content=content))]))


# -- names -------------------------------------------------------------------------------------------------------------


def _name(evil: str, flags: int, name: bytes, *, local: bytes | None = None, local_flags: int | None = None) -> Recipe:
    heard = {"name": name if local is None else local, "flags": flags if local_flags is None else local_flags}
    return replace(add(evil, Member(name="zz", says={"name": name, "flags": flags}, local=heard)), bare=None)


def _folder_for_model(members: Members) -> bytes:
    folder = Member(name="MLmodel/", says={"external": (stat.S_IFDIR | 0o755) << 16 | 0x10})
    return write_zip(in_order([*members, folder]))


# -- extra fields ------------------------------------------------------------------------------------------------------


def _extra(evil: str, extra: bytes, verdict: Verdict = "refused", *, to: str = "both") -> Recipe:
    return _said(evil, verdict, to=to, extra=extra)


def _unicode_path(name: str, of: bytes = b"MLmodel") -> bytes:
    return extra_field(0x7075, b"\1" + struct.pack("<I", zlib.crc32(of)) + name.encode())


def _zip64_says(evil: str, says: Callable[[int], bytes], *, full: bool, verdict: Verdict = "refused") -> Recipe:
    def change(member: Member) -> Member:
        sizes = {"compressed": _FULL, "size": _FULL, "needed": 45} if full else {}
        return replace(member, says={**sizes, "extra": says(len(member.content))})

    return _first(evil, change, verdict)


def _shifted(member: Member) -> Member:
    """The local extra field holds a forged MLmodel: who counts with the central header's lengths reads that."""
    return replace(member, local={"extra": extra_field(_UNKNOWN, b"#" + member.content)})


def _hiding(members: Members) -> bytes:
    """Bytes in the padding: whoever wants may hide something there."""
    archive = write_zip(members)
    place = archive.index(b"\x35\xd9") + 6
    assert archive[place : place + 4] == bytes(4)
    return archive[:place] + b"evil" + archive[place + 4 :]


_FIELDS: Final[dict[str, Recipe]] = {
    "H01": _said("a local header that asks for another version", "tolerated", to="local", needed=10),
    "H02": _said("another time in the local header", "tolerated", to="local", time=0x6000),
    "H03": _said("another date in the local header", "tolerated", to="local", date=0x5A21),
    "H04": _said("a date that is none", "tolerated", date=0, time=0xFFFF),
    "H05": _said("other flags in the local header", to="local", flags=0),
    "H06": _said("encrypted by the local header only", to="local", flags=UTF_8 | 1),
    "H07": _said("deflated by the local header only", to="local", method=DEFLATED),
    "H08": _said("deflated by the directory only", to="central", method=DEFLATED),
    "H09": _off_by_one("another CRC in the local header", "local", "crc", -1),
    "H10": _off_by_one("another CRC in the directory", "central", "crc", -1),
    "H11": _off_by_one("a larger size in the local header", "local", "size"),
    "H12": _off_by_one("a larger size in the directory", "central", "size"),
    "H13": _off_by_one("a larger compressed size in the local header", "local", "compressed"),
    "H14": _off_by_one("a larger compressed size in the directory", "central", "compressed"),
    "H15": _off_by_one("a smaller size in the directory", "central", "size", -1),
    "H16": _off_by_one("a smaller compressed size in the directory", "central", "compressed", -1),
    "H17": _said("sizes of zero in the local header, and no descriptor", to="local", crc=0, size=0, compressed=0),
    "H18": _said("an offset beyond the file", to="central", offset=0x7FFFFFFF),
    "H19": _said("an offset that is negative in 32 bits", to="central", offset=0xFFFFFFF0),
    "H20": _said("on another disk", to="central", disk=1),
    "H21": _said("a version that nobody can read yet", needed=0x00FF),
    "H22": _said("a name longer than what is left of the file", to="local", name_length=0xFFFF),
    "H23": _said("an entry whose name is said to be longer than the directory", to="central", name_length=0xFFFF),
    "H24": _said("a comment of a member", "tolerated", to="central", comment=b"a comment"),
    "H25": _said("a comment of a member that swallows the next entry", to="central", comment_length=60),
    "H26": _said("said to be text, which some readers convert", "tolerated", to="central", internal=1),
    "H27": _said("an encrypted directory by the flags", flags=UTF_8 | 0x2000),
    "H28": _said("strong encryption by the flags", flags=UTF_8 | 0x41),
    "H29": _said("patched data by the flags", flags=UTF_8 | 0x20),
    "H30": _said("AES by the method", method=99, extra=_AES),
    "H31": _said("Deflate64 by the method", method=9),
    "H32": _said("Zstandard by the method", method=93),
    "H33": _said("shrunk by the method", method=1),
    "H34": _said("a method that is none", method=0xFFFF),
}

_MODES: Final[dict[str, Recipe]] = {
    "H40": _mode("a set-user-ID file", stat.S_IFREG | 0o4755, "tolerated"),
    "H41": _mode("a folder by its mode, with data", stat.S_IFDIR | 0o755),
    "H42": _mode("a folder by its DOS attribute, with data", stat.S_IFREG | 0o644, dos=0x10),
    "H43": _mode("a volume label by its DOS attribute", stat.S_IFREG | 0o644, dos=0x08),
    "H44": _mode("a symbolic link by a mode that DOS is said to have written", stat.S_IFLNK | 0o777, made=20),
    "H45": _mode(
        "a symbolic link by a mode that macOS is said to have written", stat.S_IFLNK | 0o777, made=19 << 8 | 20
    ),
    "H46": _mode("a socket", stat.S_IFSOCK | 0o755),
    "H47": _mode("a block device", stat.S_IFBLK | 0o644),
    "H48": _mode("a file that nobody may read", stat.S_IFREG, "tolerated"),
    "H49": _mode("no mode, as DOS writes it", 0, "tolerated", made=20),
}

_STREAMS: Final[dict[str, Recipe]] = {
    "H50": _stream("an honest deflated member", deflate, "tolerated"),
    "H51": _stream("a deflated member with bytes behind its stream", lambda content: deflate(content) + b"evil"),
    "H52": _stream("a deflated member of two streams", _two_streams),
    "H53": _stream("a deflated member whose stream does not end", _unfinished),
    "H54": _stream("a deflated member whose stream is broken", lambda content: b"\xff" + deflate(content)[1:]),
    "H55": _stream("a zlib stream where a bare one belongs", zlib.compress),
    "H56": _stream("a stored member that holds a deflated stream", deflate, method=0),
    "H57": _stream("a stored member with bytes behind its content", lambda content: content + b"evil", method=0),
    "H58": _first("a stored member with an honest descriptor", _described, "tolerated"),
    "H59": _first("a descriptor without its signature", _described_without_signature, "tolerated"),
    "H60": Recipe("a descriptor within the data that it describes", _descriptor_in_the_content, "unlisted", bare=None),
}

_NAMES: Final[dict[str, Recipe]] = {
    "H70": _name("a name of no length", UTF_8, b""),
    "H71": _name("a name of one dot", UTF_8, b"."),
    "H72": _name("a name that is a slash", UTF_8, b"/"),
    "H73": replace(add("a folder's name, and data", Member(name="folder/", content=b"evil\n")), bare=None),
    "H74": Recipe("a folder named like MLmodel", _folder_for_model, bare=None),
    "H75": replace(add("MLmodel with a space behind it", Member(name="MLmodel ", content=b"evil\n")), bare=None),
    "H76": _name("a name in cp437 that does not say that it is UTF-8", 0, "caf\u00e9".encode("cp437")),
    "H77": _name("a name in UTF-8 that does not say so", 0, "caf\u00e9".encode()),
    "H78": _name("a name said to be UTF-8 that is not", UTF_8, b"caf\x82"),
    "H79": _name("a name whose encoding the two headers tell differently", UTF_8, "\u00e9".encode(), local_flags=0),
    "H80": _name("a name of a lone surrogate", UTF_8, b"ev\xed\xa0\x80il"),
    "H81": _name("a name in overlong UTF-8", UTF_8, b"..\xc0\xaf..\xc0\xafevil"),
    "H82": _name("a name with a byte order mark", UTF_8, b"\xef\xbb\xbfMLmodel"),
    "H83": _name("MLmodel by the local header, harmless by the directory", UTF_8, b"zzzzzzz", local=b"MLmodel"),
    "H84": _name("a longer name in the local header", UTF_8, b"zz", local=b"zzz"),
    "H85": _name("a name with a line break", UTF_8, b"zz\nMLmodel"),
    "H86": _name("a name with an escape sequence", UTF_8, b"zz\x1b[2J"),
}

_EXTRAS: Final[dict[str, Recipe]] = {
    "X01": _extra("a Unicode path that names another file", _unicode_path("evil.txt")),
    "X02": _extra("a Unicode path that climbs out", _unicode_path("../evil.txt"), to="central"),
    "X03": _extra("a Unicode path of another name's CRC", _unicode_path("evil.txt", b"other"), "tolerated"),
    "X04": _extra("a Unicode path that says the same", _unicode_path("MLmodel"), "tolerated"),
    "X05": _extra("an unknown extra field", extra_field(_UNKNOWN, b"\0"), "tolerated"),
    "X06": _extra(
        "an unknown extra field in the local header only", extra_field(_UNKNOWN, b"\0"), "tolerated", to="local"
    ),
    "X07": _extra("one extra field twice", 2 * extra_field(_UNKNOWN, b"\0"), "tolerated"),
    "X08": _extra("an extra field longer than all of them", struct.pack("<HH", _UNKNOWN, 500)),
    "X09": _extra("bytes behind the last extra field", extra_field(_UNKNOWN, b"") + b"\0\0\0"),
    "X10": _said("extra fields longer than the file, by the local header", to="local", extra_length=0xFFFF),
    "X11": _extra("a time in an extra field", extra_field(0x5455, b"\1" + bytes(4)), "tolerated"),
    "X12": _extra(
        "an owner in an extra field", extra_field(0x7875, b"\1\4" + bytes(4) + b"\4" + bytes(4)), "tolerated"
    ),
    "X13": _extra("a symbolic link by PKWARE's extra field for Unix", extra_field(0x000D, bytes(12) + b"/etc/passwd")),
    "X14": _zip64_says(
        "zip64 sizes, honest and not needed", lambda n: zip64_extra(n, n), full=True, verdict="tolerated"
    ),
    "X15": _zip64_says(
        "zip64 sizes where the plain ones are not full", lambda n: zip64_extra(n + 1, n + 1), full=False
    ),
    "X16": _zip64_says("sizes that refer to a zip64 field which is not there", lambda _: b"", full=True),
    "X17": _zip64_says("a zip64 field that is too short", lambda n: zip64_extra(n)[:-4] + b"\0" * 2, full=True),
    "X18": _zip64_says("a zip64 field with more than it is for", lambda n: zip64_extra(n, n, 0, 0), full=True),
    "X19": _zip64_says("two zip64 fields", lambda n: zip64_extra(n, n) + zip64_extra(1, 1), full=True),
    "X20": _first("a forged MLmodel in the local header's extra field", _shifted, "tolerated"),
    "X21": _first("a member that is not aligned", lambda member: replace(member, aligned=False), "tolerated"),
    "X22": _extra("an alignment said twice", extra_field(0xD935, struct.pack("<H", 64)), "tolerated", to="local"),
    "X23": Recipe("padding that is not of zeros", _hiding, "tolerated", bare=None),
}

HEADER_LIES: Final[dict[str, Recipe]] = {**_FIELDS, **_MODES, **_STREAMS, **_NAMES, **_EXTRAS}
