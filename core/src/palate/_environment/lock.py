"""A lock: the exact files of a model's packages, by hash.

It names no index and no host but those of git repositories that packages come from: a package's file is known by its
hash, and lies in ``wheels/`` if it lies anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from palate._environment.requirements import marker_holds, normalise_name

__all__ = [
    "CREATED_BY",
    "LARGEST_SIZE",
    "LOCK_FILE",
    "WHEELS_FOLDER",
    "GitSource",
    "Lock",
    "LockedFile",
    "LockedPackage",
    "git_lines",
    "hashed_lines",
]

LOCK_FILE: Final = "pylock.toml"
CREATED_BY: Final = 'created-by = "palate"'
WHEELS_FOLDER: Final = "wheels"

LARGEST_SIZE: Final = 1 << 63  # bytes of one file


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource:
    """A commit of a git repository: ``https://`` or ``ssh://git@``, no password in it."""

    url: str
    commit: str
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A wheel's or sdist's file name, and what is in it."""

    name: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One version of a package: files, any of which may be installed, or a commit; where *marker* holds."""

    name: str
    version: str | None
    files: tuple[LockedFile, ...] = ()
    git: GitSource | None = None
    marker: str | None = None

    @property
    def pin(self) -> str:
        """The requirement of this very version."""
        return _with_marker(f"{self.name}=={self.version}", self.marker)

    @property
    def requirement(self) -> str:
        """The requirement of what is installed: the pin, or the commit."""
        return self.pin if self.git is None else _git_line(self, self.git)

    def applies(self, environment: Mapping[str, str] | None = None) -> bool:
        """Tell whether the marker holds, here or where PEP 508's variables are those of *environment*."""
        return self.marker is None or marker_holds(self.marker, environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Every package of an environment, and the versions of Python that it is for."""

    packages: tuple[LockedPackage, ...]
    requires_python: str | None = None

    def in_order(self) -> list[LockedPackage]:
        """Return the packages in an order that does not depend on where they were found."""
        return sorted(self.packages, key=lambda p: (normalise_name(p.name), p.version or "", p.marker or ""))

    def admits_python(self, version: str) -> bool:
        """Tell whether it is for that version of Python, given in full."""
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.requires_python or "").contains(version, prereleases=True)


# -- for installers ------------------------------------------------------------------------------------------------


def _with_marker(line: str, marker: str | None) -> str:
    return f"{line} ; {marker}" if marker else line


def _git_line(package: LockedPackage, git: GitSource) -> str:
    folder = f"#subdirectory={git.subdirectory}" if git.subdirectory else ""
    return _with_marker(f"{package.name} @ git+{git.url}@{git.commit}{folder}", package.marker)


def hashed_lines(lock: Lock) -> list[str]:
    """Return the lines for ``--require-hashes``, one per package that has files."""
    return [
        " ".join(
            (
                package.pin,
                *(f"--hash=sha256:{digest}" for digest in sorted({file.sha256 for file in package.files})),
            )
        )
        for package in lock.in_order()
        if package.files
    ]


def git_lines(lock: Lock) -> list[str]:
    """Return the lines of the packages that come from a commit, which installers have no other hash for."""
    return [package.requirement for package in lock.in_order() if package.git is not None]
