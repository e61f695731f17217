"""What may come out of a plugin's code, and which of it is not the plugin's to raise.

A plugin may fail in any way: ``sys.exit()`` in a hook, or the panic of a native extension, is no ``Exception`` and
would end the host. It becomes the plugin's fault, like any other failure. What somebody else raised in the plugin's
midst (an interrupt, a cancelled task, a signal handler of the host) is handed on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType

__all__ = ["describe_failure", "is_meant_for_host", "quote_failure", "type_name", "would_end_host"]

# Of a failure's text; some quote all that they were given.
_MAX_TEXT = 300

type_name = type.__dict__["__name__"].__get__
"""Python's own name of a class, whatever a metaclass would answer."""

# How frameworks for concurrency end a task that is under way; whoever may see one has imported them.
_CANCELLATIONS = (("asyncio.exceptions", "CancelledError"), ("greenlet", "GreenletExit"), ("trio", "Cancelled"))


def is_meant_for_host(exc: BaseException) -> bool:
    """Return whether *exc* is no ``Exception`` and still not the plugin's: whoever runs its code sees it as it is."""
    if isinstance(exc, Exception):
        return False
    if isinstance(exc, KeyboardInterrupt):
        return True
    for module, name in _CANCELLATIONS:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(exc, kind):
            return True
    return _is_of_signal_handler(exc)


def would_end_host(exc: BaseException) -> bool:
    """Return whether *exc*, which came out of a plugin's code, would end the process and is not the host's to see."""
    return not isinstance(exc, Exception) and not is_meant_for_host(exc)


def quote_failure(exc: BaseException) -> str:
    """Return the type and the text of a failure; the type alone where its own text fails too."""
    kind = type_name(type(exc))
    try:
        return f"{kind}: {exc}"
    except BaseException as failure:  # the exception's class is the plugin's, so this is its code too
        if is_meant_for_host(failure):
            raise
        return f"{kind} (its text cannot be told: that raises {type_name(type(failure))})"


def describe_failure(exc: BaseException, package: str = "") -> str:
    """Return what a message says of a failure: its type and its text, in one line that is cut.

    Args:
        exc: the failure.
        package: the top-level package in whose modules its place is looked for, and told; empty for none.
    """
    told = quote_failure(exc)
    line = " ".join(told[:_MAX_TEXT].split()).rstrip(":") + ("…" if len(told) > _MAX_TEXT else "")
    if package:
        line += _find_place(exc, package)
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _find_place(exc: BaseException, package: str) -> str:
    """Return the innermost line of the plugin's own that *exc* came from, to follow what is told of it."""
    place = ""
    for frame, line in _frames(exc):
        if _package_of(frame) == package:
            place = f" ({os.path.basename(frame.f_code.co_filename)}, line {line})"
    return place


def _package_of(frame: FrameType) -> str:
    module = frame.f_globals.get("__name__")
    # A module may call itself anything.
    return module.partition(".")[0] if type(module) is str else ""


def _is_of_signal_handler(exc: BaseException) -> bool:
    """Whether a handler of the host raised it, as one for SIGTERM calls ``sys.exit()``, wherever Python just was."""
    import signal  # with it, every process would wait longer for palate, and few come here

    ran = {frame.f_code for frame, _ in _frames(exc)}
    return any(_code_of(signal.getsignal(number)) in ran for number in signal.valid_signals())


def _frames(exc: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames that *exc* came through, outermost first, each with its line."""
    at = exc.__traceback__
    while at is not None:
        yield at.tb_frame, at.tb_lineno
        at = at.tb_next


def _code_of(handler: object) -> CodeType | None:
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
