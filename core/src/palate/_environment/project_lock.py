"""The lock of the project that a model is saved in, taken over where it is what is installed."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._environment.admission import admits_version
from palate._environment.dependencies import InstalledGraph, metadata_field, requires_lines
from palate._environment.installed import Package, describe_distribution
from palate._environment.lock import Lock, LockedPackage
from palate._environment.pylock import parse_toml, read_pylock, write_pylock
from palate._environment.requirements import names_in, normalise_name, redact
from palate._environment.source import UV_LOCK
from palate._environment.uv_lock import UnusableLock, read_uv_lock
from palate.errors import InvalidModelFile

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

__all__ = ["ProjectLock", "take_lock"]

_MAX_BYTES: Final = 64 << 20
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLock:
    """The part of a project's lock that a model needs, and the name of the file that it was read from."""

    lock: Lock
    source: str


def take_lock(
    path: Path,
    requirements: Iterable[Requirement],
    constraints: Iterable[Requirement],
    graph: InstalledGraph,
    wheels: Iterable[str],
) -> ProjectLock | str:
    """Return what the lock at *path* says of *requirements*, or in a sentence why it is not taken over.

    Args:
        path: a file that ``source.find_lock`` found.
        requirements: those of the model.
        constraints: bounds that the caller gave besides.
        graph: what is installed here, which the lock has to agree with.
        wheels: hashes of the wheel files that come with the model.
    """
    wanted = list(requirements)
    try:
        # What is written has to be readable: names and markers come from a file that nobody has checked.
        lock = read_pylock(write_pylock(_read(path, wanted, graph)).encode())
        _refuse_differences(lock, [*wanted, *constraints], graph.closure(wanted), frozenset(wheels))
        return ProjectLock(lock=lock, source=path.name)
    except (UnusableLock, InvalidModelFile, OSError) as exc:
        problems = exc.problems[:_SHOWN] if isinstance(exc, InvalidModelFile) else ()
        reason = "; ".join(str(p) if p.where else f"it {p}" for p in problems) or str(exc)
        return (
            f"The project's {path.name} is not taken over into the model: {redact(reason)}. Hint: requirements.txt is "
            "written all the same; for the lock, make the environment what it says ('uv sync'), and save again."
        )


def _read(path: Path, requirements: list[Requirement], graph: InstalledGraph) -> Lock:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise UnusableLock(f"it is larger than {_MAX_BYTES >> 20} MiB")
    if path.name == UV_LOCK:
        return read_uv_lock(parse_toml(content, source=UV_LOCK, limit=_MAX_BYTES), requirements)
    return _reached(read_pylock(content), requirements, graph)


def _reached(lock: Lock, requirements: list[Requirement], graph: InstalledGraph) -> Lock:
    """Return the part of a pylock.toml, which does not say what requires what, that *requirements* lead to."""
    closure = graph.closure(requirements)
    # What is required on other platforms is not installed here.
    mentioned = names_in(line for distribution in closure.values() for line in requires_lines(distribution))
    names = closure.keys() | {normalise_name(requirement.name) for requirement in requirements}
    named = [(normalise_name(package.name), package) for package in lock.packages]
    taken = [p for name, p in named if name in names or (name in mentioned and not p.applies())]
    return Lock(packages=tuple(taken), requires_python=lock.requires_python)


# -- does it agree with what is installed? -------------------------------------------------------------------------


def _refuse_differences(
    lock: Lock, asked: list[Requirement], installed: Mapping[str, Distribution], wheels: frozenset[str]
) -> None:
    found = list(_differences(lock, asked, installed, wheels))
    if found:
        rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UnusableLock("; ".join(found[:_SHOWN]) + rest)


def _differences(
    lock: Lock, asked: list[Requirement], installed: Mapping[str, Distribution], wheels: frozenset[str]
) -> Iterator[str]:
    yield from _python_difference(lock)
    locked = {normalise_name(package.name): package for package in lock.packages if package.applies()}
    for name in sorted(locked.keys() | installed.keys()):
        if name not in locked:
            yield f"{name} {metadata_field(installed[name], 'Version')} is installed and not locked"
        elif name not in installed:
            yield f"{name} {locked[name].version} is locked and not installed"
        else:
            yield from _package_difference(locked[name], describe_distribution(installed[name]), wheels)
    for requirement in asked:
        version = locked[name].version if (name := normalise_name(requirement.name)) in locked else None
        if version and not requirement.url and not admits_version(requirement, version):
            yield f"{name} {version} is locked, and {requirement} asked for"


def _python_difference(lock: Lock) -> Iterator[str]:
    here = platform.python_version()
    if not lock.admits_python(here):
        yield f"it is for Python {lock.requires_python}, and {here} is running"


def _package_difference(locked: LockedPackage, here: Package, wheels: frozenset[str]) -> Iterator[str]:
    if locked.version is not None and not _same_version(locked.version, here.version):
        yield f"{here.name} {here.version} is installed and {locked.version} locked"
    elif locked.git is not None and locked.git.commit not in here.requirement:
        yield f"{here.name} is locked at commit {locked.git.commit:.12}, which is not the installed one"
    elif locked.git is None and here.origin in ("git", "editable", "elsewhere"):
        yield f"{here.name} is locked as files of an index, and installed from elsewhere"
    elif here.origin == "wheel" and not wheels.intersection(file.sha256 for file in locked.files):
        yield f"{here.name} is installed from a wheel file that is not locked"


def _same_version(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
