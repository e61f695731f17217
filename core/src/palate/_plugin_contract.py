"""What a plugin must have to be a flavor or an observer, checked when it is activated and before it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, getattr_static, isfunction, isgeneratorfunction, signature
from typing import Any, cast

import pluggy

from palate import hookspecs
from palate._environment.promises import PROMISES
from palate.hookspecs import HOOK_API

__all__ = ["UPGRADE", "check_flavor", "check_observer", "implemented_hooks"]

UPGRADE = "upgrade palate"
"""How a problem ends that no other version of the plugin need mend."""

REQUIRED_HOOKS = ("save_model", "load_model", "predict", "methods", "requirements", "executes_code")
CONSTANTS = ("NATIVE_PACKAGES", "NATIVE_TYPES", "FORMATS", "FORMATS_NEEDING_TRUST", "SAVE_OPTIONS", "LOAD_OPTIONS")


def check_flavor(plugin: object) -> str | None:
    """Return what keeps *plugin* from being a flavor, or None."""
    if problem := _api_problem(plugin) or _hooks_problem(plugin):
        return problem
    implemented = implemented_hooks(plugin)
    missing = [hook for hook in REQUIRED_HOOKS if hook not in implemented]
    if missing:
        unmarked = [hook for hook in missing if callable(getattr(plugin, hook, None))]
        marks = f"; mark {', '.join(unmarked)} with @hookimpl" if unmarked else ""
        return f"it does not implement {', '.join(missing)}{marks}"
    for hook, is_wrapper in implemented.items():
        if is_wrapper:
            return f"its {hook} is a wrapper, and a flavor answers itself"
    return _constants_problem(plugin)


def check_observer(plugin: object) -> str | None:
    """Return what keeps *plugin* from being an observer, or None."""
    if problem := _api_problem(plugin) or _hooks_problem(plugin):
        return problem
    for name, hook, marks in _marked(plugin):
        # A plain implementation would answer in a flavor's place.
        if not _is_wrapper(marks):
            return f"its {hook} must be declared with @hookimpl(wrapper=True)"
        if not isgeneratorfunction(getattr(plugin, name)):
            return f"its {hook} is a wrapper and has no yield, where the hook that it is around is called"
    return None


def implemented_hooks(plugin: object) -> dict[str, bool]:
    """Return the hooks of a plugin by name, and of each whether it is a wrapper around other plugins' ones."""
    return {hook: _is_wrapper(marks) for _, hook, marks in _marked(plugin)}


def _is_wrapper(marks: Mapping[str, Any]) -> bool:
    return bool(marks.get("wrapper") or marks.get("hookwrapper"))


