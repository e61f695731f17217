"""Zip files whose frame readers understand differently: their ends, their directories, and what stands between.

Most show one model to a reader that starts at the end, and another to one that starts at the beginning.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from archive_recipes import Members, Recipe, Verdict, change_first, first_of, forge, in_order
from zip_writing import Member, lay_out, write_directory, write_end, write_end64, write_zip

__all__ = ["FRAME_LIES"]

_FULL: Final = 0xFFFFFFFF
_GAP: Final = b"a gap that no record accounts for"


def _zip(evil: str, verdict: Verdict = "refused", **knobs: Any) -> Recipe:
    return Recipe(evil, lambda members: write_zip(members, **knobs), verdict, bare=None)


def _facts(members: Members) -> dict[str, Any]:
    """Return what an honest end would say of the members."""
    body, offsets = lay_out(members)
    return {"entries": len(members), "size": len(write_directory(members, offsets)), "offset": len(body)}


def _end_says(evil: str, **changes: int) -> Recipe:
    """Return a recipe whose end is off by that much."""

    def build(members: Members) -> bytes:
        facts = _facts(members)
        return write_zip(members, end={name: facts[name] + change for name, change in changes.items()})

    return Recipe(evil, build, bare=None)


def _framed(evil: str, build: Callable[[Members], bytes], verdict: Verdict = "refused") -> Recipe:
    return Recipe(evil, build, verdict, bare=None)


def _gap_in_front(members: Members) -> bytes:
    return write_zip(change_first(members, lambda member: replace(member, before=_GAP)))


# -- two archives in one -----------------------------------------------------------------------------------------------


def _inner(members: Members) -> Member:
    return Member(name="zz-inner.zip", content=write_zip(change_first(members, forge)))


def _whole_archive_inside(members: Members) -> bytes:
    return write_zip(in_order([*members, _inner(members)]))


def _ends_with_the_inner_one(members: Members) -> bytes:
    return lay_out([*members, _inner(members)])[0]


def _one_after_the_other(members: Members) -> bytes:
    return write_zip(change_first(members, forge)) + write_zip(members)


def _end_twice(members: Members) -> bytes:
    return write_zip(members) + write_end(**_facts(members))


def _two_directories(members: Members) -> bytes:
    """Two directories over the same bytes, in which MLmodel stands twice; only the second one is the end's."""
    first = first_of(members)
    body, (*offsets, place) = lay_out([*members, forge(first)])
    places = [place if member is first else offset for member, offset in zip(members, offsets, strict=True)]
    hidden = write_directory(change_first(members, forge), places)
    shown = write_directory(members, offsets)
    end = write_end(entries=len(members), size=len(shown), offset=len(body) + len(hidden))
    return body + hidden + shown + end


def _zip64_sees_another_directory(members: Members) -> bytes:
    """The zip64 end leads to a directory with another MLmodel than the plain end, whose fields are not full."""
    body, offsets = lay_out(members)
    shown = body + write_directory(members, offsets)
    forged = change_first(members, forge)
    other, others = lay_out(forged, len(shown))
    hidden = write_directory(forged, others)
    place = len(shown) + len(other)
    end64 = write_end64(entries=len(members), size=len(hidden), offset=place, place=place + len(hidden))
    return shown + other + hidden + end64 + write_end(**_facts(members))


def _two_zip64_ends(members: Members) -> bytes:
    """The locator leads to the first of two zip64 ends; the second stands where readers expect the only one."""
    facts = _facts(members)
    place = facts["offset"] + facts["size"]
    body, offsets = lay_out(members)
    record = write_end64(**facts, place=place)[:56]
    return (
        body
        + write_directory(members, offsets)
        + record
        + write_end64(entries=1, size=facts["size"], offset=facts["offset"], place=place)
        + write_end(entries=0xFFFF, size=_FULL, offset=_FULL)
    )


# -- members that only some readers see --------------------------------------------------------------------------------


def _hidden(members: Members) -> bytes:
    return write_zip(in_order([*members, Member(name="hidden.txt", content=b"evil\n", listed=False)]))


