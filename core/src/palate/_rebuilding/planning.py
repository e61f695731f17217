"""From what a caller asks for to a plan: which Python, which installer, which sources, what may be installed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, Literal, TypeAlias

from palate._environment.admission import admits_version
from palate._environment.declared import Declaration, IndexOptions, read_declaration
from palate._environment.lock import LOCK_FILE, WHEELS_FOLDER, Lock
from palate._environment.pylock import read_pylock
from palate._environment.recorded import PYTHON_VERSION
from palate._environment.requirements import normalise_name
from palate._opened import OpenedModel, open_model
from palate._rebuilding.installers import Sources, choose_installer, find_uv
from palate._rebuilding.interpreters import Interpreter, find_interpreter, refuse_too_old
from palate._rebuilding.palates import Palates, find_palates
from palate._rebuilding.plans import Plan, check_lock
from palate._rebuilding.policy import known_names, refuse_to_fetch, refuse_untrusted
from palate._rebuilding.repacking import pack_distribution
from palate._rebuilding.targets import Target
from palate._rebuilding.wanted import Wanted, narrow_declaration, narrow_lock, read_wanted
from palate.errors import InvalidOption, PythonNotFound
from palate.locations import Location, read_one_model

__all__ = ["Asked", "Say", "Task", "choose_lock", "make_plan", "open_wanted", "palate_extras", "say_nothing"]

Say: TypeAlias = Callable[[str], None]
Task: TypeAlias = Literal["install", "fetch", "lock"]

_LOOK: Final = "check the requirements ('palate env export') and the index (index_url=, CLI: --index-url)"
_WHEELS_ONLY: Final = "only wheels are taken, unless trust=True (CLI: --trust) allows to build packages"
_OTHERS_WHEELS: Final = "for another machine only wheels can be taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller asks for; see ``create_environment`` and ``bundle_environment``.

    Raises:
        InvalidOption: a value does not work, or would mean nothing beside another one.
    """

    python: str | PathLike[str] | None
    installer: str
    locked: bool | None
    trust: bool
    extra_requirements: Sequence[str] | str | PathLike[str]
    index_url: str | None
    extra_index_urls: Sequence[str]
    use_recorded_index: bool
    offline: bool
    bundle: Path | None = None
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.trust, bool):
            reason = f"it is {type(self.trust).__name__}, not True or False"
            raise InvalidOption("trust", reason=reason, hint="pass trust=True only for models whose source you trust")
        if isinstance(self.extra_index_urls, str):
            raise InvalidOption("extra_index_urls", reason="it is one text", hint="give a list of addresses")
        if self.bundle is not None and self.chosen():
            reason = f"a bundle has all packages, and says which, so {', '.join(self.chosen())} would mean nothing"
            raise InvalidOption("bundle", reason=reason, hint="leave the one or the other out")

    def chosen(self) -> list[str]:
        """Return the options, among those that say which packages from where, that are not as by default."""
        given = {
            "locked": self.locked is not None,
            "index_url": self.index_url is not None,
            "extra_index_urls": bool(self.extra_index_urls),
            "use_recorded_index": self.use_recorded_index,
        }
        return [name for name, is_given in given.items() if is_given]

    def extra(self) -> Declaration:
        """Read the further requirements."""
        found = read_declaration(self.extra_requirements) if self.extra_requirements else Declaration()
        # Of an index, what was read has lost its password; and folders are only warned of.
        if found.index_options != IndexOptions() or found.warnings:
            hint = "use index_url= and extra_index_urls= (CLI: --index-url), or the configuration of uv or pip"
            raise InvalidOption("extra_requirements", reason="an index, or a place of files, is named", hint=hint)
        return found

    def hint(self) -> str:
        """Return what to do when something cannot be had."""
        if self.targets:
            return f"{_LOOK}; {_OTHERS_WHEELS}"
        return _LOOK if self.trust else f"{_LOOK}; {_WHEELS_ONLY}"


def say_nothing(_: str) -> None:
    """Keep what is being done to oneself."""


def open_wanted(uri: str | PathLike[str]) -> tuple[OpenedModel, Wanted]:
    """Open the model at *uri* as far as its environment goes; whatever runs it checks its other files."""

    def read(location: Location) -> tuple[OpenedModel, Wanted]:
        opened = open_model(location, document_only=True)
        return opened, read_wanted(opened)

    return read_one_model(uri, read, is_whole=lambda _: False)


