"""What may come out of a plugin's code, and which of it is not the plugin's to raise.

A plugin may fail in any way: ``sys.exit()`` in a hook, or the panic of a native extension, is no ``Exception`` and
would end the host. It becomes the plugin's fault, like any other failure. What somebody else raised in the plugin's
midst (an interrupt, a cancelled task, a signal handler of the host) passes.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from traceback import walk_tb
from types import CodeType
from typing import TypeVar

from palate._plugin_sources import Candidate
from palate.errors import FlavorBroken

__all__ = ["activate", "broken_plugin", "passes", "told"]

_Built = TypeVar("_Built")

# How frameworks for concurrency end a task that is under way; whoever may see one has imported them.
_CANCELLATIONS = (("asyncio.exceptions", "CancelledError"), ("greenlet", "GreenletExit"), ("trio", "Cancelled"))


def passes(exc: BaseException) -> bool:
    """Return whether a caller of the plugin's code sees *exc* as it is: it harms nothing, or is meant for the host."""
    if isinstance(exc, Exception | KeyboardInterrupt | GeneratorExit):
        return True
    for module, name in _CANCELLATIONS:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(exc, kind):
            return True
    return _is_of_signal_handler(exc)


def told(exc: BaseException) -> str:
    """Return what a message says of a failure."""
    return f"{type(exc).__name__}: {exc}"


def broken_plugin(candidate: Candidate, reason: str) -> FlavorBroken:
    """Return the error that says why a plugin cannot be used."""
    return FlavorBroken(candidate.name, distribution=candidate.distribution, version=candidate.version, reason=reason)


def activate(candidate: Candidate, check: Callable[[object], str | None], build: Callable[[object], _Built]) -> _Built:
    """Import a plugin, check it, and build from it what it is called through.

    Raises:
        FlavorBroken: whatever is wrong with the plugin.
    """
    try:
        plugin = candidate.load()
        problem = check(plugin)
        if problem is None:
            return build(plugin)
    except BaseException as exc:
        if not isinstance(exc, Exception) and passes(exc):
            raise
        if isinstance(exc, FlavorBroken) and exc.flavor == candidate.name:  # it asked for itself
            raise broken_plugin(candidate, exc.reason) from exc
        raise broken_plugin(candidate, told(exc)) from exc
    raise broken_plugin(candidate, problem)


def _is_of_signal_handler(exc: BaseException) -> bool:
    """Whether a handler of the host raised it, as one for SIGTERM calls ``sys.exit()``, wherever Python just was."""
    ran = {frame.f_code for frame, _ in walk_tb(exc.__traceback__)}
    return any(_code_of(signal.getsignal(number)) in ran for number in signal.valid_signals())


def _code_of(handler: object) -> CodeType | None:
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
