"""What Keras says when a description cannot be built, without the description."""

from __future__ import annotations

__all__ = ["first_cause"]


def first_cause(exc: BaseException) -> str:
    """Return what went wrong first, in a line; Keras adds the whole description of each layer around it."""
    while exc.__context__ is not None:
        exc = exc.__context__
    text = str(exc).strip().partition("Full object config:")[0].partition("\n")[0]
    return f"{type(exc).__name__}: {text:.300}".strip()
