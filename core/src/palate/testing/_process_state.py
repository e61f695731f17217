"""What a process has one of, and what a save or a load must leave as it was."""

from __future__ import annotations

import hashlib
import locale
import logging
import os
import random
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["ASPECTS", "attributes_of", "changed_aspects", "changed_attributes", "process_state", "set_back"]

_MAX_VALUES = 200_000


def process_state() -> dict[str, Any]:
    """Return the state of each aspect, to be compared with a later one."""
    return {aspect: read() for aspect, read in _STATES.items()}


def changed_aspects(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Return what changed between two states, by aspect, in words."""
    changed = {aspect: _difference(before[aspect], after[aspect]) for aspect in _STATES if aspect != "sys.modules"}
    lost = [name for name, module in before["sys.modules"].items() if after["sys.modules"].get(name) != module]
    changed["sys.modules"] = f"removed or replaced: {', '.join(sorted(lost)[:5])}" if lost else ""
    return {aspect: words for aspect, words in changed.items() if words}


def set_back(aspects: Iterable[str], state: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    """Undo in the process what makes *state*, which it is in, another one than *target*, as far as that can be undone.

    What is not different is left alone: it may have become another one since those states were taken.
    """
    for aspect in aspects:
        if aspect in _WRITERS and state[aspect] != target[aspect]:
            _WRITERS[aspect](state[aspect], target[aspect])


def _difference(before: Any, after: Any) -> str:
    if before == after:
        return ""
    if isinstance(before, dict):
        keys = sorted(key for key in {**before, **after} if before.get(key) != after.get(key))
        return f"changed: {', '.join(keys[:5])}"
    if isinstance(before, frozenset):
        return f"new: {sorted(after - before)}, gone: {sorted(before - after)}"
    if isinstance(before, tuple) and all(isinstance(part, list | tuple) for part in (*before, *after)):
        old, new = ([entry for part in state for entry in part] for state in (before, after))
        added, gone = ([entry for entry in one if entry not in other] for one, other in ((new, old), (old, new)))
        return f"new: {added}, gone: {gone}" if added or gone else "they are in another order"
    return f"was {before!r:.200}, is {after!r:.200}"


def _numpy_state() -> object:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    kind, keys, *rest = numpy.random.get_state()  # the one that everybody shares
    return kind, keys.tobytes(), tuple(rest)


def _torch_state() -> object:
    torch = sys.modules.get("torch")
    return None if torch is None else bytes(torch.get_rng_state().numpy())


def _settings() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "umask": mask,
        "recursion limit": sys.getrecursionlimit(),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "logging level": (logging.root.level, logging.root.manager.disable),
        "logging handlers": tuple(logging.root.handlers),
        "locale": locale.setlocale(locale.LC_ALL),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook, sys.gettrace(), sys.getprofile()),
        "standard streams": (id(sys.stdin), id(sys.stdout), id(sys.stderr)),
    }


def _set_variables(state: Mapping[str, str], target: Mapping[str, str]) -> None:
    for name in state.keys() - target.keys():
        os.environ.pop(name, None)
    os.environ.update({name: value for name, value in target.items() if state.get(name) != value})


def _set_import_path(state: tuple[list[Any], ...], target: tuple[list[Any], ...]) -> None:
    lists: tuple[list[Any], ...] = (sys.path, sys.meta_path, sys.path_hooks)
    for entries, old, new in zip(lists, state, target, strict=True):
        for added in [entry for entry in old if entry not in new and entry in entries]:
            entries.remove(added)
        entries += [entry for entry in new if entry not in old and entry not in entries]


def _meta_path() -> list[Any]:
    """Return the import hooks without Palate's own, which finds the code that comes with models, and stays."""
    return [finder for finder in sys.meta_path if not type(finder).__module__.startswith("palate.")]


def _set_settings(state: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    os.umask(target["umask"])
    sys.setrecursionlimit(target["recursion limit"])
    locale.setlocale(locale.LC_ALL, target["locale"])
    logging.root.setLevel(target["logging level"][0])
    logging.disable(target["logging level"][1])
    for handler in state["logging handlers"]:
        if handler not in target["logging handlers"]:
            logging.root.removeHandler(handler)
    for number, handler in target["signal handlers"].items():
        if state["signal handlers"][number] != handler:
            signal.signal(number, handler)
    if state["hooks"] != target["hooks"]:
        sys.excepthook, sys.displayhook, threading.excepthook = target["hooks"][:3]


_STATES: Mapping[str, Callable[[], Any]] = {
    "random state": lambda: {"random": random.getstate(), "numpy": _numpy_state(), "torch": _torch_state()},
    "threads": lambda: frozenset(f"{thread.name} ({thread.ident})" for thread in threading.enumerate()),
    "working directory": os.getcwd,
    "environment variables": lambda: dict(os.environ),
    "warnings filters": lambda: (list(warnings.filters), [warnings.showwarning]),
    "sys.path": lambda: (list(sys.path), _meta_path(), list(sys.path_hooks)),
    "sys.modules": lambda: {name: id(module) for name, module in list(sys.modules.items())},
    "interpreter settings": _settings,
}
ASPECTS = tuple(_STATES)
_WRITERS: Mapping[str, Callable[[Any, Any], None]] = {
    "working directory": lambda _state, target: os.chdir(target),
    "environment variables": _set_variables,
    "sys.path": _set_import_path,
    "interpreter settings": _set_settings,
}


def attributes_of(model: object) -> dict[str, object]:
    """Return the plain values and arrays that hang on a model's attributes, by the way that leads to each."""
    values: dict[str, object] = {}
    seen: set[int] = set()
    pending: list[tuple[str, object]] = [("model", model)]
    while pending and len(values) < _MAX_VALUES:
        place, value = pending.pop()
        if value is None or type(value) in (bool, int, float, complex, str, bytes):
            values[place] = repr(value)
        elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
            values[place] = hashlib.sha256(value.tobytes()).hexdigest()
        elif id(value) not in seen and not isinstance(value, types.ModuleType | type):
            seen.add(id(value))
            pending += [(f"{place}{step}", part) for step, part in _parts(value)]
    return values


def changed_attributes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return the ways to values that are other ones, or gone."""
    return [place for place, value in before.items() if after.get(place) != value]


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r:.60}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif hasattr(value, "__dict__"):
        yield from ((f".{name}", part) for name, part in vars(value).items())
