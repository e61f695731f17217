"""What may come out of a plugin's code, and which of it is not the plugin's to raise.

A plugin may fail in any way: ``sys.exit()`` in a hook, or the panic of a native extension, is no ``Exception`` and
would end the host. It becomes the plugin's fault, like any other failure. What somebody else raised in the plugin's
midst (an interrupt, a cancelled task, a signal handler of the host) is handed on.
"""

from __future__ import annotations

import signal
import sys
from traceback import walk_tb
from types import CodeType

__all__ = ["describe_failure", "is_meant_for_host"]

# How frameworks for concurrency end a task that is under way; whoever may see one has imported them.
_CANCELLATIONS = (("asyncio.exceptions", "CancelledError"), ("greenlet", "GreenletExit"), ("trio", "Cancelled"))


def is_meant_for_host(exc: BaseException) -> bool:
    """Return whether *exc* is no ``Exception`` and still not the plugin's: whoever runs its code sees it as it is."""
    if isinstance(exc, Exception):
        return False
    if isinstance(exc, KeyboardInterrupt | GeneratorExit):
        return True
    for module, name in _CANCELLATIONS:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(exc, kind):
            return True
    return _is_of_signal_handler(exc)


def describe_failure(exc: BaseException) -> str:
    """Return what a message says of a failure."""
    return f"{type(exc).__name__}: {exc}"


def _is_of_signal_handler(exc: BaseException) -> bool:
    """Whether a handler of the host raised it, as one for SIGTERM calls ``sys.exit()``, wherever Python just was."""
    ran = {frame.f_code for frame, _ in walk_tb(exc.__traceback__)}
    return any(_code_of(signal.getsignal(number)) in ran for number in signal.valid_signals())


def _code_of(handler: object) -> CodeType | None:
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
