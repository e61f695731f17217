"""How this Python differs from the environment that a model asks for, and whether that matters.

Only what the directory records and what is installed is compared. What follows from it is said by a framework's own
promise, which its flavor knows; without one it is a guess, and called so. Nothing is raised for odd files: this
explains other failures.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from palate._environment.admission import admits_beside_pin, admits_but_for_label, admits_version, pinned_version
from palate._environment.builds import base_name, find_build
from palate._environment.dependencies import requirements_of
from palate._environment.installed import Package, describe_distribution
from palate._environment.lock import Lock
from palate._environment.promises import Promise, Verdict, judge_version
from palate._environment.recorded import RecordedEnvironment, RefusedLine, read_recorded_lock
from palate._environment.requirements import applies, normalise_name, parse_requirement
from palate.errors import InvalidRequirement

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from palate._environment.contents import Contents

__all__ = ["Difference", "DifferenceKind", "compare_environment", "describe_differences"]

DifferenceKind: TypeAlias = Literal["flavor", "python", "missing", "source", "version", "unreadable", "label"]
_RANKS: Mapping[str, int] = {kind: rank for rank, kind in enumerate(get_args(DifferenceKind))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which this environment is not the one that a model asks for.

    Attributes:
        name: of the package, or ``Python``, or of the file that cannot be read.
        required: what the model asks for, as its file says it; empty for a whole file that cannot be read.
        installed: the version that is here, or None.
        kind: "flavor", the plugin that opens the model is not usable here; "python", another minor version; "missing",
            not installed; "source", not from that git commit; "version", another one; "unreadable", a line that is no
            plain requirement; "label", another build of the same version.
        matters: whether the model may fail, or predict otherwise, because of it.
        why: the reason for that.
        known: whether that is somebody's promise or a fact; false for a guess.
    """

    name: str
    required: str
    installed: str | None
    kind: DifferenceKind
    matters: bool
    why: str
    known: bool = True

    def __str__(self) -> str:
        """Return it as a sentence without a full stop."""
        weight = "which matters" if self.matters else "which should not matter"
        return f"{self.fact}, {weight}: {self.why}"

    @property
    def fact(self) -> str:
        """What differs, without what follows from it."""
        match self.kind:
            case "flavor":
                return f"{self.name} is required and cannot be used"
            case "python":
                return f"Python {self.required} is required, {self.installed} is running"
            case "missing":
                return f"{self.required} is required and not installed"
            case "unreadable":
                return f"{self.name} says {self.required!r:.100}" if self.required else f"{self.name} cannot be read"
            case _:
                return f"{self.required} is required, {self.installed} is installed"


def describe_differences(differences: Sequence[Difference], *, limit: int = 5) -> list[str]:
    """Return the first of them as sentences, and how many there are more."""
    told = list(map(str, differences[:limit]))
    rest = len(differences) - limit
    return told if rest <= 0 else [*told, f"{rest} more"]


def _unknown() -> Contents:
    return "unknown"


def compare_environment(
    directory: Path,
    recorded: RecordedEnvironment,
    *,
    promises: Mapping[str, Promise] | None = None,
    saved_with: Mapping[str, str] | None = None,
    runs_code: bool = True,
    contents: Callable[[], Contents] = _unknown,
    labels: Mapping[str, str] | None = None,
) -> tuple[Difference, ...]:
    """Return how this Python differs from what the model in *directory* asks for, the most important first.

    Args:
        directory: the model directory.
        recorded: what its files say.
        promises: what each package promises for files like the model's, by its distribution.
        saved_with: versions, by their distribution, that were recorded when the model was saved; for those that its
            requirements name without a version, or not at all.
        runs_code: whether code that the model brings runs when it is opened.
        contents: says what of the model depends on Python; asked only if Python differs.
        labels: the local labels of builds that the model records, by their distribution's normalised name.
    """
    look = _PackageComparison(promises or {}, labels or {}, runs_code=runs_code)
    asked = [
        *look.compare((requirement, "") for requirement in recorded.requirements),
        *look.compare((pin, "which saved it") for pin in _pins(saved_with or {}, recorded.requirements)),
        *look.compare(((bound, "") for bound in recorded.constraints), installed_only=True),
    ]
    locked = look.compare_lock(read_recorded_lock(directory), told={normalise_name(d.name) for d in asked})
    found = [*_compare_python(recorded, contents), *asked, *locked, *map(_refused, recorded.refused)]
    return tuple(sorted(dict.fromkeys(found), key=_importance))


