"""One activated plugin: checked once, then called by hook, with every observer around it.

Each flavor has a plugin manager of its own, with that one plugin and the observers in it. So a call can reach no other
flavor, whatever is activated meanwhile in another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pluggy

from palate import hookspecs
from palate.errors import CodeReason, FlavorBroken, PalateError
from palate.hookspecs import HOOK_API, EmbeddedType, Guarantees, LoadOptions, SampleModel, SaveOptions
from palate.schema import Schema
from palate.signature import Signature

__all__ = ["Flavor", "check_flavor", "check_observer"]

REQUIRED_HOOKS = ("save_model", "load_model", "predict", "methods", "requirements", "executes_code")
CONSTANTS = ("NATIVE_PACKAGES", "NATIVE_TYPES", "FORMATS", "SAVE_OPTIONS", "LOAD_OPTIONS")


class Flavor:
    """One activated flavor: its constants, and its hooks with every observer around them.

    What the framework raises while it saves, loads or predicts passes through. The other hooks only answer questions:
    one that fails, or answers with something else than the contract says, is FlavorBroken.
    """

    def __init__(
        self, name: str, plugin: object, observers: Iterable[object], *, distribution: str, version: str
    ) -> None:
        self.name = name
        self.distribution = distribution
        self.version = version
        self.formats: tuple[str, ...] = tuple(getattr(plugin, "FORMATS", ("default",)))
        self.save_options = frozenset(getattr(plugin, "SAVE_OPTIONS", ()))
        self.load_options = frozenset(getattr(plugin, "LOAD_OPTIONS", ()))
        self.packages: tuple[str, ...] = tuple(getattr(plugin, "NATIVE_PACKAGES", ()))
        self.types: tuple[str, ...] = tuple(getattr(plugin, "NATIVE_TYPES", ()))
        manager = _new_manager()
        for number, part in enumerate((*observers, plugin)):
            manager.register(part, name=str(number))
        self._hooks = manager.hook
        self._predict = _alone(manager.hook.predict)

    def save_model(self, model: object, path: Path, options: SaveOptions) -> dict[str, Any]:
        """Write *model* and return its MLmodel section."""
        section = self._hooks.save_model(flavor=self.name, model=model, path=path, options=options)
        return cast("dict[str, Any]", section)

    def load_model(self, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
        """Return the native model."""
        model = self._hooks.load_model(flavor=self.name, path=path, config=config, options=options)
        if model is None:
            raise self.broken("its load_model returned None")
        return model

    def predict(
        self, model: object, data: object, method: str, params: Mapping[str, Any], *, enforced: bool = False
    ) -> object:
        """Call one method of the native model; *enforced* says whether a signature stands behind the data."""
        return self._predict(flavor=self.name, model=model, data=data, method=method, params=params, enforced=enforced)

    def methods(self, model: object) -> tuple[str, ...]:
        """Return what the native model answers to, the default first."""
        return self._listed("methods", str, model=model)

    def requirements(self, model: object, options: SaveOptions) -> tuple[str, ...]:
        """Return the pinned pip requirements of the model, saved with those options."""
        return self._listed("requirements", str, model=model, options=options)

    def executes_code(self, path: Path, config: Mapping[str, Any]) -> tuple[CodeReason, ...]:
        """Return why opening the directory would run its code; empty means safe."""
        return self._listed("executes_code", CodeReason, path=path, config=config)

    def infer_input_schema(self, model: object) -> Schema | Signature | None:
        """Return what the model itself knows of its inputs."""
        known = self._ask("infer_input_schema", model=model)
        if known is not None and not isinstance(known, Schema | Signature):
            raise self.broken(f"its infer_input_schema returned a {type(known).__name__}, not a Schema or None")
        return known

    def pyfunc_section(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the keys for stock MLflow's pyfunc loader; None leaves that section out."""
        if not self._hooks.pyfunc_section.get_hookimpls():
            return {"loader_module": "palate.mlflow_loader"}
        return cast("dict[str, Any] | None", self._ask("pyfunc_section", config=config))

    def guarantees(self, path: Path, config: Mapping[str, Any]) -> Guarantees | None:
        """Return what holds for a stranger's directory opened without trust, or None when the plugin does not say."""
        stated = self._ask("guarantees", path=path, config=config)
        if stated is not None and not isinstance(stated, Guarantees):
            raise self.broken(f"its guarantees returned a {type(stated).__name__}, not Guarantees")
        return stated

    def embedded_types(self) -> tuple[EmbeddedType, ...]:
        """Return the classes that other flavors may open inside their files."""
        return self._listed("embedded_types", EmbeddedType)

    def sample_models(self) -> Mapping[str, SampleModel]:
        """Train and return the flavor's sample models."""
        return cast("Mapping[str, SampleModel]", self._hooks.sample_models() or {})

    def broken(self, reason: str) -> FlavorBroken:
        """Return the error that says that this flavor does not keep its contract."""
        return FlavorBroken(self.name, distribution=self.distribution, version=self.version, reason=reason)

    def _ask(self, hook: str, **arguments: object) -> Any:
        try:
            return getattr(self._hooks, hook)(**arguments)
        except PalateError:
            raise
        except Exception as exc:  # a plugin may fail in any way
            raise self.broken(f"its {hook} failed: {type(exc).__name__}: {exc}") from exc

    def _listed(self, hook: str, kind: type, **arguments: object) -> tuple[Any, ...]:
        answer = self._ask(hook, **arguments)
        if answer is None:
            return ()
        if isinstance(answer, str) or not isinstance(answer, Sequence) or not all(isinstance(a, kind) for a in answer):
            raise self.broken(f"its {hook} must return a sequence of {kind.__name__}")
        return tuple(answer)


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("palate")
    manager.add_hookspecs(hookspecs)
    return manager


