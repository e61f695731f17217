"""Which of the distributions installed here a model's environment needs, so that Palate can open the model there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from typing import Final

from palate._environment.builds import base_name
from palate._environment.dependencies import find_distribution, name_of, requires_lines
from palate._environment.requirements import names_in, normalise_name
from palate._plugin_sources import InstalledPlugin, find_plugins
from palate._rebuilding.wanted import Wanted
from palate._unowned import KNOWN_DISTRIBUTIONS
from palate.errors import DependencyMissing, FlavorNotFound

__all__ = ["Palates", "find_palates"]

# The flavors of frameworks, by the names that requirements call these.
_FLAVORS: Final = {
    "scikit-learn": "palate-sklearn",
    "xgboost": "palate-xgboost",
    "torch": "palate-torch",
    "tensorflow": "palate-tf",
    "keras": "palate-tf",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Palates:
    """Palate, and its flavors for one model.

    Attributes:
        distributions: those that are installed here, Palate first.
        missing: the name of the flavor's distribution, if it is not installed here.
    """

    distributions: tuple[Distribution, ...]
    missing: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of those that are installed here, normalised."""
        return frozenset(map(name_of, self.distributions))


def find_palates(wanted: Wanted) -> Palates:
    """Return the distributions that a model's environment needs besides what the model asks for.

    Those are Palate, the flavor that opens the model, and the flavors of packages that it requires: a model may be part
    of another framework's.

    Raises:
        FlavorNotFound: nobody knows which distribution the flavor is of.
        DependencyMissing: Palate itself is not installed, but only on the path.
    """
    palate = find_distribution("palate")
    if palate is None:
        raise DependencyMissing("palate", needed_for="an environment of a model's own")
    plugins = [plugin for plugin in find_plugins(os.environ) if plugin.kind == "flavor"]
    installed = [
        (plugin.name, plugin.entry_point.dist)
        for plugin in plugins
        if isinstance(plugin, InstalledPlugin) and plugin.entry_point.dist is not None
    ]
    missing: tuple[str, ...] = ()
    if all(plugin.name != wanted.flavor for plugin in plugins):
        if wanted.flavor not in KNOWN_DISTRIBUTIONS:
            raise FlavorNotFound(wanted.flavor, installed=sorted({plugin.name for plugin in plugins}))
        missing = (KNOWN_DISTRIBUTIONS[wanted.flavor],)
    required = {normalise_name(requirement.name) for requirement in wanted.requirements}
    homes = {_FLAVORS[base] for base in map(base_name, required) if base in _FLAVORS}
    chosen = [home for name, home in installed if name == wanted.flavor or name in required or name_of(home) in homes]
    others = {name_of(home): home for _, home in installed}
    return Palates(distributions=_with_required([palate, *chosen], others), missing=missing)


def _with_required(chosen: Iterable[Distribution], others: Mapping[str, Distribution]) -> tuple[Distribution, ...]:
    """Add the flavors that flavors require."""
    found: dict[str, Distribution] = {}
    waiting = list(chosen)
    while waiting:
        distribution = waiting.pop(0)
        if found.setdefault(name_of(distribution), distribution) is distribution:
            required = names_in(requires_lines(distribution))
            waiting += [other for name, other in others.items() if name in required and name not in found]
    return tuple(found.values())
