"""Archives that must not be opened, or not be taken for something else: one small zip file for each way of lying.

Made by hand, independently of the code under test, and the same in every run. Where only some bytes of a model's own
archive change, whatever refuses it can have no other reason.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from archive_recipes import Recipe, Verdict, pack
from hostile_files import HOSTILE_FILES
from hostile_members import HOSTILE_MEMBERS
from zip_frame_lies import FRAME_LIES
from zip_header_lies import HEADER_LIES
from zip_writing import write_zip

__all__ = ["EVIL", "VERDICTS", "Verdict", "honest", "mutants", "sample", "samples", "valid_members"]

_RECIPES: Final[Mapping[str, Recipe]] = {**HOSTILE_MEMBERS, **HOSTILE_FILES, **FRAME_LIES, **HEADER_LIES}
_VARIANTS: Final = {
    f"{name}-{variant}": (recipe, variant)
    for name, recipe in _RECIPES.items()
    for variant, made in (("bare", recipe.bare is not None), ("in-model", recipe.in_model))
    if made
}

EVIL: Final[Mapping[str, str]] = {name: recipe.evil for name, (recipe, _) in _VARIANTS.items()}
"""What is wrong with each sample, by id, such as ``A01-bare`` and ``A01-in-model``."""

VERDICTS: Final[Mapping[str, Verdict]] = {name: recipe.verdict for name, (recipe, _) in _VARIANTS.items()}
"""What has to become of each sample: ``refused``, ``tolerated`` or ``unlisted`` (see ``archive_recipes.Verdict``)."""


def valid_members(directory: Path) -> dict[str, bytes]:
    """Return a directory's files by their relative names."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def honest(members: Mapping[str, bytes]) -> bytes:
    """Return the archive that the samples were made from, laid out as Palate does it. It has to be opened."""
    return write_zip(pack(members))


def sample(name: str, members: Mapping[str, bytes]) -> bytes:
    """Make the one sample of that id, of a model's files."""
    recipe, variant = _VARIANTS[name]
    if variant == "in-model":
        return recipe.build(pack(members))
    assert recipe.bare is not None
    return recipe.build(recipe.bare)


def samples(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Make all samples of a model's files, by id; together they take about ten megabytes."""
    return {name: sample(name, members) for name in _VARIANTS}


# -- mutants -----------------------------------------------------------------------------------------------------------

_INTERESTING: Final = (0, 1, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutants(archive: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yield *count* archives that differ from an honest one in their headers, and differently with another *seed*.

    Bits are flipped, bytes and numbers overwritten, bytes put in, taken out and repeated, and the file cut off.
    """
    chance = random.Random(seed)
    places = [place for start, end in _headers(archive) for place in range(start, end)]
    while count:
        mutant = chance.choice(_MUTATIONS)(archive, chance.choice(places), chance)
        if mutant != archive:
            yield mutant
            count -= 1


def _headers(archive: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the headers of an honest archive stand."""
    entries, _, place = struct.unpack_from("<H2I", archive, len(archive) - 12)
    yield place, len(archive)
    for _ in range(entries):
        name, extra, comment = struct.unpack_from("<3H", archive, place + 28)
        (offset,) = struct.unpack_from("<I", archive, place + 42)
        yield offset, offset + 30 + sum(struct.unpack_from("<2H", archive, offset + 26))
        place += 46 + name + extra + comment


def _flip(archive: bytes, place: int, chance: random.Random) -> bytes:
    return _put(archive, place, bytes([archive[place] ^ 1 << chance.randrange(8)]))


def _overwrite(archive: bytes, place: int, chance: random.Random) -> bytes:
    width = chance.choice((1, 2, 4))
    return _put(archive, place, (chance.choice(_INTERESTING) % 256**width).to_bytes(width, "little"))


def _step(archive: bytes, place: int, chance: random.Random) -> bytes:
    width = chance.choice((2, 4))
    number = int.from_bytes(archive[place : place + width], "little") + chance.choice((-1, 1, 256))
    return _put(archive, place, (number % 256**width).to_bytes(width, "little"))


def _insert(archive: bytes, place: int, chance: random.Random) -> bytes:
    return archive[:place] + chance.randbytes(chance.randint(1, 8)) + archive[place:]


def _take_out(archive: bytes, place: int, chance: random.Random) -> bytes:
    return archive[:place] + archive[place + chance.randint(1, 8) :]


def _repeat(archive: bytes, place: int, chance: random.Random) -> bytes:
    return archive[: place + chance.randint(1, 60)] + archive[place:]


def _cut(archive: bytes, place: int, _: random.Random) -> bytes:
    return archive[:place]


def _put(archive: bytes, place: int, what: bytes) -> bytes:
    """Overwrite, without making the file longer."""
    return (archive[:place] + what + archive[place + len(what) :])[: len(archive)]


_Mutation = Callable[[bytes, int, random.Random], bytes]
_MUTATIONS: Final[tuple[_Mutation, ...]] = (
    *(_flip, _flip, _overwrite, _overwrite, _step),  # of what a header says, more often than of its shape
    *(_insert, _take_out, _repeat, _cut),
)