def _importance(difference: Difference) -> tuple[bool, int, bool, str]:
    return not difference.matters, _RANKS[difference.kind], not difference.known, difference.name


def _refused(refused: RefusedLine) -> Difference:
    option = refused.line is not None and refused.line.startswith("-")
    why = f"{refused.reason}; {'no package is asked for' if option else 'so nobody can tell what it asks for'}"
    return Difference(
        name=refused.file, required=refused.line or "", installed=None, kind="unreadable", matters=not option, why=why
    )


# -- Python ------------------------------------------------------------------------------------------------------------


def _compare_python(recorded: RecordedEnvironment, contents: Callable[[], Contents]) -> Iterator[Difference]:
    wanted = recorded.python
    if wanted is None:
        if (text := recorded.no_python) is not None:
            why = "that is no version, so nobody can tell which Python it asks for"
            yield Difference(
                name="Python", required=text[:100], installed=None, kind="unreadable", matters=True, why=why
            )
        return
    here = platform.python_version()
    asked, running = _minor(wanted), _minor(here)
    # Byte code and wheels are tied to the minor version; patch releases keep both.
    if asked == running:
        return
    verdict = _judge_python(wanted, contents(), earlier=running < asked)
    yield Difference(
        name="Python",
        required=wanted,
        installed=here,
        kind="python",
        matters=verdict.matters,
        why=verdict.why,
        known=verdict.known,
    )


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(re.sub(r"\D.*", "", minor))


def _judge_python(wanted: str, contents: Contents, *, earlier: bool) -> Verdict:
    match contents:
        case "data":
            return Verdict(matters=False, why="nothing in the model's files depends on the version of Python")
        case "byte code":
            why = f"functions in it are byte code, which only Python {'.'.join(map(str, _minor(wanted)))} can run"
            return Verdict(matters=True, why=why)
        case "source" if earlier:
            return Verdict(matters=True, why="its code was written for a later version", known=False)
        case "source":
            why = "its code is source text, which later versions run but for what they have removed"
            return Verdict(matters=False, why=why, known=False)
        case _:
            return Verdict(matters=True, why="what of it depends on Python cannot be told here", known=False)


# -- packages ----------------------------------------------------------------------------------------------------------