def _alone(caller: pluggy.HookCaller) -> Callable[..., Any]:
    """Return what calls a hook: its one implementation itself where no observer is around it, which is sooner there.

    A prediction of one row may take less time than pluggy's way to it.
    """
    implementations = caller.get_hookimpls()
    if len(implementations) != 1 or implementations[0].wrapper or implementations[0].hookwrapper:
        return caller
    function, names = implementations[0].function, implementations[0].argnames

    def call(**arguments: object) -> object:
        return function(**{name: arguments[name] for name in names})

    return call


def _implemented(plugin: object) -> dict[str, pluggy.HookImpl]:
    """Return the hooks of a plugin by name; pluggy raises for a hook, or an argument, that does not exist."""
    manager = _new_manager()
    manager.register(plugin)
    manager.check_pending()
    callers = manager.get_hookcallers(plugin) or ()
    return {caller.name: caller.get_hookimpls()[0] for caller in callers}


def check_flavor(plugin: object) -> str | None:
    """Return what keeps *plugin* from being a flavor, or None."""
    api = getattr(plugin, "HOOK_API", HOOK_API)
    if not isinstance(api, int) or api > HOOK_API:
        return f"it needs hook API {api!r} and this Palate offers {HOOK_API}; upgrade palate"
    for constant in CONSTANTS:
        names = getattr(plugin, constant, ())
        if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
            return f"its {constant} must be a tuple of names, such as ('name',)"
    if not getattr(plugin, "FORMATS", ("default",)):
        return "its FORMATS must name at least one format"
    implemented = _implemented(plugin)
    missing = [hook for hook in REQUIRED_HOOKS if hook not in implemented]
    return f"it does not implement {', '.join(missing)}" if missing else None


def check_observer(plugin: object) -> str | None:
    """Return what keeps *plugin* from being an observer, or None."""
    for hook, implementation in _implemented(plugin).items():
        # A plain implementation would answer in a flavor's place.
        if not (implementation.wrapper or implementation.hookwrapper):
            return f"its {hook} must be declared with @hookimpl(wrapper=True)"
    return None
