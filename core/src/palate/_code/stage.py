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
from typing import ClassVar

__all__ = ["ModuleTable", "on_stage", "table_on_stage"]


class ModuleTable:
    """The modules of one model by their own names."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        self._displaced: dict[str, ModuleType | None] = {}

    def add(self, name: str, module: ModuleType) -> None:
        """Put a module into the table, and on stage if the table is."""
        with _lock:
            self.modules[name] = module
            if _stage.holder is self:
                self._show(name, module)

    def remove(self, name: str) -> None:
        """Take a module out of the table again."""
        with _lock:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Do the same where no other thread can be, in a process that has just been forked."""
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
    """Who is on stage in this process, and in which threads."""

    holder: ModuleTable | None = None
    threads: ClassVar[set[int]] = set()


class _Here(threading.local):
    """Who is on stage as far as this thread is concerned, or waits to be."""

    table: ModuleTable | None = None


# Blocks take the lock itself: an interrupt may come between the two steps in which a Condition takes it.
_lock = threading.RLock()
_condition = threading.Condition(_lock)
_stage = _Stage()
_here = _Here()


def _clear_after_fork() -> None:
    """Take off stage, in a forked child, what threads of the parent had there: none of them will ever leave it."""
    global _condition, _lock
    _lock = threading.RLock()
    _condition = threading.Condition(_lock)
    if _stage.holder is not None and _stage.holder is not _here.table:
        _stage.holder.hide()
        _stage.holder = None
    _stage.threads.intersection_update(() if _here.table is None else (threading.get_ident(),))


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
    try:
        _leave(before)
        _enter(table)
        yield
    finally:
        try:
            _leave(table)
        except BaseException:  # an interrupt: every other model would wait for this thread for ever
            _leave(table)
            raise
        _enter(before)


def _enter(table: ModuleTable | None) -> None:
    _here.table = table  # first: an interrupt at any later moment then leaves what _leave undoes
    if table is not None:
        with _lock:
            while _stage.holder not in (None, table):
                _condition.wait()
            _stage.threads.add(threading.get_ident())
            if _stage.holder is None:
                _stage.holder = table
                table.show()


def _leave(table: ModuleTable | None) -> None:
    # After an interrupt while waiting to come back on stage, there is nothing left to leave.
    if table is not None and _here.table is table:
        with _lock:
            _stage.threads.discard(threading.get_ident())
            if _stage.holder is table and not _stage.threads:
                table.hide()
                _stage.holder = None
                _condition.notify_all()
        _here.table = None
