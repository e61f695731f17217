"""Whether another version of a package matters: by its framework's own promise, or by a guess where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from packaging.version import Version

__all__ = ["PROMISES", "Promise", "Verdict", "judge_version"]

Promise: TypeAlias = Literal["exact", "patch", "minor", "newer"]
"""Which releases read a file: the one that wrote it; those of its minor version; that one and later ones of its major
version; that one and all later ones. Releases of one minor version differ in bugs alone, so all but "exact" let them
read each other's files."""

PROMISES: frozenset[str] = frozenset(get_args(Promise))

# No project has reached that many major versions; one that names its releases by the year has.
_FIRST_YEAR = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a difference matters, and why; *known* is false where it is a guess."""

    matters: bool
    why: str
    known: bool = True


def judge_version(name: str, wanted: str, here: str, promise: Promise | None, *, runs_code: bool = True) -> Verdict:
    """Return whether the release *here* of the package *name* will do for what the release *wanted* wrote.

    *runs_code* says whether the model brings code, which may use whatever it was written with.
    """
    # Loading packaging takes as long as the rest of `import palate`.
    from packaging.version import InvalidVersion, Version

    try:
        saved, found = Version(wanted), Version(here)
    except InvalidVersion:
        return Verdict(matters=True, why="versions from before PEP 440 cannot be compared", known=False)
    if promise is None:
        matters, why = _guess(saved, found, runs_code=runs_code)
        return Verdict(matters=matters, why=f"{why} (a guess: no promise of {name} is known)", known=False)
    matters, why = _keep(promise, name, saved, found)
    return Verdict(matters=matters, why=why)


def _keep(promise: Promise, name: str, saved: Version, found: Version) -> tuple[bool, str]:
    if promise == "exact":
        return True, f"{name} promises nothing for any other version"
    if _minor(saved) == _minor(found):
        return False, f"{name} promises it within a minor version"
    if promise == "patch":
        return True, f"{name} promises nothing across minor versions"
    if found < saved:
        return True, f"an earlier {name} need not read what a later one wrote"
    if promise == "newer" or _major(saved) == _major(found):
        return False, f"{name} promises that later releases read it"
    return True, f"{name} promises nothing across major versions"


def _guess(saved: Version, found: Version, *, runs_code: bool) -> tuple[bool, str]:
    """Judge by semantic versioning, which many packages follow and some do not."""
    if _minor(saved) == _minor(found):
        return False, "only bugs are corrected within a minor version"
    if not runs_code and saved.release[0] > 0 and _major(saved) == _major(found):
        return False, "it is the same major version, and no code of the model uses it"
    if found < saved:
        return True, "an earlier release may lack what the model uses"
    if saved.release[0] >= _FIRST_YEAR:
        return False, "a later release should do: its versions are dates"
    if _major(saved) != _major(found):
        return True, "another major version may have changed anything"
    if saved.release[0] == 0:
        return True, "before 1.0 each minor version may change anything"
    return False, "a later release of a major version only adds"


def _major(version: Version) -> tuple[int, int]:
    return version.epoch, version.major


def _minor(version: Version) -> tuple[int, int, int]:
    return version.epoch, version.major, version.minor
