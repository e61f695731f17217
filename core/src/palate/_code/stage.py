"""Showing one model's private modules in ``sys.modules`` for a while, and restoring it exactly.

A model whose modules are shown is on stage. Only one is at a time; several threads of the same model may share it, so
that a model can import from threads of its own while it is being loaded. A thread of another model waits: code that is
being loaded must not wait for a thread that loads another model with code.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["ModuleTable", "on_stage", "table_on_stage"]


class ModuleTable:
    """The modules of one model by their own names."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        self._displaced: dict[str, ModuleType | None] = {}

    def add(self, name: str, module: ModuleType) -> None:
        """Put a module into the table, and on stage if the table is."""
        with _condition:
            self.modules[name] = module
            if _stage.holder is self:
                self._show(name, module)

    def remove(self, name: str) -> None:
        """Take a module out of the table again."""
        with _condition:
            module = self.modules.pop(name, None)
            if module is not None and name in self._displaced:
                self._hide(name, module, self._displaced.pop(name))

    def show(self) -> None:
        """Put every module into ``sys.modules``, remembering what was there."""
        for name, module in self.modules.items():
            self._show(name, module)

    def hide(self) -> None:
        """Put back what ``show`` displaced."""
        for name, before in self._displaced.items():
            self._hide(name, self.modules.get(name), before)
        self._displaced.clear()

    def _show(self, name: str, module: ModuleType) -> None:
        self._displaced.setdefault(name, sys.modules.get(name))
        sys.modules[name] = module

    def _hide(self, name: str, module: ModuleType | None, before: ModuleType | None) -> None:
        # Another thread may have finished an import of its own under this name meanwhile: that one stays.
        if sys.modules.get(name) is not module:
            return
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before


class _Stage:
    """Who is on stage in this process."""

    holder: ModuleTable | None = None
    threads: int = 0


class _Here(threading.local):
    """Who is on stage as far as this thread is concerned."""

    table: ModuleTable | None = None


_condition = threading.Condition(threading.RLock())
_stage = _Stage()
_here = _Here()


def _clear_after_fork() -> None:
    """Take off stage, in a forked child, what threads of the parent had there: none of them will ever leave it."""
    global _condition
    _condition = threading.Condition(threading.RLock())
    if _stage.holder is not None and _stage.holder is not _here.table:
        _stage.holder.hide()
        _stage.holder = None
    _stage.threads = 0 if _here.table is None else 1


os.register_at_fork(after_in_child=_clear_after_fork)


def table_on_stage() -> ModuleTable | None:
    """Return the table that this thread has on stage, or None."""
    return _here.table


@contextmanager
def on_stage(table: ModuleTable | None) -> Iterator[None]:
    """Have *table* on stage in this thread while the block runs; None leaves the stage for that time."""
    before = _here.table
    if before is table:
        yield
        return
    _leave(before)
    _enter(table)
    try:
        yield
    finally:
        _leave(table)
        _enter(before)


def _enter(table: ModuleTable | None) -> None:
    if table is not None:
        with _condition:
            while _stage.holder not in (None, table):
                _condition.wait()
            if _stage.holder is None:
                _stage.holder = table
                table.show()
            _stage.threads += 1
    _here.table = table


def _leave(table: ModuleTable | None) -> None:
    # After an interrupt while waiting to come back on stage, there is nothing left to leave.
    if table is not None and _here.table is table:
        _here.table = None
        with _condition:
            _stage.threads -= 1
            if _stage.threads == 0:
                _stage.holder = None
                table.hide()
                _condition.notify_all()
