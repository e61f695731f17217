"""Which flavors there are, and which of them owns a model.

Plugins stay unloaded until their name is spoken, or until a model without ``flavor=`` has to find its owner. One that
cannot be activated is remembered with its error; it never takes the others down.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from palate._allow_list import ALLOWED_VARIABLE, AllowList
from palate._flavor import Flavor
from palate._plugin_activation import activate, broken_plugin
from palate._plugin_contract import check_flavor, check_observer
from palate._plugin_record import FlavorRecord, record_blocked, record_flavor, record_observer
from palate._plugin_sources import ALIASES, Candidate, GivenPlugin, find_plugins, name_problem
from palate._process_lock import ProcessLock
from palate._unowned import KNOWN_DISTRIBUTIONS, explain_unowned
from palate.errors import FlavorBlocked, FlavorBroken, FlavorConflict, FlavorNotFound, InvalidOption
from palate.hookspecs import EmbeddedType

__all__ = ["FlavorRegistry", "default_registry"]

STRICT_VARIABLE = "PALATE_STRICT_PLUGINS"


class FlavorRegistry:
    """The flavors among some plugins, by default those that are installed and those that the host names.

    Which of them may be imported is read from the environment now, and stays as it is.
    """

    def __init__(self, plugins: Iterable[Candidate] | None = None) -> None:
        found = find_plugins(os.environ) if plugins is None else list(plugins)
        self._allowed = AllowList(os.environ)
        self._found = found
        self._blocked = [plugin for plugin in found if not self._allowed.admits(plugin)]
        admitted = [plugin for plugin in found if self._allowed.admits(plugin)]
        # Both are replaced, never changed: other threads go through them.
        self._candidates = _group_by_name(plugin for plugin in admitted if plugin.kind == "flavor")
        self._flavors: Mapping[str, Flavor] = {}
        self._observers = [plugin for plugin in admitted if plugin.kind == "observer"]
        self._observing: Mapping[str, object] | None = None
        self._broken: dict[str, FlavorBroken] = {}
        self._broken_observers: dict[str, FlavorBroken] = {}
        self._begun: list[Candidate] = []
        self._lock = ProcessLock(self._begun.clear)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all flavors found, working or not, but for those that the host does not allow."""
        return tuple(sorted(self._candidates))

    @property
    def unmatched_allowed(self) -> tuple[str, ...]:
        """The names in the host's list of allowed plugins that no installed plugin's distribution has."""
        return self._allowed.unmatched(self._found)

    def get(self, name: str) -> Flavor:
        """Activate and return the flavor called *name* (or an alias, or ``distribution:name``).

        Raises:
            InvalidOption: *name* is not text.
            FlavorNotFound: no plugin has that name.
            FlavorBlocked: the host does not allow the one that has it.
            FlavorConflict: two plugins claim it.
            FlavorBroken: its plugin cannot be activated.
        """
        if not isinstance(name, str):
            reason = f"it is {type(name).__name__}"
            raise InvalidOption("flavor", reason=reason, hint=f"give a name: {', '.join(self.names)}")
        distribution, _, short = name.rpartition(":")
        short = ALIASES.get(short, short)
        candidates = [c for c in self._candidates.get(short, ()) if distribution in ("", c.distribution)]
        if not candidates:
            raise self._unavailable(name, distribution, short)
        if len(candidates) > 1:
            raise FlavorConflict(
                f"The flavor name '{short}'",
                distributions=[c.distribution for c in candidates],
                choices=[_qualified(c) for c in candidates],
            )
        return self._activate(candidates[0])

    def owner_of(self, model: object) -> Flavor:
        """Return the flavor that owns *model*: the nearest class of its MRO that a flavor claims decides.

        Raises:
            UnsupportedModel: no flavor claims any of its classes.
            FlavorConflict: two flavors claim the deciding class.
        """
        flavors = self._activate_all()
        for cls in type(model).__mro__:
            owners = {key: flavor for key, flavor in flavors.items() if flavor.claims(cls)}
            if len(owners) > 1:
                raise FlavorConflict(
                    f"The package '{cls.__module__.partition('.')[0]}'",
                    distributions=[owners[key].distribution for key in sorted(owners)],
                    choices=sorted(owners),
                )
            if owners:
                return next(iter(owners.values()))
        blocked = [plugin for plugin in self._blocked if plugin.kind == "flavor"]
        raise explain_unowned(model, dict(self._broken), blocked)

    def embedded_type(self, name: str) -> EmbeddedType | None:
        """Return what the flavor of a class's package says of that class inside other flavors' files, or None.

        Args:
            name: the full name of the class.
        """
        package = name.partition(".")[0]
        owners = [flavor for flavor in self._activate_all().values() if package in flavor.packages]
        offered = (kind for flavor in owners for kind in flavor.embedded_types())
        return next((kind for kind in offered if kind.name == name), None)

    def register(self, plugin: object, name: str) -> None:
        """Add a flavor for as long as the process lives; the same one again changes nothing.

        Raises:
            InvalidOption: no flavor can have that name.
            FlavorConflict: another plugin has it.
            FlavorBroken: *plugin* does not keep the contract of a flavor.
        """
        if problem := name_problem(name):
            raise InvalidOption("name", reason=problem, hint="choose another, such as the framework's")
        candidate = GivenPlugin(plugin, name)
        with self._lock.held:
            known = self._candidates.get(name, ())
            if any(isinstance(other, GivenPlugin) and other.plugin is plugin for other in known):
                return
            if known:
                raise FlavorConflict(
                    f"The flavor name '{name}'",
                    distributions=[_provider(other) for other in (*known, candidate)],
                    choices=(),
                    hint="register it with another name=",
                )
            flavor = self._build_flavor(candidate, self._activate_observers())
            self._flavors = {**self._flavors, _qualified(candidate): flavor}
            self._candidates = {**self._candidates, name: (candidate,)}

    def records(self) -> list[FlavorRecord]:
        """Return every plugin with its state; activates all that may be."""
        flavors = self._activate_all()
        listed = [self._flavor_record(c, flavors) for same_name in self._candidates.values() for c in same_name]
        listed += [record_blocked(plugin) for plugin in self._blocked if plugin.kind == "flavor"]
        listed.sort(key=lambda record: (record.name, record.distribution))
        listed += [self._observer_record(plugin) for plugin in self._observers]
        return listed + [record_blocked(plugin) for plugin in self._blocked if plugin.kind == "observer"]

    # -- activation ----------------------------------------------------------------------------------------------

    def _activate(self, candidate: Candidate) -> Flavor:
        key = _qualified(candidate)
        flavor = self._flavors.get(key)
        if flavor is not None:
            # Without waiting for a plugin that another thread is just importing.
            self._refuse_broken_observers()
            return flavor
        with self._lock.held:
            observers = self._activate_observers()
            if key not in self._flavors and key not in self._broken:
                if candidate in self._begun:
                    raise broken_plugin(
                        candidate, "it was asked for while it was being imported; ask for it in a function"
                    )
                try:
                    flavor = self._build_flavor(candidate, observers)
                except FlavorBroken as broken:
                    self._broken[key] = broken
                else:
                    self._flavors = {**self._flavors, key: flavor}
            if key in self._broken:
                raise self._broken[key].with_traceback(None)  # one that is raised again and again grows
            return self._flavors[key]

    def _activate_all(self) -> Mapping[str, Flavor]:
        with self._lock.held:
            self._activate_observers()
        for candidates in self._candidates.values():
            for candidate in candidates:
                try:
                    self._activate(candidate)
                except FlavorBroken:
                    if _is_strict():
                        raise
        return self._flavors

    def _build_flavor(self, candidate: Candidate, observers: Mapping[str, object]) -> Flavor:
        def build(plugin: object) -> Flavor:
            return Flavor(
                candidate.name,
                plugin,
                observers,
                distribution=candidate.distribution,
                version=candidate.version,
            )

        with self._beginning(candidate):
            return activate(candidate, lambda plugin: name_problem(candidate.name) or check_flavor(plugin), build)

    def _activate_observers(self) -> Mapping[str, object]:
        if self._observing is None:
            active: dict[str, object] = {}
            for plugin in self._observers:
                if plugin in self._begun:
                    # Whatever it asks for now would be called without it for ever.
                    raise broken_plugin(plugin, "it asked for flavors while it was being imported; ask in a function")
                self._activate_observer(plugin, active)
            self._observing = active
        self._refuse_broken_observers()
        return self._observing

    def _activate_observer(self, candidate: Candidate, active: dict[str, object]) -> None:
        try:
            with self._beginning(candidate):
                observer = activate(candidate, check_observer, lambda plugin: plugin)
        except FlavorBroken as broken:
            self._broken_observers[_qualified(candidate)] = broken
        else:
            if not any(observer is other for other in active.values()):
                active[_qualified(candidate)] = observer

    @contextmanager
    def _beginning(self, candidate: Candidate) -> Iterator[None]:
        self._begun.append(candidate)
        try:
            yield
        finally:
            self._begun.remove(candidate)

    def _refuse_broken_observers(self) -> None:
        if self._broken_observers and _is_strict():
            raise next(iter(self._broken_observers.values())).with_traceback(None)

    # -- what is told ----------------------------------------------------------------------------------------------

    def _unavailable(self, name: str, distribution: str, short: str) -> FlavorBlocked | FlavorNotFound:
        for plugin in self._blocked:
            if plugin.kind == "flavor" and plugin.name == short and distribution in ("", plugin.distribution):
                return FlavorBlocked(short, distribution=plugin.distribution, variable=ALLOWED_VARIABLE)
        return FlavorNotFound(name, installed=self.names, distribution=KNOWN_DISTRIBUTIONS.get(short))

    def _flavor_record(self, candidate: Candidate, flavors: Mapping[str, Flavor]) -> FlavorRecord:
        key = _qualified(candidate)
        others = [c.distribution for c in self._candidates[candidate.name] if c is not candidate]
        return record_flavor(candidate, flavors.get(key), self._broken.get(key), others)

    def _observer_record(self, candidate: Candidate) -> FlavorRecord:
        key = _qualified(candidate)
        return record_observer(candidate, (self._observing or {}).get(key), self._broken_observers.get(key))


