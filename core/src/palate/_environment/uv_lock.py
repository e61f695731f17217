"""The lock of a uv project: which of its packages some requirements lead to, on every platform that it is for.

``uv.lock`` is universal. One package may stand in it in several versions, each for a part of the platforms, and a
dependency may hold on some platforms only. So each package that is taken gets the marker under which it is reached,
as ``uv export`` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from palate._environment.lock import LARGEST_SIZE, GitSource, Lock, LockedFile, LockedPackage
from palate._environment.requirements import normalise_name

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["UnusableLock", "read_uv_lock"]

# One way to reach a package: markers that all have to hold. A package is reached where one of its ways is.
Way: TypeAlias = frozenset[str]

_MAX_WAYS: Final = 256
_MAX_MARKER: Final = 3_000


class UnusableLock(ValueError):
    """A project's lock does not hold what a model needs; the text says why, in a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One version of a package in uv.lock, and what it requires by extra; the empty extra stands for no extra."""

    package: LockedPackage
    source: Mapping[str, Any]
    platforms: tuple[str, ...]
    dependencies: Mapping[str, tuple[Mapping[str, Any], ...]]


def read_uv_lock(document: Mapping[str, Any], requirements: Iterable[Requirement]) -> Lock:
    """Return the part of a parsed uv.lock that *requirements* lead to.

    Raises:
        UnusableLock: it is malformed, of another version, or does not hold all of them as files with hashes or commits.
    """
    if document.get("version") != 1:
        raise UnusableLock(f"its version is {document.get('version')!r:.20}, and this Palate reads 1")
    try:
        entries = [_entry(table) for table in document.get("package", [])]
        walk = _Walk(entries=entries, parts=frozenset(document.get("resolution-markers", ())))
        for requirement in requirements:
            walk.begin(requirement)
        return Lock(packages=tuple(walk.packages()), requires_python=_text(document.get("requires-python")))
    except UnusableLock:
        raise
    except (TypeError, KeyError, AttributeError, ValueError) as exc:
        raise UnusableLock(f"it is malformed ({type(exc).__name__}: {exc!s:.100})") from exc


# -- reading one package -------------------------------------------------------------------------------------------


def _entry(table: Mapping[str, Any]) -> _Entry:
    source, optional = table["source"], table.get("optional-dependencies", {})
    tables = ([table["sdist"]] if "sdist" in table else []) + list(table.get("wheels", []))
    package = LockedPackage(
        name=normalise_name(table["name"]),
        version=_text(table.get("version")),
        files=tuple(file for entry in tables if (file := _file(entry))),
        git=_git(source["git"]) if "git" in source else None,
    )
    groups = {"": table.get("dependencies", []), **{normalise_name(extra): found for extra, found in optional.items()}}
    return _Entry(
        package=package,
        source=source,
        platforms=tuple(table.get("resolution-markers", ())),
        dependencies={extra: tuple(found) for extra, found in groups.items()},
    )


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} where text should be")


def _file(table: Mapping[str, Any]) -> LockedFile | None:
    algorithm, _, digest = str(table.get("hash", "")).partition(":")
    place = table.get("filename") or table.get("url") or table.get("path") or ""
    name = unquote(urlsplit(place).path).rpartition("/")[2]
    size = table.get("size")
    if type(size) is not int or not 0 <= size < LARGEST_SIZE:
        size = None
    return LockedFile(name=name, sha256=digest, size=size) if algorithm == "sha256" else None


def _git(address: str) -> GitSource:
    """Take apart ``https://host/repository?subdirectory=part&rev=main#<commit>``."""
    parts = urlsplit(address)
    user = "git@" if parts.scheme == "ssh" else ""
    return GitSource(
        url=f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}",
        commit=parts.fragment,
        subdirectory=next(iter(parse_qs(parts.query).get("subdirectory", [])), None),
    )


