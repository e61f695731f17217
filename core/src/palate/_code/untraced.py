"""Stand-ins for what mlflow only observes with: traces, spans and autologging change no prediction; they do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["NoSpan", "SpanAttributeKey", "SpanType", "do_nothing", "start_span", "trace"]


def do_nothing(*_: Any, **__: Any) -> None:
    """Take any call."""


def trace(func: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
    """Return the function as it is, whether ``@trace`` is written with arguments or without."""
    return func if func is not None else lambda decorated: decorated


class NoSpan:
    """A span that remembers nothing: every method of it can be called, and it can be entered and left."""

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave what was raised alone."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return do_nothing


def start_span(*_: Any, **__: Any) -> NoSpan:
    """Return a span that can be entered, whatever it was to be called."""
    return NoSpan()


class _OwnNames(type):
    """Answers every attribute in capitals with its own name."""

    def __getattr__(cls, name: str) -> str:
        if not name.isupper():
            raise AttributeError(name)
        return name


class SpanType(metaclass=_OwnNames):
    """The kinds of spans."""


class SpanAttributeKey(metaclass=_OwnNames):
    """The keys that functions traced by MLflow put into their spans."""