def _hidden_twin(members: Members) -> bytes:
    """Another MLmodel in front, which only readers see that start at the beginning."""
    return write_zip([replace(forge(first_of(members)), listed=False), *members])


def _headless(members: Members) -> bytes:
    return write_zip(change_first(members, lambda member: replace(member, headed=False)))


def _elsewhere(members: Members) -> bytes:
    """The directory's MLmodel stands within another member's data, and an honest-looking one where it belongs."""
    first = first_of(members)
    other = forge(first)
    carrier = Member(name="zz", content=b"--" + other.local_header() + other.content)
    body, offsets = lay_out([*members, carrier])
    offset = body.rindex(other.local_header())
    lied = [replace(other, central={"offset": offset}) if member is first else member for member in [*members, carrier]]
    directory = write_directory(lied, offsets)
    return body + directory + write_end(entries=len(lied), size=len(directory), offset=len(body))


def _directory_in_a_member(members: Members) -> bytes:
    """The central directory is the last member's content, which its sizes and even its CRC confirm."""
    body, offsets = lay_out([*members, Member(name="zz")])
    size = len(write_directory([*members, Member(name="zz")], offsets))

    def directory_for(crc: int) -> bytes:
        return write_directory([*members, last_for(crc)], offsets)

    def last_for(crc: int) -> Member:
        return Member(name="zz", says={"compressed": size, "size": size, "crc": crc})

    crc = _fixed_point(lambda crc: zlib.crc32(directory_for(crc)))
    end = write_end(entries=len(members) + 1, size=size, offset=len(body))
    return lay_out([*members, last_for(crc)])[0] + directory_for(crc) + end


def _fixed_point(crc_for: Callable[[int], int]) -> int:
    """Solve ``crc_for(x) == x`` where *crc_for* is the CRC of bytes that hold x, which is linear in x's bits."""
    zero = crc_for(0)
    rows: dict[int, tuple[int, int]] = {}  # by highest bit: what bits of x give what change of crc_for(x) ^ x
    for bit in range(32):
        change, bits = crc_for(1 << bit) ^ zero ^ 1 << bit, 1 << bit
        while change and change.bit_length() in rows:
            other, others = rows[change.bit_length()]
            change, bits = change ^ other, bits ^ others
        if change:
            rows[change.bit_length()] = (change, bits)
    left, found = zero, 0
    while left:
        change, bits = rows[left.bit_length()]
        left, found = left ^ change, found ^ bits
    return found


def _unsorted(members: Members) -> bytes:
    return write_zip(list(reversed(members)))


def _directory_in_another_order(members: Members) -> bytes:
    body, offsets = lay_out(members)
    directory = write_directory(list(reversed(members)), reversed(offsets))
    return body + directory + write_end(**_facts(members))


def _more_than_the_end_counts(members: Members) -> bytes:
    return write_zip(members, end={"entries": len(members) - 1, "entries_here": len(members) - 1})


def _record(signature: bytes, content: bytes) -> bytes:
    return signature + len(content).to_bytes(2 if signature == b"PK\5\5" else 4, "little") + content


def _signed(members: Members) -> bytes:
    """A digital signature that counts as part of the directory."""
    size = _facts(members)["size"]
    record = _record(b"PK\5\5", b"signature")
    return write_zip(members, after_directory=record, end={"size": size + len(record)})


def _zip64(evil: str, verdict: Verdict = "refused", **says: int) -> Recipe:
    return _zip(evil, verdict, zip64=True, end64=says)


_DISKS: Final[Mapping[str, Recipe]] = {
    "Z30": _zip("the end stands on another disk", end={"disk": 1}),
    "Z31": _zip("the directory begins on another disk", end={"directory_disk": 1}),
    "Z32": _zip("fewer members on this disk than in all", end={"entries_here": 1}),
    "Z33": _zip("the zip64 end is on another disk", zip64=True, end64={"locator_disk": 1}),
    "Z34": _zip("two disks in all", zip64=True, end64={"disks": 2}),
    "Z35": _zip("the mark of a split archive in front", prefix=b"PK\7\x08"),
    "Z36": _zip("the mark of an archive that was split once, in front", prefix=b"PK00"),
}

