"""Errors of engines, and what of theirs was ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from palate.errors import PalateError

__all__ = ["EngineFailed", "telling"]

_OURS: Final = re.compile(r"^(?:\S*\.)?palate\.[\w.]+: (?P<text>.+(?:\n  - .+)*)", re.MULTILINE)


class EngineFailed(PalateError, RuntimeError):
    """A job on an engine ended without its result; *reason* is what a task, or the engine, said."""

    def __init__(self, engine: str, *, reason: str) -> None:
        self.engine, self.reason = engine, reason
        super().__init__(f"The job on {engine} failed, and nothing was written: {reason}")


@contextmanager
def telling(engine: str) -> Iterator[None]:
    """Turn what an engine raises into EngineFailed, with what Palate said in the task if it was that."""
    try:
        yield
    except PalateError:
        raise
    except Exception as exc:
        raise EngineFailed(engine, reason=_reason_of(exc)) from exc


def _reason_of(exc: BaseException) -> str:
    text = str(exc)
    if found := list(_OURS.finditer(text)):
        return found[-1]["text"]
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{type(exc).__name__}: {lines[0]:.500}" if lines else type(exc).__name__
