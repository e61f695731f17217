"""What a hostile archive is made of: a recipe, and the steps that recipes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zip_writing import Member, write_zip

__all__ = [
    "Members",
    "Recipe",
    "Verdict",
    "add",
    "change_first",
    "first_of",
    "forge",
    "in_order",
    "only",
    "pack",
    "say",
]

Members = Sequence[Member]

# refused: by whoever unpacks, for what the zip file itself is.
# tolerated: odd, but of one meaning only: refused as well, or opened with exactly the members' own files.
# unlisted: a sound zip file that holds no model, or more than the model's manifest lists: refused at opening at least.
Verdict = Literal["refused", "tolerated", "unlisted"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make an archive hostile.

    Attributes:
        evil: what is wrong with it, in one line.
        build: makes the archive of honest members, which are those of a model, or few or none.
        verdict: what has to become of it.
        bare: what to make the variant without a model of; None if there is none.
        in_model: whether there is a variant with a model.
    """

    evil: str
    build: Callable[[Members], bytes]
    verdict: Verdict = "refused"
    bare: Members | None = (Member(name="file.txt", content=b"harmless\n" * 9),)
    in_model: bool = True


def pack(files: Mapping[str, bytes]) -> list[Member]:
    """Return honest members for files, in the order of their names."""
    return [Member(name=name, content=files[name]) for name in sorted(files)]


def in_order(members: Members) -> list[Member]:
    """Sort by name, as an honest writer does, so that the order gives nobody a reason to refuse."""
    return sorted(members, key=lambda member: member.name)


def add(evil: str, *members: Member, verdict: Verdict = "refused") -> Recipe:
    """Return a recipe whose evil is some more members."""
    return Recipe(evil, lambda honest: write_zip(in_order([*honest, *members])), verdict, bare=())


def only(evil: str, content: bytes) -> Recipe:
    """Return a recipe for bytes that are no archive of anything."""
    return Recipe(evil, lambda _: content, in_model=False)


def first_of(members: Members) -> Member:
    """Return MLmodel; where there is none, the first member."""
    return next((member for member in members if member.name == "MLmodel"), members[0])


def change_first(members: Members, change: Callable[[Member], Member]) -> list[Member]:
    """Change MLmodel; where there is none, the first member."""
    first = first_of(members)
    return [change(member) if member is first else member for member in members]


def say(evil: str, *, verdict: Verdict = "refused", local: bool = True, central: bool = True, **says: object) -> Recipe:
    """Return a recipe whose evil is what the headers of MLmodel say."""

    def change(member: Member) -> Member:
        if local and central:
            return replace(member, says={**member.says, **says})
        return replace(member, local=says) if local else replace(member, central=says)

    return Recipe(evil, lambda members: write_zip(change_first(members, change)), verdict)


def forge(member: Member) -> Member:
    """Return a member of the same name and size that holds something else."""
    return replace(member, content=b"#" + member.content[:-2] + b"\n")
