"""Models whose predict is a coroutine, for callers without an event loop; and threads, for callers with one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

__all__ = ["in_thread", "run_coroutine"]

P = ParamSpec("P")
T = TypeVar("T")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result.

    Where this thread runs an event loop already, as in a notebook, the coroutine gets a loop in a thread of its own.
    """
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, coroutine).result()


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *function* in a thread of the event loop's pool and await its result."""
    import asyncio  # half of what importing palate costs

    return await asyncio.to_thread(function, *args, **kwargs)
