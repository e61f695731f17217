"""Which flavors are installed, and how one of them is called.

Entry points stay unloaded until their name is spoken, or until a model without ``flavor=`` has to find its owner. A
plugin that cannot be activated is remembered with its error; it never takes the others down.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, cast

import pluggy

from palate import hookspecs
from palate.errors import CodeReason, FlavorBroken, FlavorConflict, FlavorNotFound, InvalidOption, UnsupportedModel
from palate.hookspecs import (
    ENTRY_POINT_GROUP,
    HOOK_API,
    PLUGIN_GROUP,
    LoadOptions,
    SampleModel,
    SaveOptions,
)
from palate.schema import Schema
from palate.signature import Signature

__all__ = ["Flavor", "FlavorRecord", "FlavorRegistry", "default_registry"]

ALIASES = {"torch": "pytorch", "tf": "tensorflow"}
KNOWN_DISTRIBUTIONS = {
    "sklearn": "palate-sklearn",
    "xgboost": "palate-xgboost",
    "pytorch": "palate-torch",
    "tensorflow": "palate-tf",
    "keras": "palate-tf",
}
KNOWN_PACKAGES = {**KNOWN_DISTRIBUTIONS, "torch": "palate-torch"}
REQUIRED_HOOKS = ("save_model", "load_model", "predict", "methods", "requirements", "executes_code")
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


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An entry point that has not been loaded yet."""

    entry_point: metadata.EntryPoint
    distribution: str
    version: str

    @property
    def qualified(self) -> str:
        return f"{self.distribution}:{self.entry_point.name}"


