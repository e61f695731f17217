"""What may be installed for a model that nobody has trusted.

To install a package is to run it: a wheel may hold a ``.pth`` file, which every start of Python in that environment
executes. So without trust a model can only ask for what Palate and its flavors require themselves, from the operator's
index, and as wheels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from typing import Final

from palate._disk.paths import MODEL_FILE
from palate._environment.dependencies import InstalledGraph, name_of, requires_lines
from palate._environment.lock import LOCK_FILE, WHEELS_FOLDER, Lock
from palate._environment.requirements import REQUIREMENTS_FILE, normalise_name
from palate._rebuilding.wanted import Wanted
from palate.errors import CodeReason, TrustRequired

__all__ = ["known_names", "refuse_foreign", "refuse_to_fetch", "refuse_untrusted"]

# What other releases require of the packages that Palate's distributions lead to: pandas before 3.
_OF_OTHER_RELEASES: Final = frozenset({"pytz"})

_BUILDING: Final = "Building the environment of"
_FETCHING: Final = "Looking for the packages of"
_MAX_REASONS: Final = 20
_FOREIGN: Final = "a package that Palate does not require runs when it is installed"
_INDEX: Final = "what an index has that the model names runs when it is installed"
_EXTRAS: Final = "what an extra brings runs when it is installed"
_OWN: Final = "Palate and its plugins are those that are installed here"
_COMMIT: Final = "to build a commit runs its code"


def refuse_untrusted(
    wanted: Wanted, bundled: Lock | None, *, known: frozenset[str], own: frozenset[str], recorded_index: bool
) -> None:
    """Raise TrustRequired if the model, or the bundle of it, has more than is known.

    Args:
        wanted: what the model asks for.
        bundled: what the bundle has.
        known: the names of what Palate and its flavors lead to.
        own: the names of these themselves, which a lock may not replace.
        recorded_index: whether the model says where packages come from.
    """
    named = [CodeReason(MODEL_FILE, _INDEX)] if recorded_index else []
    _refuse(wanted, [*named, *_reasons(wanted, known, own), *_foreign(bundled, known)], doing=_BUILDING)


def refuse_foreign(wanted: Wanted, resolved: Iterable[str], known: frozenset[str]) -> None:
    """Raise TrustRequired if what would be installed, by their normalised names, is more than what is known."""
    foreign = sorted(set(resolved) - known)
    reasons = [CodeReason(REQUIREMENTS_FILE, f"{name}, which it leads to: {_FOREIGN}") for name in foreign]
    _refuse(wanted, reasons, doing=_BUILDING)


def refuse_to_fetch(wanted: Wanted, *, carried: bool) -> None:
    """Raise TrustRequired if even to look for what the model asks for would run code.

    Args:
        wanted: what the model asks for.
        carried: whether wheels that come with the model would be handed on, to be installed without it.
    """
    _refuse(wanted, [*(_carried(wanted) if carried else ()), *_commits(wanted)], doing=_FETCHING)


def _refuse(wanted: Wanted, found: Iterable[CodeReason], *, doing: str) -> None:
    reasons = list(dict.fromkeys(found))
    if not reasons:
        return
    shown = reasons[:_MAX_REASONS]
    if len(reasons) > len(shown):
        shown.append(CodeReason(REQUIREMENTS_FILE, f"and {len(reasons) - len(shown)} more"))
    raise TrustRequired(wanted.uri, reasons=shown, doing=doing)


def _reasons(wanted: Wanted, known: frozenset[str], own: frozenset[str]) -> Iterator[CodeReason]:
    yield from _carried(wanted)
    yield from _commits(wanted)
    for requirement in wanted.requirements:
        if not requirement.url and normalise_name(requirement.name) not in known:
            yield CodeReason(REQUIREMENTS_FILE, f"{requirement.name}: {_FOREIGN}")
        elif requirement.extras:
            extras = ", ".join(sorted(requirement.extras))
            yield CodeReason(REQUIREMENTS_FILE, f"{requirement.name}[{extras}]: {_EXTRAS}")
    for package in wanted.lock.packages if wanted.lock else ():
        if normalise_name(package.name) in own:
            yield CodeReason(LOCK_FILE, f"{package.name}: {_OWN}")
    yield from _foreign(wanted.lock, known)


def _carried(wanted: Wanted) -> Iterator[CodeReason]:
    for wheel in wanted.carried:
        why = "a package that comes with the model runs when it is installed"
        yield CodeReason(f"{WHEELS_FOLDER}/{wheel.path.name}", why)


def _foreign(lock: Lock | None, known: frozenset[str]) -> Iterator[CodeReason]:
    for package in lock.packages if lock else ():
        if package.git is None and normalise_name(package.name) not in known:
            yield CodeReason(LOCK_FILE, f"{package.name}: {_FOREIGN}")


def _commits(wanted: Wanted) -> Iterator[CodeReason]:
    for requirement in wanted.requirements:
        if requirement.url:
            yield CodeReason(REQUIREMENTS_FILE, f"{requirement.name}: {_COMMIT}")
    for package in wanted.lock.packages if wanted.lock else ():
        if package.git is not None:
            yield CodeReason(LOCK_FILE, f"{package.name}: {_COMMIT}")


def known_names(palates: Iterable[Distribution]) -> frozenset[str]:
    """Return the names that these distributions lead to, by all of their own extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    direct: list[Requirement] = []
    names: set[str] = set()
    for distribution in palates:
        names.add(name_of(distribution))
        for line in requires_lines(distribution):
            try:
                direct.append(Requirement(line.partition(";")[0]))
            except InvalidRequirement:
                continue
    names.update(normalise_name(requirement.name) for requirement in direct)
    return frozenset(names) | InstalledGraph().closure(direct).keys() | _OF_OTHER_RELEASES
