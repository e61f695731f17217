"""What one process raised, raised again in the other: of the same type where both know it."""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from palate import errors
from palate._isolation.tree import Junk
from palate._isolation.wire import Writer
from palate._plugin_failures import quote_failure
from palate.errors import InvalidInput, PalateError

__all__ = ["RemoteTraceback", "describe_exception", "rebuild_exception"]

_LONGEST_TEXT = 20_000
_Read = TypeVar("_Read")


class RemoteTraceback(Exception):
    """The cause of an exception that was raised in the process of a model: where, as that process tells it."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"\n{text}")


def describe_exception(exc: BaseException) -> dict[str, Any]:
    """Return what the other side needs to raise *exc* again.

    Of an error of Palate's its facts go along; of any other its arguments, as far as they cross.
    """
    facts = vars(exc) if isinstance(exc, PalateError) else {}
    arguments = _attempt(lambda: list(exc.args))
    return {
        "kinds": [f"{kind.__module__}.{kind.__qualname__}" for kind in type(exc).__mro__],
        "quoted": quote_failure(exc)[:_LONGEST_TEXT],
        "args": arguments if _crosses(arguments) else None,
        "errno": exc.errno if isinstance(exc, OSError) else None,
        "files": [exc.filename, exc.filename2] if isinstance(exc, OSError) and _crosses(exc.filename) else None,
        "notes": _attempt(lambda: list(map(str, exc.__notes__))) or [],
        "facts": {name: value for name, value in facts.items() if _crosses(value)},
        "traceback": (_attempt(lambda: "".join(traceback.format_exception(exc))) or "")[-_LONGEST_TEXT:],
    }


def _attempt(read: Callable[[], _Read]) -> _Read | None:
    """Return what *read* gives; None where the exception's own class, which may be anybody's, raises in it."""
    try:
        return read()
    except BaseException:
        return None


def _crosses(value: object) -> bool:
    try:
        Writer().encode(value)
    except Exception:  # NotTransferable, or what its own class raises
        return False
    return True


_SHAPE: dict[str, tuple[type, ...]] = {
    "kinds": (list,),
    "quoted": (str,),
    "args": (list, type(None)),
    "errno": (int, type(None)),
    "files": (list, type(None)),
    "notes": (list,),
    "facts": (dict,),
    "traceback": (str,),
}


def rebuild_exception(told: object) -> Exception:
    """Return the exception that ``describe_exception`` told of; its cause is a ``RemoteTraceback``.

    Raises:
        Junk: *told* is nothing of the kind.
    """
    if not isinstance(told, dict) or not all(isinstance(told.get(key, ...), types) for key, types in _SHAPE.items()):
        raise Junk("what was raised there is no exception")
    exc = _rebuild(told)
    for note in told["notes"]:
        exc.add_note(str(note))
    exc.__cause__ = None if isinstance(exc, InvalidInput) else RemoteTraceback(told["traceback"])
    return exc


def _rebuild(told: dict[str, Any]) -> Exception:
    for number, full_name in enumerate(map(str, told["kinds"])):
        module, _, name = full_name.rpartition(".")
        kind = getattr(errors, name, None) if module.partition(".")[0] == "palate" and name in errors.__all__ else None
        if isinstance(kind, type) and issubclass(kind, PalateError):
            return _with_facts(kind, told)
        kind = getattr(builtins, name, None) if module == "builtins" else None
        if isinstance(kind, type) and issubclass(kind, Exception):
            return _builtin(kind, is_own=number == 0, told=told)
    # sys.exit() in a model, or what else would end a process: it has ended a call.
    return RuntimeError(told["quoted"])


def _with_facts(kind: type[PalateError], told: dict[str, Any]) -> PalateError:
    error = kind.__new__(kind)
    error.args = tuple(told["args"] or (told["quoted"],))
    for name, value in told["facts"].items():
        # Facts are what a class adds to Python's own exceptions; nothing of those is overwritten.
        if isinstance(name, str) and not hasattr(Exception, name):
            with suppress(AttributeError):  # no process that is well sends what its class computes
                setattr(error, name, value)
    if isinstance(error, OSError):
        error.errno = told["errno"]
    return error


def _builtin(kind: type[Exception], *, is_own: bool, told: dict[str, Any]) -> Exception:
    """Return an exception of Python's own, or of the nearest base of a class that only the other side knows."""
    quoted = told["quoted"]
    try:
        made = kind(*told["args"]) if is_own and told["args"] is not None else kind(quoted)
    except Exception:  # a UnicodeDecodeError or an ExceptionGroup, whose arguments are not any
        return RuntimeError(quoted)
    if isinstance(made, OSError) and is_own:
        # These are none of its arguments, and one that is None would be part of its text.
        for name, value in zip(("filename", "filename2"), told["files"] or (), strict=False):
            if value is not None:
                setattr(made, name, value)
    return made
