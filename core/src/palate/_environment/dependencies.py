"""What installed distributions require in turn, as their own metadata says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from palate._environment.requirements import applies, normalise_name

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

__all__ = [
    "InstalledGraph",
    "extras_of",
    "find_distribution",
    "is_whole",
    "metadata_field",
    "name_of",
    "requirements_of",
    "requires_lines",
]

_EXTRA = re.compile(r"\bextra\b")


def _headers(distribution: Distribution) -> str:
    # importlib.metadata parses the whole file as an email, and with the description that follows the headers.
    text = _read(distribution, "METADATA") or _read(distribution, "PKG-INFO") or ""
    return "\n" + text.replace("\r\n", "\n").partition("\n\n")[0]


def _read(distribution: Distribution, name: str) -> str | None:
    try:
        return distribution.read_text(name)
    except UnicodeDecodeError:  # from before UTF-8 was the rule; of distributions in folders the file can be found
        folder = getattr(distribution, "_path", None)
        return (folder / name).read_bytes().decode("utf-8", "replace") if isinstance(folder, Path) else None


def metadata_field(distribution: Distribution, field: str) -> str:
    """Return the first *field* of a distribution's metadata; empty when it has none."""
    found = re.search(rf"\n{field}:[ \t]*(.*)", _headers(distribution))
    return found[1].strip() if found else ""


def extras_of(distribution: Distribution) -> frozenset[str]:
    """Return the normalised names of the extras that *distribution* offers."""
    found = re.findall(r"\nProvides-Extra:[ \t]*(.*)", _headers(distribution))
    return frozenset(normalise_name(extra.strip()) for extra in found)


def name_of(distribution: Distribution) -> str:
    """Return a distribution's normalised name."""
    return normalise_name(metadata_field(distribution, "Name"))


def requires_lines(distribution: Distribution) -> list[str]:
    """Return what *distribution* requires, one PEP 508 requirement each."""
    found = re.findall(r"\nRequires-Dist:[ \t]*(.*)", _headers(distribution))
    if found:
        return found
    # Eggs say it in another file, in a form that importlib.metadata translates.
    return list(distribution.requires or []) if distribution.read_text("requires.txt") else []


def find_distribution(name: str) -> Distribution | None:
    """Return the distribution *name* that is installed here, or None."""
    from importlib import metadata

    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return found if is_whole(found) else None


def is_whole(distribution: Distribution) -> bool:
    """Tell whether *distribution* has a name and a version, which the remains of an uninstall have not."""
    return bool(metadata_field(distribution, "Name") and metadata_field(distribution, "Version"))


class InstalledGraph:
    """What is installed here, and what it requires; the metadata of each distribution is read at most once."""

    def __init__(self) -> None:
        self._distributions: dict[str, Distribution | None] = {}
        self._required: dict[tuple[str, str], list[Requirement]] = {}

    def find(self, name: str) -> Distribution | None:
        """Return the distribution of that normalised name, or None."""
        if name not in self._distributions:
            self._distributions[name] = find_distribution(name)
        return self._distributions[name]

    def closure(self, requirements: Iterable[Requirement]) -> dict[str, Distribution]:
        """Return the distributions that *requirements* lead to, themselves included, by normalised name.

        Extras are followed where they are asked for, and requirements whose marker does not hold here are passed over,
        as is what is not installed.
        """
        found: dict[str, Distribution] = {}
        followed: set[tuple[str, str]] = set()
        waiting = [requirement for requirement in requirements if applies(requirement)]
        while waiting:
            requirement = waiting.pop()
            name = normalise_name(requirement.name)
            distribution = self.find(name)
            if distribution is None:
                continue
            found[name] = distribution
            # The empty text stands for what is required without any extra.
            for extra in ("", *map(normalise_name, requirement.extras)):
                if (name, extra) not in followed:
                    followed.add((name, extra))
                    waiting += self._requirements(name, extra, distribution)
        return found

    def _requirements(self, name: str, extra: str, distribution: Distribution) -> list[Requirement]:
        if (name, extra) not in self._required:
            self._required[name, extra] = [
                needed for _, needed in requirements_of(distribution, [extra] if extra else [])
            ]
        return self._required[name, extra]


def requirements_of(distribution: Distribution, extras: Iterable[str] = ()) -> Iterator[tuple[str, Requirement]]:
    """Yield what an installed distribution requires here, each with the extra that asks for it.

    The empty text stands for none. Markers hold, and are taken off.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    asking = ("", *sorted(extras))
    for line in requires_lines(distribution):
        # Most lines of large packages are about extras, and reading a requirement takes long.
        if len(asking) == 1 and _EXTRA.search(line.partition(";")[2]):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # written before PEP 508; pip passes over it too
            continue
        extra = next((extra for extra in asking if applies(requirement, {"extra": extra})), None)
        if extra is not None:
            requirement.marker = None
            yield extra, requirement
