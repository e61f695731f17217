"""Archives with a member that must not be unpacked: A01 to A33 of the project's catalogue of hostile input."""

from __future__ import annotations

import bz2
import lzma
import stat
import struct
import zlib
from dataclasses import replace
from typing import Final

from archive_recipes import Members, Recipe, add, change_first, first_of, forge, in_order
from zip_writing import DEFLATED, UTF_8, Member, deflate, write_zip

__all__ = ["HOSTILE_MEMBERS"]

_EVIL: Final = b"evil\n"
_ENCRYPTED: Final = UTF_8 | 0x0001
_BZIP2: Final = 12
_LZMA: Final = 14
_ONE_FILE_TOO_MANY: Final = 10_001


def _named(name: str, evil: str) -> Recipe:
    return add(evil, Member(name=name, content=_EVIL))


def _special(name: str, kind: int, content: bytes = b"") -> Member:
    return Member(name=name, content=content, says={"external": (kind | 0o755) << 16})


def _link(name: str, to: str) -> Member:
    return _special(name, stat.S_IFLNK, to.encode())


def _names(evil: str, *names: str) -> Recipe:
    return add(evil, *(Member(name=name, content=name.encode()) for name in names))


def _many(members: Members) -> bytes:
    missing = _ONE_FILE_TOO_MANY - len(members)
    return write_zip(in_order([*members, *(Member(name=f"f/{number:05}") for number in range(missing))]))


def _twice(members: Members) -> bytes:
    return write_zip(in_order([*members, forge(first_of(members))]))


def _twice_but_for_case(members: Members) -> bytes:
    first = first_of(members)
    return write_zip(in_order([*members, replace(forge(first), name=first.name.swapcase())]))


def _zeros(evil: str, size: int) -> Recipe:
    def build(members: Members) -> bytes:
        content = bytes(size)
        member = Member(name="zeros.bin", content=content, stored=deflate(content), says={"method": DEFLATED})
        return write_zip(in_order([*members, member]))

    return Recipe(evil, build, bare=())


def _says_more_than_it_holds(members: Members) -> bytes:
    return write_zip(change_first(members, lambda member: replace(member, says={"size": len(member.content) + 10**6})))


def _says_less_than_it_holds(members: Members) -> bytes:
    def change(member: Member) -> Member:
        short = member.content[:-1]
        sizes = {"method": DEFLATED, "size": len(short), "crc": zlib.crc32(short)}
        return replace(member, stored=deflate(member.content), says=sizes)

    return write_zip(change_first(members, change))


def _wrong_crc(members: Members) -> bytes:
    return write_zip(
        change_first(members, lambda member: replace(forge(member), says={"crc": zlib.crc32(member.content)}))
    )


def _encrypted(members: Members) -> bytes:
    def change(member: Member) -> Member:
        hidden = bytes(12) + bytes(byte ^ 0x5A for byte in member.content)
        return replace(member, stored=hidden, says={"flags": _ENCRYPTED})

    return write_zip(change_first(members, change))


def _only_said_to_be_encrypted(members: Members) -> bytes:
    return write_zip(change_first(members, lambda member: replace(member, says={"flags": _ENCRYPTED})))


def _bzip2(members: Members) -> bytes:
    def change(member: Member) -> Member:
        return replace(member, stored=bz2.compress(member.content), says={"method": _BZIP2, "needed": 46})

    return write_zip(change_first(members, change))


def _lzma(members: Members) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    properties = struct.pack("<BBHBI", 9, 20, 5, (2 * 5 + 0) * 9 + 3, 1 << 16)

    def change(member: Member) -> Member:
        stream = properties + lzma.compress(member.content, lzma.FORMAT_RAW, filters=filters)
        return replace(member, stored=stream, says={"method": _LZMA, "needed": 63, "flags": UTF_8 | 2})

    return write_zip(change_first(members, change))


HOSTILE_MEMBERS: Final[dict[str, Recipe]] = {
    "A01": _named("../evil", "a name that climbs out of the directory"),
    "A02": _named("/tmp/palate-evil", "an absolute name"),
    "A03": _named("..\\evil", "a name with a backslash, which climbs out on Windows"),
    "A04": _named("C:/evil", "a name with a drive letter"),
    "A05": _named("data/../../evil", "'..' in the middle of a name"),
    "A06": _named("./evil", "a name that begins with './'"),
    "A07": _named("data//evil", "a name with an empty part"),
    "A08": add("a symbolic link that leads out", _link("link", "../outside")),
    "A09": add(
        "a symbolic link, and a file to be written through it",
        _link("link", "/tmp"),
        Member(name="link/palate-evil", content=_EVIL),
    ),
    "A10": add("a symbolic link to a file inside", _link("alias", "MLmodel")),
    "A11": add("a FIFO", _special("pipe", stat.S_IFIFO)),
    "A12": add("a device", _special("null", stat.S_IFCHR)),
    "A13": add("an entry for a folder", Member(name="folder/", says={"external": (stat.S_IFDIR | 0o755) << 16 | 0x10})),
    "A14": Recipe("one name twice, with different content", _twice),
    "A15": Recipe("two names equal but for their case", _twice_but_for_case),
    "A16": _named("cafe\u0301.txt", "a name that is not in Unicode's NFC"),
    "A17": _names("two names that are one in NFKC", "\ufb01le.txt", "file.txt"),
    "A18": _names("a file that is a folder as well", "place", "place/evil"),
    "A19": _named("model\u202elkp.pt", "a name with a bidirectional control"),
    "A20": _named("ev\u200bil", "a name with a zero-width space"),
    "A21": _named("con.txt", "the name of a device on Windows"),
    "A22": _named("evil.", "a name that ends with a dot, which Windows drops"),
    "A23": _named("evil.txt\0.bin", "a name with a NUL"),
    "A24": _named("e" * 300, "a part of a name longer than file systems take"),
    "A25": _named("d/" * 100 + "evil", "a file a hundred folders deep"),
    "A26": Recipe("more files than an archive may hold", _many, bare=()),
    "A27": _zeros("80 MiB of zeros in 80 KB", 80 * 2**20),
    "A28": _zeros("a member a thousand times smaller than what it holds", 2**20),
    "A29": Recipe("a size that is larger than the content", _says_more_than_it_holds),
    "A29b": Recipe("a size and a CRC that fit the beginning of what a stream holds", _says_less_than_it_holds),
    "A30": Recipe("content that its CRC does not fit", _wrong_crc),
    "A31": Recipe("an encrypted member", _encrypted),
    "A31b": Recipe("a member said to be encrypted that is not", _only_said_to_be_encrypted),
    "A32": Recipe("a member compressed with bzip2", _bzip2),
    "A33": Recipe("a member compressed with LZMA", _lzma),
}
