"""One activated plugin: checked once, then called by hook, with every observer around it.

Each flavor has a plugin manager of its own, with that one plugin and the observers in it. So a call can reach no other
flavor, whatever is activated meanwhile in another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import CoroutineType
from typing import Any, cast

import pluggy

from palate import hookspecs
from palate._coroutines import run_coroutine
from palate._environment.promises import Promise
from palate._hook_answers import ANSWERS, copy_answer, find_unfinished
from palate._hook_trace import is_traced, trace_calls
from palate._plugin_failures import describe_failure, would_end_host
from palate.errors import CodeReason, FlavorBroken, PalateError
from palate.hookspecs import EmbeddedType, Guarantees, LoadOptions, ModelSource, SampleModel, SaveOptions
from palate.schema import Schema
from palate.signature import Signature

__all__ = ["Flavor"]

# What MLflow's flavors call the format in their sections of MLmodel.
_FORMAT_KEYS = ("serialization_format", "model_format", "save_format")
# In these a model's own code may run, a function or a class of its author's.
_RUNNING_MODELS = frozenset({"load_model", "prepare", "predict"})


class Flavor:
    """One activated flavor: its constants, and its hooks with every observer around them.

    What the framework raises while it saves, loads or predicts passes through, unless it would end the process. The
    other hooks only answer questions: one that fails, or answers with something else than the contract says, is
    FlavorBroken.

    Args:
        name: what it is called.
        plugin: what implements its hooks, checked before.
        observers: those that run around it, by names with a colon in them.
        distribution: who provides it.
        version: the version of that.
    """

    def __init__(
        self, name: str, plugin: object, observers: Mapping[str, object], *, distribution: str, version: str
    ) -> None:
        self.name = name
        self.plugin = plugin
        self.distribution = distribution
        self.version = version
        self.formats: tuple[str, ...] = tuple(getattr(plugin, "FORMATS", ()))
        self.formats_needing_trust: tuple[str, ...] = tuple(getattr(plugin, "FORMATS_NEEDING_TRUST", ()))
        self.save_options = frozenset(getattr(plugin, "SAVE_OPTIONS", ()))
        self.load_options = frozenset(getattr(plugin, "LOAD_OPTIONS", ()))
        self.packages: tuple[str, ...] = tuple(getattr(plugin, "NATIVE_PACKAGES", ()))
        self.types: tuple[str, ...] = tuple(getattr(plugin, "NATIVE_TYPES", ()))
        self.fork_after_load: bool = getattr(plugin, "FORK_AFTER_LOAD", True)
        stated = getattr(plugin, "VERSION_PROMISES", {})
        self._promises = {format_name: dict(promises) for format_name, promises in stated.items()}
        self._observers = tuple(observers)
        manager = pluggy.PluginManager("palate")
        manager.add_hookspecs(hookspecs)
        for key, observer in observers.items():
            manager.register(observer, name=key)
        manager.register(plugin, name="flavor")
        self.hooks: tuple[str, ...] = tuple(caller.name for caller in manager.get_hookcallers(plugin) or ())
        self._has_takes_array = "takes_array" in self.hooks
        self._hooks = manager.hook
        if is_traced():
            trace_calls(manager, name)
            self._predict: Callable[..., Any] = manager.hook.predict
            self._takes_array: Callable[..., Any] = manager.hook.takes_array
        else:
            self._predict = _alone(manager.hook.predict)
            self._takes_array = _alone(manager.hook.takes_array)

    def claims(self, cls: type) -> bool:
        """Whether the flavor owns the objects of that very class, not counting its bases."""
        return cls.__module__.partition(".")[0] in self.packages or f"{cls.__module__}.{cls.__qualname__}" in self.types

    def promises(self, config: Mapping[str, Any], *, needs_trust: bool) -> Mapping[str, Promise]:
        """Return what is promised of the packages that read a directory with this section of MLmodel."""
        # The section is a stranger's, and some leave the format out: what the directory needs is sure.
        able = [name for name in self.formats if (name in self.formats_needing_trust) is needs_trust]
        recorded = [config.get(key) for key in _FORMAT_KEYS]
        format_name = next((name for name in recorded if name in able), next(iter(able), None))
        return self._promises.get(format_name, {}) if format_name else {}

    def saved_with(self, config: Mapping[str, Any], promises: Mapping[str, Promise]) -> Mapping[str, str]:
        """Return the framework's version that a section records: the first of *promises* is what a version is of."""
        texts = {str(key): value for key, value in config.items() if isinstance(value, str)}
        versions = [texts[key] for key in texts if key.endswith("_version") and key != "python_version"]
        return dict.fromkeys(list(promises)[:1], versions[0]) if len(versions) == 1 else {}

    def save_model(self, model: object, path: Path, options: SaveOptions) -> dict[str, Any]:
        """Write *model* and return its MLmodel section, which is plain data."""
        section = self._call("save_model", flavor=self.name, model=model, path=path, options=options)
        return cast("dict[str, Any]", section)

    def load_model(self, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
        """Return the native model."""
        return self._call("load_model", flavor=self.name, path=path, config=config, options=options)

    def prepare(self, model: object, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
        """Return what ``predict`` is to be given for a native model: the model itself where the plugin says nothing."""
        if "prepare" not in self.hooks:
            return model
        return self._call("prepare", model=model, path=path, config=config, options=options)

    def predict(
        self,
        model: object,
        data: object,
        method: str,
        params: Mapping[str, Any],
        *,
        enforced: bool = False,
        source: ModelSource | None = None,
    ) -> object:
        """Call one method of what was prepared; *enforced* says whether a signature stands behind the data."""
        try:
            return self._predict(
                flavor=self.name,
                model=model,
                data=data,
                method=method,
                params=params,
                enforced=enforced,
                source=source,
            )
        except BaseException as exc:
            if would_end_host(exc):
                raise self._ended("predict", exc) from exc
            raise

    def takes_array(self, model: object, method: str, columns: Sequence[str | int]) -> bool:
        """Whether *method* of what was prepared gives the same bits for the array of a table with these columns."""
        if not self._has_takes_array:
            return False
        try:
            answer = self._takes_array(model=model, method=method, columns=columns)
        except BaseException as exc:
            if would_end_host(exc):
                raise self._ended("takes_array", exc) from exc
            raise self.broken(f"its takes_array failed: {describe_failure(exc)}") from exc
        if type(answer) is not bool:
            raise self.broken(f"its takes_array {find_unfinished(answer) or ANSWERS['takes_array'](answer)}")
        return answer

    def rows_are_independent(self, model: object, method: str) -> bool:
        """Whether a row's answer depends on that row alone."""
        return cast("bool", self._ask_optional("rows_are_independent", True, model=model, method=method))

    def run(self, prediction: CoroutineType[Any, Any, Any]) -> object:
        """Run what ``predict`` returned, if it was a coroutine, to its end."""
        try:
            return run_coroutine(self.wait_for(prediction))
        except GeneratorExit as exc:  # nobody closes it here
            raise self._ended("predict", exc) from exc

    async def wait_for(self, prediction: CoroutineType[Any, Any, Any]) -> object:
        """Await what ``predict`` returned, if it was a coroutine: that may no more end the process than ``predict``."""
        try:
            return await prediction
        except GeneratorExit:  # its event loop closes it
            raise
        except BaseException as exc:
            if would_end_host(exc):
                raise self._ended("predict", exc) from exc
            raise

    def methods(self, model: object) -> tuple[str, ...]:
        """Return what the native model answers to, the default first."""
        return cast("tuple[str, ...]", self._ask("methods", model=model))

    def requirements(self, model: object, options: SaveOptions) -> tuple[str, ...]:
        """Return the pinned pip requirements of the model, saved with those options."""
        return cast("tuple[str, ...]", self._ask("requirements", model=model, options=options))

    def executes_code(self, path: Path, config: Mapping[str, Any]) -> tuple[CodeReason, ...]:
        """Return why opening the directory would run its code; empty means safe."""
        return cast("tuple[CodeReason, ...]", self._ask("executes_code", path=path, config=config))

    def infer_input_schema(self, model: object) -> Schema | Signature | None:
        """Return what the model itself knows of its inputs."""
        return cast("Schema | Signature | None", self._ask_optional("infer_input_schema", None, model=model))

    def pyfunc_section(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the keys for stock MLflow's pyfunc loader; None leaves that section out."""
        section = self._ask_optional("pyfunc_section", {}, config=config)
        return None if section is None else {"loader_module": "palate.mlflow_loader", **section}

    def guarantees(self, path: Path, config: Mapping[str, Any]) -> Guarantees | None:
        """Return what holds for a stranger's directory opened without trust, or None when the plugin does not say."""
        return cast("Guarantees | None", self._ask_optional("guarantees", None, path=path, config=config))

    def mapped_files(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the files that the plugin opens by ``LoadOptions.map_file`` alone."""
        return cast("tuple[str, ...]", self._ask_optional("mapped_files", (), config=config))

    def embedded_types(self) -> tuple[EmbeddedType, ...]:
        """Return the classes that other flavors may open inside their files."""
        return cast("tuple[EmbeddedType, ...]", self._ask_optional("embedded_types", ()))

    def sample_models(self) -> Mapping[str, SampleModel]:
        """Train and return the flavor's sample models."""
        return cast("Mapping[str, SampleModel]", self._ask_optional("sample_models", {}))

    def broken(self, reason: str, hint: str = "") -> FlavorBroken:
        """Return the error that says that this flavor does not keep its contract."""
        return FlavorBroken(self.name, distribution=self.distribution, version=self.version, reason=reason, hint=hint)

    def _ask_optional(self, hook: str, absent: object, **arguments: object) -> Any:
        """Ask a hook that the plugin need not have; where it has none, nobody is called, no observer either."""
        return self._ask(hook, **arguments) if hook in self.hooks else absent

    def _ask(self, hook: str, **arguments: object) -> Any:
        try:
            return self._call(hook, **arguments)
        except PalateError:
            raise
        except Exception as exc:  # a plugin may fail in any way
            raise self.broken(f"its {hook} failed: {describe_failure(exc)}") from exc

    def _call(self, hook: str, **arguments: object) -> Any:
        try:
            answer = getattr(self._hooks, hook)(**arguments)
            # To look at an answer may be to run more of the plugin's code.
            problem = find_unfinished(answer)
            if problem is None:
                answer = copy_answer(hook, answer)
                problem = ANSWERS[hook](answer)
        except BaseException as exc:
            if would_end_host(exc):
                raise self._ended(hook, exc) from exc
            raise
        if problem is not None:
            raise self.broken(f"its {hook} {problem}")
        return answer

    def _ended(self, hook: str, exc: BaseException) -> FlavorBroken:
        others, hint = [], ""
        if self._observers:
            others.append(f"an observer around it ({', '.join(self._observers)})")
        if hook in _RUNNING_MODELS:
            others.append("the model's own code")
            hint = "raise an error there instead of ending the process"
        around = f", or {' or '.join(others)}," if others else ""
        ended = f"its {hook}{around} raised {describe_failure(exc)}, which would have ended the process"
        return self.broken(ended, hint)


def _alone(caller: pluggy.HookCaller) -> Callable[..., Any]:
    """Return what calls a hook: its one implementation itself where no observer is around it, which is sooner there.

    A prediction of one row may take less time than pluggy's way to it.
    """
    implementations = caller.get_hookimpls()
    if len(implementations) != 1 or implementations[0].wrapper or implementations[0].hookwrapper:
        return caller
    function = implementations[0].function
    # By name as pluggy does it: an argument with a default is one that the hook takes, if the hook has it at all.
    given = (*implementations[0].argnames, *implementations[0].kwargnames)
    names = [name for name in given if caller.spec is None or name in caller.spec.argnames]
    if implementations[0].kwargnames or len(names) < 2:  # of one name, an itemgetter gives no tuple
        return lambda **arguments: function(**{name: arguments[name] for name in names})
    pick = itemgetter(*names)

    def call(**arguments: object) -> object:
        return function(*pick(arguments))

    return call
