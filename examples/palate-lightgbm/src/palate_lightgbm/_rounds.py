"""Which calls may predict with one booster at a time.

LightGBM predicts in several threads, but notes the range of rounds that a call asks for in the booster itself (its
issue 6142): a call with another range, in the midst of one, would write beyond the memory of its answer. So calls for
the usual range share the booster, and a call for another has it alone.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["hold_rounds"]


class _Gate:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside = 0  # calls that share the booster; -1 for one that has it alone

    @contextmanager
    def hold(self, *, shared: bool) -> Iterator[None]:
        step = 1 if shared else -1
        with self.changed:
            self.changed.wait_for(lambda: self.inside >= 0 if shared else self.inside == 0)
            self.inside += step
        try:
            yield
        finally:
            with self.changed:
                self.inside -= step
                self.changed.notify_all()


_gates: weakref.WeakKeyDictionary[Any, _Gate] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def hold_rounds(booster: Any, *, shared: bool) -> Any:
    """Return a context in which *booster* predicts: *shared* with others, or alone."""
    with _making:
        gate = _gates.setdefault(booster, _Gate())
    return gate.hold(shared=shared)