def _is_strict() -> bool:
    return os.environ.get(STRICT_VARIABLE) == "1"


def _qualified(candidate: Candidate) -> str:
    """Return the name by which ``flavor=`` tells a plugin from another of the same name."""
    return f"{candidate.distribution}:{candidate.name}"


def _provider(candidate: Candidate) -> str:
    """Return who provides a plugin, for a message: what is registered has no distribution to tell it by."""
    if isinstance(candidate, GivenPlugin):
        return f"{candidate.distribution} ({candidate.origin})"
    return candidate.distribution


def _group_by_name(candidates: Iterable[Candidate]) -> dict[str, tuple[Candidate, ...]]:
    grouped: dict[str, tuple[Candidate, ...]] = {}
    for candidate in candidates:
        same_name = grouped.get(candidate.name, ())
        # One distribution can be on sys.path twice (an editable install beside a built one): that is no conflict.
        if all(c.distribution != candidate.distribution for c in same_name):
            both = (*same_name, candidate)
            # Of one alone the distribution is not asked for: it stands in a file that would have to be read.
            grouped[candidate.name] = tuple(sorted(both, key=lambda c: c.distribution)) if same_name else both
    return grouped


_making = ProcessLock()


@cache
def _made() -> FlavorRegistry:
    return FlavorRegistry()


def default_registry() -> FlavorRegistry:
    """Return the registry of this process, made on first use."""
    # Two threads that both come first would get one each, and what is registered in one is not in the other.
    with _making.held:
        return _made()
