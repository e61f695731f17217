"""What will be installed, decided before anything is: lines, bounds, wheels, and the name that all of it makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palate._environment.declared import Declaration
from palate._environment.lock import WHEELS_FOLDER, Lock, git_lines, hashed_lines
from palate._environment.requirements import CONSTRAINTS_FILE, REQUIREMENTS_FILE, normalise_name
from palate._rebuilding.installers import Installer, Order, Sources
from palate._rebuilding.interpreters import Interpreter
from palate._rebuilding.places import NOTES_FOLDER, write_lines, write_note
from palate._rebuilding.repacking import PackedWheel
from palate._rebuilding.targets import Target
from palate._rebuilding.wanted import CarriedWheel, Wanted, narrow_declaration, narrow_lock
from palate.errors import InvalidOption

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["Plan", "check_lock", "requirement_lines"]

_LATEST_PATCH: Final = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is about to be installed, fetched or locked.

    Attributes:
        wanted: what the model asks for.
        interpreter: the Python to build with, or whose pip looks for files.
        python: the version of Python that packages are for.
        installer: uv or pip.
        packed: wheels of Palate and its flavors.
        extras: the extras of Palate's that the model needs.
        missing: distributions of flavors that come from the index.
        extra: what the caller asks for besides.
        lock: the files to install, by hash; the model's own, or those of a bundle.
        is_bundle: whether the lock is a bundle's, which has everything in it.
        known: the names of what may be installed, besides what *extra* leads to, or None for whatever is needed.
        sources: where packages come from.
        builds: whether packages may be built from source.
        hint: what to do when something cannot be had.
    """

    wanted: Wanted
    interpreter: Interpreter
    python: str
    installer: Installer
    packed: tuple[PackedWheel, ...]
    extras: tuple[str, ...]
    missing: tuple[str, ...]
    extra: Declaration
    lock: Lock | None
    is_bundle: bool
    known: frozenset[str] | None
    sources: Sources
    builds: bool
    hint: str

    @property
    def digest(self) -> str:
        """The SHA-256 over everything that decides what the environment holds."""
        facts: dict[str, Any] = {
            "format": 1,
            "python": [self.interpreter.implementation, self.interpreter.version, self.interpreter.platform],
            "installer": self.installer.name,
            "lines": self._lines(lambda wheel: wheel.sha256, lambda wheel: wheel.sha256),
            "constraints": self._constraints(),
            "locked": hashed_lines(self.lock) + git_lines(self.lock) if self.lock else None,
            "builds": self.builds,
            # A bundle is known by what is in it, wherever it lies.
            "sources": None if self.is_bundle else list(self.sources.options()),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def for_machine(self, target: Target) -> Plan:
        """Return the part of the plan that counts on another machine, without markers, which pip judges by this one."""
        markers = target.markers(self.python)
        extra = narrow_declaration(self.extra, markers)
        lock = None if self.lock is None else narrow_lock(self.lock, markers)
        return replace(self, wanted=self.wanted.where(markers), extra=extra, lock=lock)

    def orders(self, directory: Path) -> Iterator[tuple[Order, Sources]]:
        """Write the lists for the installer into *directory*, and yield the runs that it takes.

        Raises:
            EnvironmentFailed: the disk refused.
        """
        notes = directory / NOTES_FOLDER
        yield from self._locked_orders(notes)
        lines = self._lines(
            lambda wheel: write_note(notes / WHEELS_FOLDER / wheel.file_name, wheel.content).as_uri(),
            lambda wheel: wheel.path.as_uri(),
        )
        if lines:
            yield self._order(notes, "what the model requires", lines, self._constraints()), self.sources

    def extra_order(self, directory: Path) -> Order:
        """Write the list of what the caller asks for into *directory*, and return the run that it would take alone.

        Raises:
            EnvironmentFailed: the disk refused.
        """
        # Without the model's bounds: what it says must not decide what the caller's own leads to.
        return self._order(
            directory / NOTES_FOLDER / "extra",
            "what was asked for besides",
            list(map(str, self.extra.requirements)),
            list(map(str, self.extra.constraints)),
        )

    def _locked_orders(self, notes: Path) -> Iterator[tuple[Order, Sources]]:
        if self.lock is not None and (lines := hashed_lines(self.lock)):
            places = {str(wheel.path.parent) for wheel in self.wanted.carried} - set(self.sources.find_links)
            yield (
                Order(
                    what="the locked packages",
                    requirements=write_lines(notes / "locked.txt", lines),
                    hashed=True,
                    alone=not self.is_bundle,  # of a bundle, the installer can tell whether it is whole
                    builds=self.builds,
                    hint=self.hint,
                ),
                replace(self.sources, find_links=(*self.sources.find_links, *sorted(places))),
            )
        if self.lock is not None and (lines := git_lines(self.lock)):
            commits = write_lines(notes / "commits.txt", lines)
            yield (
                Order(
                    what="the locked commits",
                    requirements=commits,
                    alone=True,
                    builds=self.builds,
                    hint=self.hint,
                ),
                self.sources,
            )

    def _order(self, notes: Path, what: str, lines: Sequence[str], bounds: Sequence[str]) -> Order:
        return Order(
            what=what,
            requirements=write_lines(notes / REQUIREMENTS_FILE, lines),
            constraints=write_lines(notes / CONSTRAINTS_FILE, bounds) if bounds else None,
            builds=self.builds,
            hint=self.hint,
        )

    def _lines(
        self, address_packed: Callable[[PackedWheel], str], address_carried: Callable[[CarriedWheel], str]
    ) -> list[str]:
        extra = list(map(str, self.extra.requirements))
        if self.is_bundle:
            return extra
        locked = {normalise_name(package.name) for package in self.lock.packages} if self.lock else set()
        carried = [wheel for wheel in self.wanted.carried if wheel.name not in locked]
        lines = requirement_lines(
            self.wanted.requirements,
            carried=[(wheel.name, address_carried(wheel)) for wheel in carried],
            packed=[(wheel.name, address_packed(wheel)) for wheel in self.packed],
            extras=self.extras,
        )
        return [*lines, *self.missing, *extra]

    def _constraints(self) -> list[str]:
        bounds = [*map(str, self.extra.constraints)]
        if self.is_bundle:
            return bounds
        locked = self.lock.packages if self.lock else ()
        pins = [package.pin for package in locked if package.files]
        return [*map(str, self.wanted.constraints), *pins, *bounds]


def requirement_lines(
    requirements: Sequence[Requirement],
    *,
    carried: Sequence[tuple[str, str]],
    packed: Sequence[tuple[str, str]],
    extras: Sequence[str],
) -> list[str]:
    """Return the model's requirements as an installer gets them: what there are files of, by the file's address.

    Args:
        requirements: what the model asks for.
        carried: names and addresses of wheels that come with it.
        packed: names and addresses of Palate's own.
        extras: those that Palate is installed with.
    """
    own = {name for name, _ in packed}
    places = dict(carried)
    lines = []
    for requirement in requirements:
        name = normalise_name(requirement.name)
        if name in own:
            continue
        if name in places:
            asked = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            marker = f" ; {requirement.marker}" if requirement.marker else ""
            lines.append(f"{requirement.name}{asked} @ {places.pop(name)}{marker}")
        else:
            lines.append(str(requirement))
    lines += [f"{name} @ {address}" for name, address in places.items()]
    wish = f"[{','.join(extras)}]" if extras else ""
    return [*lines, *(f"{name}{wish if name == 'palate' else ''} @ {address}" for name, address in packed)]


def check_lock(lock: Lock, python: str) -> None:
    """Raise InvalidOption if a lock is not for a version of Python; two parts of one stand for its latest release."""
    full = python.removesuffix("+") if python.count(".") > 1 else f"{python}.{_LATEST_PATCH}"
    if not lock.admits_python(full):
        reason = f"the packages are locked for Python {lock.requires_python}, and this would be {python}"
        raise InvalidOption("python", reason=reason, hint="choose one in that range, or pass locked=False")
