"""Which installed plugins the host allows to be imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from palate._late import LateModule
from palate._plugin_sources import Candidate

if TYPE_CHECKING:
    from palate._environment import requirements
else:
    requirements = LateModule("palate._environment.requirements")

__all__ = ["ALLOWED_VARIABLE", "AllowList"]

ALLOWED_VARIABLE = "PALATE_ALLOWED_PLUGINS"


class AllowList:
    """The distributions that ``PALATE_ALLOWED_PLUGINS`` names, separated by commas.

    Unset, it allows everything; empty, nothing but what comes with ``palate`` itself. What the host named itself, as a
    file or by ``register_flavor``, is not asked about.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        given = environ.get(ALLOWED_VARIABLE)
        self._is_set = given is not None
        self._names = tuple(filter(None, map(str.strip, (given or "").split(","))))

    def admits(self, candidate: Candidate) -> bool:
        """Return whether that plugin may be imported."""
        if not self._is_set or candidate.is_hosts_own:
            return True
        return _normalised(candidate) in {"palate", *map(requirements.normalise_name, self._names)}

    def unmatched(self, candidates: Iterable[Candidate]) -> tuple[str, ...]:
        """Return the names in the list that no installed plugin's distribution has."""
        if not self._names:
            return ()
        installed = {"palate", *(_normalised(candidate) for candidate in candidates if not candidate.is_hosts_own)}
        return tuple(name for name in self._names if requirements.normalise_name(name) not in installed)


def _normalised(candidate: Candidate) -> str:
    return requirements.normalise_name(candidate.distribution)
