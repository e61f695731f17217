"""What may be installed for a model that nobody has trusted.

To install a package is to run it: a wheel may hold a ``.pth`` file, which every start of Python in that environment
executes. So without trust a model can only ask for what Palate and its flavors require themselves, from the operator's
index, and as wheels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from typing import Final

from palate._environment.dependencies import InstalledGraph, metadata_field, requires_lines
from palate._environment.lock import LOCK_FILE
from palate._environment.requirements import REQUIREMENTS_FILE, normalise_name
from palate._rebuilding.wanted import Wanted
from palate.errors import CodeReason, TrustRequired

__all__ = ["refuse_commits", "refuse_untrusted"]

_MAX_REASONS: Final = 20
_FOREIGN: Final = "a package that Palate does not require runs when it is installed"
_COMMIT: Final = "to build a commit runs its code"


def refuse_untrusted(wanted: Wanted, palates: Iterable[Distribution]) -> None:
    """Raise TrustRequired if the model asks for more than the distributions *palates* lead to."""
    known = _known_names(palates)
    _refuse(wanted, _reasons(wanted, known))


def refuse_commits(wanted: Wanted) -> None:
    """Raise TrustRequired if even to look for what the model asks for would run code."""
    _refuse(wanted, _commits(wanted))


def _refuse(wanted: Wanted, found: Iterable[CodeReason]) -> None:
    reasons = list(dict.fromkeys(found))
    if not reasons:
        return
    shown = reasons[:_MAX_REASONS]
    if len(reasons) > len(shown):
        shown.append(CodeReason(REQUIREMENTS_FILE, f"and {len(reasons) - len(shown)} more"))
    raise TrustRequired(wanted.uri, reasons=shown)


def _reasons(wanted: Wanted, known: frozenset[str]) -> Iterator[CodeReason]:
    for wheel in wanted.carried:
        yield CodeReason(f"wheels/{wheel.path.name}", "a package that comes with the model runs when it is installed")
    yield from _commits(wanted)
    for requirement in wanted.requirements:
        if not requirement.url and normalise_name(requirement.name) not in known:
            yield CodeReason(REQUIREMENTS_FILE, f"{requirement.name}: {_FOREIGN}")
    for package in wanted.lock.packages if wanted.lock else ():
        if package.git is None and normalise_name(package.name) not in known:
            yield CodeReason(LOCK_FILE, f"{package.name}: {_FOREIGN}")


def _commits(wanted: Wanted) -> Iterator[CodeReason]:
    for requirement in wanted.requirements:
        if requirement.url:
            yield CodeReason(REQUIREMENTS_FILE, f"{requirement.name}: {_COMMIT}")
    for package in wanted.lock.packages if wanted.lock else ():
        if package.git is not None:
            yield CodeReason(LOCK_FILE, f"{package.name}: {_COMMIT}")


def _known_names(palates: Iterable[Distribution]) -> frozenset[str]:
    """Return the names that these distributions lead to, by all of their own extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    direct: list[Requirement] = []
    names: set[str] = set()
    for distribution in palates:
        names.add(normalise_name(metadata_field(distribution, "Name")))
        for line in requires_lines(distribution):
            try:
                direct.append(Requirement(line.partition(";")[0]))
            except InvalidRequirement:
                continue
    names.update(normalise_name(requirement.name) for requirement in direct)
    return frozenset(names) | InstalledGraph().closure(direct).keys()
