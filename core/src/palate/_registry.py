"""Which flavors are installed, and which of them owns a model.

Entry points stay unloaded until their name is spoken, or until a model without ``flavor=`` has to find its owner. A
plugin that cannot be activated is remembered with its error; it never takes the others down.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from typing import Literal, cast

from palate._flavor import Flavor, check_flavor, check_observer
from palate._process_lock import ProcessLock
from palate.errors import FlavorBroken, FlavorConflict, FlavorNotFound, InvalidOption, UnsupportedModel
from palate.hookspecs import ENTRY_POINT_GROUP, PLUGIN_GROUP, EmbeddedType

__all__ = ["FlavorRecord", "FlavorRegistry", "default_registry"]

ALIASES = {"torch": "pytorch", "tf": "tensorflow"}
KNOWN_DISTRIBUTIONS = {
    "sklearn": "palate-sklearn",
    "xgboost": "palate-xgboost",
    "pytorch": "palate-torch",
    "tensorflow": "palate-tf",
    "keras": "palate-tf",
}
KNOWN_PACKAGES = {**KNOWN_DISTRIBUTIONS, "torch": "palate-torch"}
STRICT_VARIABLE = "PALATE_STRICT_PLUGINS"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorRecord:
    """One plugin as it was found, for people: ``palate flavors list``."""

    name: str
    kind: Literal["flavor", "observer"]
    distribution: str
    version: str
    status: Literal["ok", "broken", "conflict"]
    packages: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    error: str | None = None


class _Candidate:
    """An entry point that has not been loaded yet; its distribution is asked for its name when it matters."""

    def __init__(self, entry_point: metadata.EntryPoint) -> None:
        self.entry_point = entry_point

    @cached_property
    def _described(self) -> tuple[str, str]:
        if self.entry_point.dist is None:
            return "(unknown)", "?"
        described = self.entry_point.dist.metadata  # parsed anew at each access
        return described["Name"], described["Version"]

    @property
    def distribution(self) -> str:
        return self._described[0]

    @property
    def version(self) -> str:
        return self._described[1]

    @property
    def qualified(self) -> str:
        return f"{self.distribution}:{self.entry_point.name}"


class FlavorRegistry:
    """The flavors of a set of entry points, by default those that are installed."""

    def __init__(self, entry_points: Iterable[metadata.EntryPoint] | None = None) -> None:
        found = _installed_entry_points() if entry_points is None else list(entry_points)
        self._candidates = _group_by_name(point for point in found if point.group == ENTRY_POINT_GROUP)
        self._observers = [_Candidate(point) for point in found if point.group == PLUGIN_GROUP]
        self._flavors: dict[str, Flavor] = {}
        self._broken: dict[str, FlavorBroken] = {}
        self._observing: list[object] | None = None
        self._broken_observers: dict[str, FlavorBroken] = {}
        self._lock = ProcessLock()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all flavors found, working or not."""
        return tuple(sorted(self._candidates))

    def get(self, name: str) -> Flavor:
        """Activate and return the flavor called *name* (or an alias, or ``distribution:name``).

        Raises:
            InvalidOption: *name* is not text.
            FlavorNotFound: nothing installed has that name.
            FlavorConflict: two distributions claim it.
            FlavorBroken: its plugin cannot be activated.
        """
        if not isinstance(name, str):
            reason = f"it is {type(name).__name__}"
            raise InvalidOption("flavor", reason=reason, hint=f"give a name: {', '.join(self.names)}")
        distribution, _, short = name.rpartition(":")
        short = ALIASES.get(short, short)
        candidates = [c for c in self._candidates.get(short, ()) if not distribution or c.distribution == distribution]
        if not candidates:
            raise FlavorNotFound(name, installed=self.names, distribution=KNOWN_DISTRIBUTIONS.get(short))
        if len(candidates) > 1:
            raise FlavorConflict(
                f"The flavor name '{short}'",
                distributions=[c.distribution for c in candidates],
                choices=[c.qualified for c in candidates],
            )
        return self._activate(candidates[0])

    def owner_of(self, model: object) -> Flavor:
        """Return the flavor that owns *model*: the nearest class of its MRO that a flavor claims decides.

        Raises:
            UnsupportedModel: no installed flavor claims any of its classes.
            FlavorConflict: two flavors claim the deciding class.
        """
        flavors = self._activate_all()
        for cls in type(model).__mro__:
            package, exact = cls.__module__.partition(".")[0], f"{cls.__module__}.{cls.__qualname__}"
            owners = {key: f for key, f in flavors.items() if package in f.packages or exact in f.types}
            if len(owners) > 1:
                raise FlavorConflict(
                    f"The package '{package}'",
                    distributions=[key.partition(":")[0] for key in sorted(owners)],
                    choices=sorted(owners),
                )
            if owners:
                return next(iter(owners.values()))
        raise self._unowned(model)

    def embedded_type(self, name: str) -> EmbeddedType | None:
        """Return what the flavor of a class's package says of that class inside other flavors' files, or None.

        Args:
            name: the full name of the class.
        """
        package = name.partition(".")[0]
        owners = [flavor for flavor in self._activate_all().values() if package in flavor.packages]
        offered = (kind for flavor in owners for kind in flavor.embedded_types())
        return next((kind for kind in offered if kind.name == name), None)

    def records(self) -> list[FlavorRecord]:
        """Return every plugin with its state; activates all of them."""
        flavors = self._activate_all()
        listed = []
        for name, candidates in sorted(self._candidates.items()):
            for candidate in candidates:
                flavor, broken = flavors.get(candidate.qualified), self._broken.get(candidate.qualified)
                clash = "another distribution has the same flavor name" if len(candidates) > 1 else None
                listed.append(
                    FlavorRecord(
                        name=name,
                        kind="flavor",
                        distribution=candidate.distribution,
                        version=candidate.version,
                        status="broken" if broken else "conflict" if clash else "ok",
                        packages=flavor.packages if flavor else (),
                        formats=flavor.formats if flavor else (),
                        error=broken.reason if broken else clash,
                    )
                )
        return listed + [self._observer_record(candidate) for candidate in self._observers]

    # -- activation ----------------------------------------------------------------------------------------------

    def _activate(self, candidate: _Candidate) -> Flavor:
        key = candidate.qualified
        with self._lock.held:
            observers = self._activate_observers()
            if key not in self._flavors and key not in self._broken:
                try:
                    plugin = _load(candidate, check_flavor)
                except FlavorBroken as broken:
                    self._broken[key] = broken
                else:
                    self._flavors[key] = Flavor(
                        candidate.entry_point.name,
                        plugin,
                        observers,
                        distribution=candidate.distribution,
                        version=candidate.version,
                    )
            if key in self._broken:
                raise self._broken[key]
            return self._flavors[key]

    def _activate_all(self) -> dict[str, Flavor]:
        for candidates in self._candidates.values():
            for candidate in candidates:
                try:
                    self._activate(candidate)
                except FlavorBroken:
                    if _is_strict():
                        raise
        return dict(self._flavors)

    def _activate_observers(self) -> list[object]:
        if self._observing is None:
            self._observing = []
            try:
                for candidate in self._observers:
                    self._activate_observer(candidate, self._observing)
            except BaseException:
                self._observing = None  # interrupted: without an audit's observer, no flavor may be called
                raise
        if self._broken_observers and _is_strict():
            raise next(iter(self._broken_observers.values()))
        return self._observing

    def _activate_observer(self, candidate: _Candidate, active: list[object]) -> None:
        try:
            observer = _load(candidate, check_observer)
        except FlavorBroken as broken:
            self._broken_observers[candidate.qualified] = broken
        else:
            if not any(observer is other for other in active):
                active.append(observer)

    def _observer_record(self, candidate: _Candidate) -> FlavorRecord:
        broken = self._broken_observers.get(candidate.qualified)
        return FlavorRecord(
            name=candidate.entry_point.name,
            kind="observer",
            distribution=candidate.distribution,
            version=candidate.version,
            status="broken" if broken else "ok",
            error=broken.reason if broken else None,
        )

    def _unowned(self, model: object) -> UnsupportedModel:
        cls = type(model)
        package = cls.__module__.partition(".")[0]
        reason = f"no installed flavor owns classes of '{package}'"
        if self._broken:
            reason += "; some plugins are broken: " + "; ".join(f"{key}: {b.reason}" for key, b in self._broken.items())
        distribution = next(
            (KNOWN_PACKAGES[p] for c in cls.__mro__ if (p := c.__module__.partition(".")[0]) in KNOWN_PACKAGES), None
        )
        if isinstance(model, type):
            return UnsupportedModel("class", reason=f"'{model.__qualname__}' is a class", hint="save an instance of it")
        wrap = "a function or a palate.PythonModel subclass"
        if distribution:
            hint = f"pip install {distribution}"
        elif package in sys.stdlib_module_names:  # builtins among them
            hint = f"save a framework's model, {wrap}"
        else:
            hint = f"install the plugin for '{package}', or wrap it in {wrap}"
        return UnsupportedModel(f"{cls.__module__}.{cls.__qualname__}", reason=reason, hint=hint)


