"""A line on stderr for each hook call, if ``PALATE_TRACE_HOOKS=1``: what was called with what, and how it ended.

Types, shapes and dtypes are told, values never. A call made during another one is indented, and stands before it, since
a line is written when its call ends.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, SupportsInt

from palate._plugin_failures import is_meant_for_host, type_name

if TYPE_CHECKING:
    import pluggy

__all__ = ["TRACE_VARIABLE", "is_traced", "trace_calls"]

TRACE_VARIABLE = "PALATE_TRACE_HOOKS"

# A shape has few sizes, and a class a name that can be read; but they are somebody else's.
_MAX_SIZES = 8
_MAX_NAME = 100


class _Calls(threading.local):
    """When the calls that this thread is in the midst of began, outermost first."""

    def __init__(self) -> None:
        self.begun: list[float] = []


_calls = _Calls()


def is_traced() -> bool:
    """Return whether the host asked for a trace."""
    return os.environ.get(TRACE_VARIABLE) == "1"


def trace_calls(manager: pluggy.PluginManager, flavor: str) -> None:
    """Write a line for every call that goes through *manager* from now on."""

    def before(*_: object) -> None:
        _calls.begun.append(time.perf_counter())

    def after(
        outcome: pluggy.Result[object],
        hook: str,
        implementations: Sequence[pluggy.HookImpl],
        arguments: Mapping[str, object],
    ) -> None:
        taken = time.perf_counter() - _calls.begun.pop()
        given = ", ".join(_argument(name, value) for name, value in arguments.items() if name != "flavor")
        around = [part.plugin_name for part in implementations if part.wrapper or part.hookwrapper]
        seen_by = f" [{', '.join(around)}]" if around else ""
        failure = outcome.exception
        ended = f"raised {_name(type(failure))}" if failure is not None else f"-> {_describe(outcome.get_result())}"
        _write(f"{'  ' * len(_calls.begun)}{flavor}.{hook}({given}){seen_by} {1e3 * taken:.3f} ms {ended}")

    manager.add_hookcall_monitoring(before, after)


def _argument(name: str, value: object) -> str:
    # A model may answer any question in any way; which method is called is no data.
    if name == "method" and type(value) is str:
        return f"{name}={value}"
    return f"{name}={_name(type(value)) if name == 'model' else _describe(value)}"


def _describe(value: object) -> str:
    """Return an object's type, with dtype and shape or length where it has them."""
    name = _name(type(value))
    try:
        if isinstance(value, dict | list | tuple):
            return f"{name} of {len(value)}"
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        return f"{name}{_dtype(dtype)}{_sizes(shape)}"
    except BaseException as exc:  # somebody else's object, which may answer anything; a trace is no reason to fail
        if is_meant_for_host(exc):
            raise
        return name


def _sizes(shape: Iterable[SupportsInt] | None) -> str:
    if shape is None:
        return ""
    sizes = [str(int(size)) for size in islice(shape, _MAX_SIZES + 1)]
    return f" ({', '.join([*sizes[:_MAX_SIZES], *('…' for _ in sizes[_MAX_SIZES:])])})"


def _dtype(dtype: object) -> str:
    """Return a dtype's name; longer texts, as of categories, hold values."""
    if dtype is None:
        return ""
    text = getattr(dtype, "name", None) or str(dtype)
    return f" {text}" if isinstance(text, str) and re.fullmatch(r"[\w.]{1,30}", text) else f" {_name(type(dtype))}"


def _name(kind: type) -> str:
    name: str = type_name(kind)
    return name[:_MAX_NAME] if name.isprintable() else ascii(name)[:_MAX_NAME]


def _write(line: str) -> None:
    try:
        sys.stderr.write(f"palate: {line}\n")
    except (AttributeError, OSError, ValueError):  # there is no stderr, or it is closed
        return
