"""Which versions a requirement allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier

__all__ = ["admits_beside_pin", "admits_but_for_label", "admits_version", "pinned_version"]


def pinned_version(requirement: Requirement) -> str | None:
    """Return the one version that *requirement* admits; None for a range, or a URL."""
    pin = _find_pin(requirement)
    return pin.version if pin else None


def _find_pin(requirement: Requirement) -> Specifier | None:
    exact = (s for s in requirement.specifier if s.operator in ("==", "===") and not s.version.endswith(".*"))
    return next(exact, None)


def admits_version(requirement: Requirement, version: str) -> bool:
    """Whether *version* is one of those that *requirement* allows, pre-releases included."""
    return _admit(requirement.specifier, version)


def admits_beside_pin(requirement: Requirement, version: str) -> bool:
    """Whether what *requirement* says besides its pin allows *version*, as ``<2`` does in ``==1.9.1,<2``."""
    pin = _find_pin(requirement)
    return _admit((s for s in requirement.specifier if s != pin), version)


def admits_but_for_label(requirement: Requirement, version: str) -> bool:
    """Whether *version* is allowed, or is another build of the one that is pinned: all but its local label."""
    pinned = pinned_version(requirement)
    if pinned is None or pinned.partition("+")[0] != version.partition("+")[0]:
        return admits_version(requirement, version)
    return admits_beside_pin(requirement, version)


def _admit(specifiers: Iterable[Specifier], version: str) -> bool:
    from packaging.version import InvalidVersion

    try:
        return all(specifier.contains(version, prereleases=True) for specifier in specifiers)
    except InvalidVersion:  # from before PEP 440
        return False