_SIZES: Final[Mapping[str, Recipe]] = {
    "Z40": _framed("an end that counts one member less", _more_than_the_end_counts),
    "Z41": _end_says("an end that counts one member more", entries=1),
    "Z42": _end_says("a directory said to be shorter", size=-1),
    "Z43": _end_says("a directory said to be longer, and to begin earlier", size=46, offset=-46),
    "Z44": _end_says("a directory said to begin one byte late", offset=1),
    "Z45": _end_says("a directory said to begin one byte early", offset=-1),
    "Z46": _zip("a directory beyond the file", end={"offset": 0x7FFFFFFF}),
    "Z47": _zip("a directory at an offset that is negative in 32 bits", end={"offset": 0xFFFFFFF0}),
    "Z48": _zip("a directory of a size that overflows", end={"size": 0xFFFFFFFE}),
    "Z49": _zip("an end that refers to a zip64 end which is not there", end={"offset": _FULL, "size": _FULL}),
    "Z50": _zip64("a zip64 end at an offset beyond the file", locator_offset=2**40),
    "Z51": _zip64("a zip64 end at an offset that is negative in 64 bits", locator_offset=2**64 - 76),
    "Z52": _zip64("a zip64 end whose size is short", record_size=12),
    "Z53": _zip64("a zip64 end whose size reaches beyond the file", record_size=2**40),
    "Z54": _zip64("a zip64 directory beyond the file", offset=2**40),
    "Z55": _zip64("a zip64 directory of a size that overflows", size=2**64 - 1),
    "Z56": _zip64("an honest zip64 end that is not needed", "tolerated"),
}

FRAME_LIES: Final[dict[str, Recipe]] = {
    "Z01": _framed("another whole archive as a member", _whole_archive_inside, "unlisted"),
    "Z02": _framed("the end belongs to an archive within the last member", _ends_with_the_inner_one),
    "Z03": _framed("two archives, one after the other", _one_after_the_other),
    "Z04": _framed("the same end twice", _end_twice),
    "Z05": _framed("two directories, of which the end names the second", _two_directories),
    "Z06": _framed("a zip64 end and an end that name different directories", _zip64_sees_another_directory),
    "Z07": _framed("two zip64 ends that count differently", _two_zip64_ends),
    "Z10": _zip("a gap between the directory and the end", after_directory=_GAP),
    "Z11": _framed("a gap in front of a member", _gap_in_front),
    "Z12": _zip("a gap between the last member and the directory", before_directory=_GAP),
    "Z13": _zip("bytes behind the end", suffix=b"\n"),
    "Z14": _zip("a whole MiB of zeros behind the end", suffix=bytes(2**20)),
    "Z15": _zip("an honest comment", "tolerated", comment=b"made by hand"),
    "Z16": _zip("a comment said to be longer than the file", end={"comment_length": 9}),
    "Z17": _zip("a comment said to be shorter than it is", comment=b"comment", end={"comment_length": 3}),
    "Z18": _framed("a gap between two members that reads as one more member", _hidden),
    "Z19": _framed("another MLmodel in front that is not in the directory", _hidden_twin),
    "Z20": _framed("a member in the directory without a local header", _headless),
    "Z21": _framed("a directory whose MLmodel stands within another member", _elsewhere),
    "Z22": _framed("a directory that is part of the last member", _directory_in_a_member),
    "Z23": _framed("members in reversed order", _unsorted, "tolerated"),
    "Z24": _framed("a directory in another order than the members", _directory_in_another_order, "tolerated"),
    "Z25": _framed("a digital signature as part of the directory", _signed),
    "Z26": _zip("a digital signature behind the directory", after_directory=_record(b"PK\5\5", b"signature")),
    "Z27": _zip("an archive extra data record before the directory", before_directory=_record(b"PK\6\x08", b"extra")),
    **_DISKS,
    **_SIZES,
}