class _PackageComparison:
    """Looks for packages among those that are installed here."""

    def __init__(self, promises: Mapping[str, Promise], labels: Mapping[str, str], *, runs_code: bool) -> None:
        self._runs_code = runs_code
        self._promises = {normalise_name(name): promise for name, promise in promises.items()}
        self._labels = labels

    def compare(
        self, requirements: Iterable[tuple[Requirement, str]], *, installed_only: bool = False
    ) -> Iterator[Difference]:
        """Yield what differs from *requirements*, with a note on where each is from, and from what they need in turn.

        With *installed_only* a package that is not here is no difference.
        """
        waiting = list(requirements)
        seen: set[tuple[str, str]] = set()
        followed: set[str] = set()
        while waiting:
            requirement, note = waiting.pop()
            if (str(requirement), note) in seen or not applies(requirement):
                continue
            seen.add((str(requirement), note))
            found = find_build(requirement.name)
            if found is not None:
                here = describe_distribution(found)
                yield from self._compare_installed(requirement, note, here)
                for extra, needed in requirements_of(found, requirement.extras):
                    if extra:
                        waiting.append((needed, f"for {requirement.name}[{extra}]"))
                    elif here.name not in followed:
                        waiting.append((needed, f"for {here.name}"))
                followed.add(here.name)
            elif not installed_only:
                yield _missing(requirement, note)

    def compare_lock(self, lock: Lock | RefusedLine | None, *, told: Collection[str]) -> Iterator[Difference]:
        """Yield what differs from a lock, but for packages of which something is *told* already, by normalised name."""
        if isinstance(lock, RefusedLine):
            yield _refused(lock)
            return
        for requirement in _locked_requirements(lock) if lock else ():
            if normalise_name(requirement.name) in told:
                continue
            found = find_build(requirement.name)
            if found is None:
                yield _missing(requirement, "locked")
            else:
                yield from self._compare_installed(requirement, "locked", describe_distribution(found))

    def _compare_installed(self, requirement: Requirement, note: str, here: Package) -> Iterator[Difference]:
        kind: DifferenceKind = "version"
        other_build = here.name != normalise_name(requirement.name)
        label = self._labels.get(here.name)
        if requirement.url is not None:
            kind, verdict = "source", _judge_source(requirement, here)
        elif not admits_version(requirement, here.version):
            kind, verdict = self._judge(requirement, here.version)
        elif other_build or label not in (None, here.label):
            kind, verdict = "label", _OTHER_BUILD
        else:
            return
        if verdict is not None:
            yield Difference(
                name=requirement.name,
                required=_text(requirement, note) + (f"+{label}" if kind == "label" and label else ""),
                installed=f"{here.name} {here.version}" if other_build else here.version,
                kind=kind,
                matters=verdict.matters,
                why=verdict.why,
                known=verdict.known,
            )

    def _judge(self, requirement: Requirement, version: str) -> tuple[DifferenceKind, Verdict]:
        if admits_but_for_label(requirement, version):
            return "label", _OTHER_BUILD
        pinned = pinned_version(requirement)
        if pinned is None or not admits_beside_pin(requirement, version):
            return "version", Verdict(matters=True, why="it is outside of what the model's requirements allow")
        base = base_name(requirement.name)
        promise = self._promises.get(normalise_name(requirement.name)) or self._promises.get(base)
        return "version", judge_version(requirement.name, pinned, version, promise, runs_code=self._runs_code)


_OTHER_BUILD = Verdict(matters=False, why="it is another build of the same version")


def _missing(requirement: Requirement, note: str) -> Difference:
    return Difference(
        name=requirement.name,
        required=_text(requirement, note),
        installed=None,
        kind="missing",
        matters=True,
        why="nothing that is installed takes its place",
    )


def _text(requirement: Requirement, note: str) -> str:
    return f"{requirement} ({note})" if note else str(requirement)


def _pins(saved_with: Mapping[str, str], requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    """Yield what saved the model, pinned, where *requirements* leave its version open."""
    bound = {base_name(r.name) for r in requirements if r.specifier or r.url}
    for name, version in saved_with.items():
        if normalise_name(name) not in bound:
            with suppress(InvalidRequirement):  # that is no version
                pin = parse_requirement(f"{name}=={version}")
                if pin is not None:
                    yield pin


def _locked_requirements(lock: Lock) -> Iterator[Requirement]:
    """Yield the pin, or the commit, of each package that *lock* has for this Python, without its marker."""
    for package in lock.packages:
        requirement = parse_requirement(package.requirement)
        if requirement is not None and applies(requirement):
            requirement.marker = None
            yield requirement


def _judge_source(requirement: Requirement, here: Package) -> Verdict | None:
    """Return what to say of a package that is not from the git commit asked for; None if it is."""
    if here.origin != "git":
        return Verdict(matters=True, why="it did not come from that repository")
    same = _commit(here.requirement) == _commit(str(requirement.url))
    return None if same else Verdict(matters=True, why="it came from another commit")


def _commit(url: str) -> str:
    return url.partition("#")[0].rpartition("@")[2]
