"""What an engine raises, told as an error of ours: by what Palate said in a task, if it was that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from palate.batch._first_line import first_line
from palate.batch.errors import EngineFailed
from palate.errors import PalateError

__all__ = ["telling"]

_OURS: Final = re.compile(r"^(?:\S*\.)?palate\.[\w.]+: (?P<text>.+(?:\n  - .+)*)", re.MULTILINE)


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
    if found := list(_OURS.finditer(str(exc))):
        return found[-1]["text"]
    name, said = type(exc).__name__, first_line(exc)
    return f"{name}: {said:.500}" if said else name