def _marked(plugin: object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield what is marked with ``@hookimpl``: its name in the plugin, the hook's name, and the marks."""
    reader = pluggy.PluginManager("palate")  # which needs no specification to read marks
    for name in dir(plugin):
        marks = reader.parse_hookimpl_opts(plugin, name)
        if marks is not None:
            yield name, marks.get("specname") or name, cast("Mapping[str, Any]", marks)


@cache
def _hook_arguments() -> dict[str, list[str]]:
    """Return the arguments of each hook by its name."""
    # A late module among them would be imported for any name that it is asked for.
    specs = {n: value for n, value in vars(hookspecs).items() if isfunction(value) and hasattr(value, "palate_spec")}
    return {name: list(signature(spec).parameters) for name, spec in specs.items()}


def _hooks_problem(plugin: object) -> str | None:
    """Return what is wrong with the names of the hooks, or of their arguments: pluggy's own words name our modules."""
    arguments = _hook_arguments()
    implementing: dict[str, str] = {}
    for name, hook, marks in _marked(plugin):
        if hook not in arguments:
            if marks.get("optionalhook"):
                continue  # it is for another version of Palate
            near = get_close_matches(hook, arguments, 1)
            return f"there is no hook {hook!r:.60}" + (f"; did you mean {near[0]!r}?" if near else "")
        other = implementing.setdefault(hook, name)
        if other != name:
            return f"it implements {hook} twice, as {other} and as {name}"
        function = getattr(plugin, name)
        if problem := _arguments_problem(hook, function, arguments[hook]) or _unbound_problem(plugin, name):
            return problem
    return None


def _arguments_problem(hook: str, function: Callable[..., object], known: list[str]) -> str | None:
    parameters = [p for p in signature(function).parameters.values() if p.name != "self"]
    for parameter in parameters:
        takes = f"it may take {', '.join(known)}"
        if parameter.kind not in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            return f"its {hook} takes {parameter}, by which nothing is passed; name each argument, plainly: {takes}"
        if parameter.name not in known and parameter.default is Parameter.empty:
            return f"its {hook} takes {parameter.name!r}, which is no argument of that hook; {takes}"
    return None


def _api_problem(plugin: object) -> str | None:
    api = getattr(plugin, "HOOK_API", HOOK_API)
    if type(api) is int and abs(api) > 10**6:  # Python writes no number of thousands of digits
        return f"its HOOK_API is no number of a version, such as {HOOK_API}"
    if type(api) is not int or api < 1:
        return f"its HOOK_API is {api!r:.60}; it must be a number, such as {HOOK_API}"
    if api > HOOK_API:
        return f"it needs hook API {api} and this Palate offers {HOOK_API}; {UPGRADE}"
    return None


def _constants_problem(plugin: object) -> str | None:
    for constant in CONSTANTS:
        names = getattr(plugin, constant, ())
        if not isinstance(names, tuple | list) or not all(type(name) is str for name in names):
            return f"its {constant} must be a tuple of names, such as ('name',)"
    if not isinstance(getattr(plugin, "FORK_AFTER_LOAD", True), bool):
        return "its FORK_AFTER_LOAD must be True or False"
    # Every class has object in its MRO: such a flavor would own whatever nobody else does.
    if "builtins" in getattr(plugin, "NATIVE_PACKAGES", ()) or "builtins.object" in getattr(plugin, "NATIVE_TYPES", ()):
        return "it claims every class there is, by builtins; name single classes in NATIVE_TYPES"
    formats = getattr(plugin, "FORMATS", ())
    if not formats:
        return "its FORMATS must name at least one format"
    if len(formats) > 100 or not all(name.isprintable() and 0 < len(name.strip()) <= 100 for name in formats):
        return "its FORMATS must be at most 100 names, each of 1 to 100 printable characters"
    if unknown := set(getattr(plugin, "FORMATS_NEEDING_TRUST", ())).difference(formats):
        return f"its FORMATS_NEEDING_TRUST names {min(unknown)!r:.60}, which is none of its FORMATS"
    return _promises_problem(getattr(plugin, "VERSION_PROMISES", {}), formats)


def _promises_problem(promises: object, formats: Sequence[str]) -> str | None:
    """Return what is wrong with VERSION_PROMISES; plain dicts, as what else is a mapping may say anything each time."""
    shape = "its VERSION_PROMISES must be a dict such as {'json': {'xgboost': 'newer'}}"
    if type(promises) is not dict or not all(type(name) is str for name in promises):
        return shape
    if unknown := promises.keys() - set(formats):
        return f"its VERSION_PROMISES names {min(unknown)!r:.60}, which is none of its FORMATS"
    for stated in promises.values():
        if type(stated) is not dict or not all(type(name) is str for name in stated):
            return shape
        for name, promise in stated.items():
            if type(promise) is not str or promise not in PROMISES:
                known = ", ".join(sorted(PROMISES))
                return f"its VERSION_PROMISES promises {promise!r:.60} of {name:.60}, and may say {known}"
    return None


def _unbound_problem(plugin: object, name: str) -> str | None:
    """A class is called without an instance, which its ordinary methods would miss."""
    if isinstance(plugin, type):
        function = getattr_static(plugin, name)
        if not isinstance(function, staticmethod | classmethod) and "self" in signature(function).parameters:
            return f"its {name} is a method of the class {plugin.__name__}; give an instance of it"
    return None