def make_plan(wanted: Wanted, asked: Asked, *, task: Task) -> Plan:
    """Decide what will be installed, fetched or locked, and refuse what may not be.

    Raises:
        TrustRequired, FlavorNotFound, DependencyMissing, PythonNotFound, InvalidOption, InvalidRequirement,
        EnvironmentFailed
    """
    extra = asked.extra()
    uv = find_uv()
    installer = choose_installer(asked.installer, uv)
    interpreter, python = _find_python(wanted, asked, uv)
    if task == "install":
        wanted, extra = wanted.where(interpreter.markers), narrow_declaration(extra, interpreter.markers)
    palates = Palates(distributions=(), missing=()) if task == "lock" else find_palates(wanted)
    bundled = None if asked.bundle is None else narrow_lock(_bundled_lock(asked.bundle), interpreter.markers)
    known = None if asked.trust else _hold_to_what_is_known(wanted, asked, palates, bundled, task)
    if bundled is not None:
        _check_bundle(bundled, wanted)
    lock = choose_lock(wanted, asked.locked) if bundled is None else bundled
    if lock is not None:
        check_lock(lock, python)
    return Plan(
        wanted=wanted,
        interpreter=interpreter,
        python=python,
        installer=installer,
        packed=() if bundled else tuple(map(pack_distribution, palates.distributions)),
        extras=() if task == "lock" else palate_extras(wanted),
        missing=palates.missing,
        extra=extra,
        lock=lock,
        is_bundle=bundled is not None,
        known=known,
        sources=_choose_sources(wanted, asked),
        builds=asked.trust and not asked.targets,
        hint=asked.hint(),
    )


def _hold_to_what_is_known(
    wanted: Wanted, asked: Asked, palates: Palates, bundled: Lock | None, task: Task
) -> frozenset[str] | None:
    """Refuse what nobody has trusted, and return the names of what may be installed, if something will be."""
    if task != "install":
        # To fetch wheels, or to look for them, runs nothing.
        refuse_to_fetch(wanted, carried=task == "fetch")
        return None
    known = known_names(palates.distributions)
    recorded = asked.use_recorded_index and wanted.index_options != IndexOptions()
    refuse_untrusted(wanted, bundled, known=known, own=palates.names, recorded_index=recorded)
    return known


def _check_bundle(lock: Lock, wanted: Wanted) -> None:
    """Raise InvalidOption if a bundle has not what the model requires: it is of another model."""
    versions: dict[str, list[str | None]] = {}
    for package in lock.packages:
        versions.setdefault(normalise_name(package.name), []).append(package.version)
    for requirement in wanted.requirements:
        if requirement.url:
            continue
        found = versions.get(normalise_name(requirement.name), [])
        if not any(version is not None and admits_version(requirement, version) for version in found):
            has = ", ".join(map(str, found)) or "nothing of it"
            reason = f"the model requires {requirement}, and it has {has}"
            raise InvalidOption("bundle", reason=reason, hint="give the bundle that was made of this model")


def _find_python(wanted: Wanted, asked: Asked, uv: Path | None) -> tuple[Interpreter, str]:
    """Return the Python to use, and the version that packages are for."""
    named = None if asked.python is None else os.fspath(asked.python)
    version = named if named and PYTHON_VERSION.fullmatch(named) else None
    try:
        found = find_interpreter(wanted.python, asked=asked.python, uv=uv)
    except PythonNotFound:
        version = version or wanted.python
        if not asked.targets or version is None:
            raise
        refuse_too_old(version)
        # For another machine, pip need not run in the Python that the files are for.
        found = find_interpreter(platform.python_version(), asked=None, uv=None)
    return found, version if asked.targets and version else found.version


def _choose_sources(wanted: Wanted, asked: Asked) -> Sources:
    """Return where packages come from: the caller's word first, the model's only if the caller says so."""
    if asked.bundle is not None:
        return Sources(find_links=(str(asked.bundle / WHEELS_FOLDER),), no_index=True, offline=True)
    recorded = wanted.index_options if asked.use_recorded_index else IndexOptions()
    return Sources(
        index_url=recorded.index_url if asked.index_url is None else asked.index_url,
        extra_index_urls=tuple(dict.fromkeys([*asked.extra_index_urls, *recorded.extra_index_urls])),
        find_links=recorded.find_links,
        offline=asked.offline,
    )


def palate_extras(wanted: Wanted) -> tuple[str, ...]:
    """Return the extras of Palate's that the model needs."""
    return ("pandas",) if wanted.takes_tables else ()


def choose_lock(wanted: Wanted, locked: bool | None) -> Lock | None:
    """Return the model's lock, unless the caller does without."""
    if locked and wanted.lock is None:
        reason = f"the model has no {LOCK_FILE}"
        raise InvalidOption("locked", reason=reason, hint="save it from a project with a lock, or make a bundle of it")
    return None if locked is False else wanted.lock


def _bundled_lock(bundle: Path) -> Lock:
    try:
        return read_pylock((bundle / LOCK_FILE).read_bytes())
    except OSError as exc:
        reason = f"'{bundle}' is no bundle ({exc.strerror or exc})"
        raise InvalidOption("bundle", reason=reason, hint="give a folder that 'palate env bundle' made") from exc