# -- what leads to what --------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Follows dependencies through the entries, noting on which ways each is reached.

    *parts* are the markers of the parts that the lock divides all platforms into.
    """

    entries: list[_Entry]
    parts: frozenset[str]
    _by_name: dict[str, list[int]] = field(default_factory=dict)
    _ways: dict[tuple[int, str], set[Way]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, entry in enumerate(self.entries):
            self._by_name.setdefault(entry.package.name, []).append(number)

    def begin(self, requirement: Requirement) -> None:
        """Take in what *requirement* leads to."""
        name = normalise_name(requirement.name)
        if name not in self._by_name:
            raise UnusableLock(f"{name} is not in it")
        marker = str(requirement.marker) if requirement.marker else ""
        self._follow(self._by_name[name], [*map(normalise_name, requirement.extras)], marker, frozenset())

    def packages(self) -> Iterator[LockedPackage]:
        """Yield the packages that were reached, each with the marker for it."""
        for number, entry in enumerate(self.entries):
            ways = self._ways.get((number, ""))
            if ways:
                _refuse_source(entry)
                yield replace(entry.package, marker=_marker(_joined(ways, self.parts)))

    def _follow(self, numbers: list[int], extras: list[str], marker: str, way: Way) -> None:
        waiting = [(numbers, extras, marker, way)]
        while waiting:
            numbers, extras, marker, way = waiting.pop()
            for number in numbers:
                # Where one of several versions is meant, and the dependency does not say which, its platforms do.
                platforms = self.entries[number].platforms if len(numbers) > 1 else ()
                for platform in platforms or ("",):
                    reached = way | {text for text in (marker, platform) if text}
                    for extra in ("", *extras):
                        if self._note(number, extra, reached):
                            waiting += self._dependencies(number, extra, reached)

    def _dependencies(self, number: int, extra: str, way: Way) -> Iterator[tuple[list[int], list[str], str, Way]]:
        for table in self.entries[number].dependencies.get(extra, ()):
            name = normalise_name(table["name"])
            fitting = [other for other in self._by_name.get(name, ()) if self._is_meant(other, table)]
            if not fitting:
                raise UnusableLock(f"{name} is required in it and not in it")
            yield fitting, [*map(normalise_name, table.get("extra", ()))], table.get("marker", ""), way

    def _is_meant(self, number: int, table: Mapping[str, Any]) -> bool:
        entry = self.entries[number]
        meant = (table.get("version", entry.package.version), table.get("source", entry.source))
        return meant == (entry.package.version, entry.source)

    def _note(self, number: int, extra: str, way: Way) -> bool:
        """Note a way to an entry; tell whether it is one that the known ones do not include."""
        known = self._ways.setdefault((number, extra), set())
        if any(other <= way for other in known):
            return False
        self._ways[number, extra] = {other for other in known if not way <= other} | {way}
        if len(known) > _MAX_WAYS:
            raise UnusableLock(f"{self.entries[number].package.name} is required under too many conditions")
        return True


def _refuse_source(entry: _Entry) -> None:
    name = entry.package.name
    if "registry" not in entry.source and "git" not in entry.source and "path" not in entry.source:
        kind = next(iter(entry.source), "nowhere")
        raise UnusableLock(f"{name} comes from a source that only this machine has, or that may change ({kind:.20})")
    if entry.package.git is None and not entry.package.files:
        raise UnusableLock(f"{name} has no file with a SHA-256")


def _joined(ways: set[Way], parts: frozenset[str]) -> set[Way]:
    """Join ways that differ only in the part of the platforms, and together have all parts."""
    for way in ways:
        for part in way & parts:
            rest = way - {part}
            if all(any(other <= rest | {another} for other in ways) for another in parts):
                return _joined({other for other in ways if not rest <= other} | {rest}, parts)
    return ways


def _marker(ways: set[Way]) -> str | None:
    from packaging.markers import InvalidMarker, Marker

    if frozenset() in ways:
        return None
    alternatives = [" and ".join(f"({text})" for text in sorted(way)) for way in ways]
    joined = " or ".join(sorted(alternatives))
    if re.search(r"\bextra\b", joined):
        raise UnusableLock("it has alternatives that depend on the extras of the project")
    try:
        marker = str(Marker(joined))
    except (InvalidMarker, RecursionError) as exc:
        raise UnusableLock(f"it has a malformed marker ({str(exc).splitlines()[0]:.100})") from exc
    if len(marker) > _MAX_MARKER:
        raise UnusableLock("its markers are too long")
    return marker
