"""What is known of one plugin, for people: ``palate flavors list``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from palate._allow_list import ALLOWED_VARIABLE
from palate._flavor import Flavor
from palate._plugin_contract import implemented_hooks
from palate._plugin_sources import Candidate, Kind
from palate.errors import FlavorBroken

__all__ = ["FlavorRecord", "record_blocked", "record_flavor", "record_observer"]

Status: TypeAlias = Literal["ok", "broken", "blocked", "conflict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorRecord:
    """One plugin as it was found.

    Attributes:
        name: a flavor's name, or an observer's entry point.
        kind: "flavor", or "observer" for one that runs around all flavors.
        distribution: who provides it: a distribution, the path of a file, or ``register_flavor``.
        version: the distribution's; empty for the other two.
        status: "ok"; "broken" when it could not be activated; "blocked" when the host's list leaves it out, so that it
            was not imported; "conflict" when another flavor has its name.
        hooks: those that it implements.
        packages: whose classes it owns.
        formats: what it takes for ``format=``, the default first.
        formats_needing_trust: those of them whose directories only ``trust=True`` opens.
        error: why its status is not "ok".
    """

    name: str
    kind: Kind
    distribution: str
    version: str
    status: Status
    hooks: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    formats_needing_trust: tuple[str, ...] = ()
    error: str | None = None


def record_flavor(
    candidate: Candidate, flavor: Flavor | None, broken: FlavorBroken | None, others: Sequence[str]
) -> FlavorRecord:
    """Return the record of a flavor; *others* are the distributions that have one of the same name."""
    if flavor is None:
        # Without an error it is being imported at this moment, and asks what there is.
        return _record(candidate, "broken", broken.reason if broken else "it is being imported")
    return FlavorRecord(
        name=candidate.name,
        kind=candidate.kind,
        distribution=candidate.distribution,
        version=candidate.version,
        status="conflict" if others else "ok",
        hooks=flavor.hooks,
        packages=flavor.packages,
        formats=flavor.formats,
        formats_needing_trust=flavor.formats_needing_trust,
        error=f"{' and '.join(others)} has the same flavor name" if others else None,
    )


def record_observer(candidate: Candidate, observer: object | None, broken: FlavorBroken | None) -> FlavorRecord:
    """Return the record of an observer."""
    hooks = tuple(implemented_hooks(observer)) if observer is not None else ()
    return _record(candidate, "broken" if broken else "ok", broken.reason if broken else None, hooks)


def record_blocked(candidate: Candidate) -> FlavorRecord:
    """Return the record of a plugin that was not imported."""
    return _record(candidate, "blocked", f"{ALLOWED_VARIABLE} does not list {candidate.distribution}")


def _record(candidate: Candidate, status: Status, error: str | None, hooks: tuple[str, ...] = ()) -> FlavorRecord:
    return FlavorRecord(
        name=candidate.name,
        kind=candidate.kind,
        distribution=candidate.distribution,
        version=candidate.version,
        status=status,
        hooks=hooks,
        error=error,
    )