def _is_strict() -> bool:
    return os.environ.get(STRICT_VARIABLE) == "1"


def _load(candidate: _Candidate, check: Callable[[object], str | None]) -> object:
    """Import a plugin and check it. Raises FlavorBroken, whatever is wrong with it."""
    try:
        plugin = candidate.entry_point.load()
        problem = check(plugin)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as exc:  # a plugin may fail in any way (pyo3's panics are no Exception); the host goes on
        raise _broken(candidate, f"{type(exc).__name__}: {exc}") from exc
    if problem:
        raise _broken(candidate, problem)
    return cast("object", plugin)


def _broken(candidate: _Candidate, reason: str) -> FlavorBroken:
    return FlavorBroken(
        candidate.entry_point.name,
        distribution=candidate.distribution,
        version=candidate.version,
        reason=reason,
    )


def _group_by_name(entry_points: Iterable[metadata.EntryPoint]) -> dict[str, list[_Candidate]]:
    grouped: dict[str, list[_Candidate]] = {}
    for entry_point in entry_points:
        candidate, same_name = _Candidate(entry_point), grouped.setdefault(entry_point.name, [])
        # One distribution can be on sys.path twice (an editable install beside a built one): that is no conflict.
        if all(c.distribution != candidate.distribution for c in same_name):
            same_name.append(candidate)
            same_name.sort(key=lambda c: c.distribution)
    return grouped


def _installed_entry_points() -> Sequence[metadata.EntryPoint]:
    found = metadata.entry_points()
    return [*found.select(group=ENTRY_POINT_GROUP), *found.select(group=PLUGIN_GROUP)]


@cache
def default_registry() -> FlavorRegistry:
    """Return the registry of what is installed, made on first use."""
    return FlavorRegistry()