class Flavor:
    """One activated flavor: its constants, and its hooks with every observer around them."""

    def __init__(
        self,
        name: str,
        plugin: object,
        find_caller: Callable[[str], pluggy.HookCaller],
        *,
        distribution: str,
        version: str,
    ) -> None:
        self.name = name
        self.distribution = distribution
        self.version = version
        self.formats: tuple[str, ...] = tuple(getattr(plugin, "FORMATS", ("default",)))
        self.save_options = frozenset(getattr(plugin, "SAVE_OPTIONS", ()))
        self.load_options = frozenset(getattr(plugin, "LOAD_OPTIONS", ()))
        self.packages: tuple[str, ...] = tuple(getattr(plugin, "NATIVE_PACKAGES", ()))
        self.types: tuple[str, ...] = tuple(getattr(plugin, "NATIVE_TYPES", ()))
        self._caller = find_caller

    def save_model(self, model: object, path: Path, options: SaveOptions) -> dict[str, Any]:
        """Write *model* and return its MLmodel section."""
        section = self._caller("save_model")(flavor=self.name, model=model, path=path, options=options)
        return cast("dict[str, Any]", section)

    def load_model(self, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
        """Return the native model."""
        return self._caller("load_model")(flavor=self.name, path=path, config=config, options=options)

    def predict(self, model: object, data: object, method: str, params: Mapping[str, Any]) -> object:
        """Call one method of the native model."""
        return self._caller("predict")(flavor=self.name, model=model, data=data, method=method, params=params)

    def methods(self, model: object) -> tuple[str, ...]:
        """Return what the native model answers to, the default first."""
        return tuple(self._caller("methods")(model=model) or ())

    def requirements(self, model: object, options: SaveOptions) -> tuple[str, ...]:
        """Return the pinned pip requirements of the model, saved with those options."""
        return tuple(self._caller("requirements")(model=model, options=options) or ())

    def executes_code(self, path: Path, config: Mapping[str, Any]) -> tuple[CodeReason, ...]:
        """Return why opening the directory would run its code; empty means safe."""
        return tuple(self._caller("executes_code")(path=path, config=config) or ())

    def infer_input_schema(self, model: object) -> Schema | Signature | None:
        """Return what the model itself knows of its inputs."""
        return cast("Schema | Signature | None", self._caller("infer_input_schema")(model=model))

    def pyfunc_section(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the keys for stock MLflow's pyfunc loader; None leaves that section out."""
        caller = self._caller("pyfunc_section")
        if not caller.get_hookimpls():
            return {"loader_module": "palate.mlflow_loader"}
        return cast("dict[str, Any] | None", caller(config=config))

    def sample_models(self) -> Mapping[str, SampleModel]:
        """Train and return the flavor's sample models."""
        return cast("Mapping[str, SampleModel]", self._caller("sample_models")() or {})


class FlavorRegistry:
    """The flavors of a set of entry points, by default those that are installed."""

    def __init__(self, entry_points: Iterable[metadata.EntryPoint] | None = None) -> None:
        found = _installed_entry_points() if entry_points is None else list(entry_points)
        self._candidates = _group_by_name(point for point in found if point.group == ENTRY_POINT_GROUP)
        self._observers = [_candidate(point) for point in found if point.group == PLUGIN_GROUP]
        self._manager = pluggy.PluginManager("palate")
        self._manager.add_hookspecs(hookspecs)
        self._flavors: dict[str, Flavor] = {}
        self._plugins: dict[str, object] = {}
        self._broken: dict[str, FlavorBroken] = {}
        self._broken_observers: dict[str, FlavorBroken] = {}
        self._callers: dict[tuple[str, str], pluggy.HookCaller] = {}
        self._observing = False
        self._lock = threading.RLock()

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
        with self._lock:
            self._activate_observers()
            if key not in self._flavors and key not in self._broken:
                try:
                    plugin = self._register(candidate, check=_check_flavor)
                except FlavorBroken as broken:
                    self._broken[key] = broken
                else:
                    self._plugins[key] = plugin
                    self._flavors[key] = Flavor(
                        candidate.entry_point.name,
                        plugin,
                        lambda hook: self._caller_of(key, hook),
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
                    if os.environ.get(STRICT_VARIABLE) == "1":
                        raise
        return dict(self._flavors)

    def _activate_observers(self) -> None:
        if self._observing:
            return
        self._observing = True
        for candidate in self._observers:
            try:
                self._register(candidate, check=_check_observer)
            except FlavorBroken as broken:
                self._broken_observers[candidate.qualified] = broken
                if os.environ.get(STRICT_VARIABLE) == "1":
                    raise

    def _register(
        self, candidate: _Candidate, *, check: Callable[[pluggy.PluginManager, object], str | None]
    ) -> object:
        plugin: object | None = None
        try:
            plugin = candidate.entry_point.load()
            # One distribution may offer a flavor and an observer of the same name.
            self._manager.register(plugin, name=f"{candidate.entry_point.group} {candidate.qualified}")
            self._manager.check_pending()
            problem = check(self._manager, plugin)
        except (Exception, SystemExit) as exc:  # a plugin may fail in any way; the host goes on
            self._forget(plugin)
            raise _broken(candidate, f"{type(exc).__name__}: {exc}") from exc
        if problem:
            self._forget(plugin)
            raise _broken(candidate, problem)
        self._callers.clear()
        return plugin

    def _forget(self, plugin: object | None) -> None:
        if plugin is not None and self._manager.is_registered(plugin):
            self._manager.unregister(plugin)

    def _caller_of(self, key: str, hook: str) -> pluggy.HookCaller:
        caller = self._callers.get((key, hook))
        if caller is None:
            # A subset caller sees flavors registered after it was made, so each registration drops them all.
            with self._lock:
                others = [plugin for name, plugin in self._plugins.items() if name != key]
                caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
                self._callers[key, hook] = caller
        return caller

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


def _check_flavor(manager: pluggy.PluginManager, plugin: object) -> str | None:
    api = getattr(plugin, "HOOK_API", HOOK_API)
    if not isinstance(api, int) or api > HOOK_API:
        return f"it needs hook API {api!r} and this Palate offers {HOOK_API}; upgrade palate"
    for constant in ("NATIVE_PACKAGES", "NATIVE_TYPES", "FORMATS", "SAVE_OPTIONS", "LOAD_OPTIONS"):
        if isinstance(getattr(plugin, constant, ()), str):
            return f"its {constant} must be a tuple of names, such as ('name',), not one text"
    implemented = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    missing = [hook for hook in REQUIRED_HOOKS if hook not in implemented]
    return f"it does not implement {', '.join(missing)}" if missing else None


def _check_observer(manager: pluggy.PluginManager, plugin: object) -> str | None:
    # A plain implementation would answer in a flavor's place.
    for caller in manager.get_hookcallers(plugin) or ():
        for impl in caller.get_hookimpls():
            if impl.plugin is plugin and not (impl.wrapper or impl.hookwrapper):
                return f"its {caller.name} must be declared with @hookimpl(wrapper=True)"
    return None


def _broken(candidate: _Candidate, reason: str) -> FlavorBroken:
    return FlavorBroken(
        candidate.entry_point.name,
        distribution=candidate.distribution,
        version=candidate.version,
        reason=reason,
    )


def _candidate(entry_point: metadata.EntryPoint) -> _Candidate:
    dist = entry_point.dist
    return _Candidate(entry_point, dist.name if dist else "(unknown)", dist.version if dist else "?")


def _group_by_name(entry_points: Iterable[metadata.EntryPoint]) -> dict[str, list[_Candidate]]:
    grouped: dict[str, list[_Candidate]] = {}
    for entry_point in entry_points:
        candidate, same_name = _candidate(entry_point), grouped.setdefault(entry_point.name, [])
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
