"""Files that are no archive, or one with wrong bounds: A34 to A47 of the project's catalogue of hostile input."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import replace
from typing import Final

from archive_recipes import Members, Recipe, change_first, first_of, forge, in_order, only
from zip_writing import (
    DATA_DESCRIPTOR,
    UTF_8,
    Member,
    descriptor,
    lay_out,
    write_directory,
    write_end,
    write_zip,
    zip64_extra,
)

__all__ = ["HOSTILE_FILES"]

_SCRIPT: Final = b"#!/bin/sh\nexit 0\n"
_FULL: Final = 0xFFFFFFFF


def _cut(members: Members) -> bytes:
    archive = write_zip(members)
    return archive[: len(archive) * 2 // 3]


def _cut_in_its_last_record(members: Members) -> bytes:
    return write_zip(members)[:-1]


def _end_in_the_comment(members: Members) -> bytes:
    """Write one archive over the same bytes twice: the comment of the first end holds a directory and another end."""
    body, offsets = lay_out(members)
    forged = change_first(members, forge)
    other, others = lay_out(forged, len(body))
    directory = write_directory(members, offsets)
    place = len(body) + len(other)
    hidden = write_directory(forged, others)
    inner = hidden + write_end(entries=len(members), size=len(hidden), offset=place + len(directory) + 22)
    end = write_end(entries=len(members), size=len(directory), offset=place, comment=inner)
    return body + other + directory + end


def _other_local_name(members: Members) -> bytes:
    def change(member: Member) -> Member:
        return replace(member, local={"name": b"x" * len(member.name)})

    return write_zip(change_first(members, change))


def _overlapping(members: Members) -> bytes:
    """One kernel, told of twice: the second member's header and data are the tail of the first one's data."""
    inner = Member(name="zz-inner", content=b"kernel\n" * 100)
    outer = Member(name="zz", content=inner.local_header() + inner.content)
    body, offsets = lay_out([*members, outer])
    start = len(body) - len(outer.content)
    directory = write_directory([*members, outer, inner], [*offsets, start])
    return body + directory + write_end(entries=len(members) + 2, size=len(directory), offset=len(body))


def _same_place(members: Members) -> bytes:
    """Two names for the bytes of one member, as bombs do it that need no compression to be large."""
    body, offsets = lay_out(members)
    first = first_of(members)
    again = replace(first, name="zz-again")
    directory = write_directory([*members, again], [*offsets, offsets[list(members).index(first)]])
    return body + directory + write_end(entries=len(members) + 1, size=len(directory), offset=len(body))


def _tar(members: Members) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size = len(member.content)
            tar.addfile(info, io.BytesIO(member.content))
    return file.getvalue()


def _huge(members: Members) -> bytes:
    """Sizes of 2^62 in the extra fields, which the two headers tell differently."""
    full = {"compressed": _FULL, "size": _FULL, "needed": 45}

    def change(member: Member) -> Member:
        return replace(
            member,
            says=full,
            local={"extra": zip64_extra(2**62, len(member.content))},
            central={"extra": zip64_extra(2**62, 2**62)},
        )

    return write_zip(change_first(members, change))


def _wrapping(members: Members) -> bytes:
    """A size that, added to the offset in 64 bits, comes out small."""
    full = {"compressed": _FULL, "size": _FULL, "needed": 45}

    def change(member: Member) -> Member:
        return replace(member, says={**full, "extra": zip64_extra(2**64 - 30, 2**64 - 30)})

    return write_zip(change_first(members, change))


def _lying_descriptor(members: Members) -> bytes:
    """The descriptor behind the data tells another CRC and size than the central directory."""

    def change(member: Member) -> Member:
        return replace(
            member,
            says={"flags": UTF_8 | DATA_DESCRIPTOR},
            local={"crc": 0, "compressed": 0, "size": 0},
            after=descriptor(member.content, crc=0xDEADBEEF, size=1),
        )

    return write_zip(change_first(members, change))


def _missing_descriptor(members: Members) -> bytes:
    """The flag promises a descriptor, and the next header stands there instead."""

    def change(member: Member) -> Member:
        return replace(member, says={"flags": UTF_8 | DATA_DESCRIPTOR}, local={"crc": 0, "compressed": 0, "size": 0})

    return write_zip(change_first(members, change))


def _archive_in_archive(members: Members) -> bytes:
    return write_zip(in_order([*members, Member(name="m.palate", content=write_zip(members))]))


def _only_an_archive(members: Members) -> bytes:
    return write_zip([Member(name="m.palate", content=write_zip(members))])


def _zeros_in_the_header(members: Members) -> bytes:
    archive = write_zip(members)
    return bytes(4) + archive[4:]


HOSTILE_FILES: Final[dict[str, Recipe]] = {
    "A34": Recipe("cut off in the middle", _cut),
    "A34b": Recipe("cut off by one byte", _cut_in_its_last_record),
    "A35": Recipe("a script in front, which the offsets do not count", lambda members: _SCRIPT + write_zip(members)),
    "A35b": Recipe("a script in front, which they count", lambda members: write_zip(members, prefix=_SCRIPT)),
    "A36": Recipe("a comment that holds another directory and its end", _end_in_the_comment),
    "A37": Recipe("a local header that names another file", _other_local_name),
    "A38": Recipe("a member within the data of another", _overlapping),
    "A38b": Recipe("two members at one place", _same_place),
    "A39": only("an empty file", b""),
    "A40": only("an archive of nothing", write_zip([])),
    "A41": only("zeros", bytes(4096)),
    "A41b": Recipe("zeros where the first header begins", _zeros_in_the_header),
    "A42": Recipe(
        "an end that counts more members than there are", lambda members: write_zip(members, end={"entries": 0xFFFE})
    ),
    "A42b": Recipe(
        "the same, with 2^40 of them", lambda members: write_zip(members, zip64=True, end64={"entries": 2**40})
    ),
    "A43": Recipe("an archive within gzip", lambda members: gzip.compress(write_zip(members), mtime=0)),
    "A44": Recipe("a tar archive", _tar),
    "A45": Recipe("sizes of 2^62, told differently in the two headers", _huge),
    "A45b": Recipe("a size that overflows when it is added to an offset", _wrapping),
    "A46": Recipe("a data descriptor that lies", _lying_descriptor),
    "A46b": Recipe("a data descriptor that is not there", _missing_descriptor),
    "A47": Recipe("an archive in the archive, named like it", _archive_in_archive, "unlisted"),
    "A47b": Recipe("nothing but such an archive", _only_an_archive, "unlisted"),
}
