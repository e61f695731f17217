"""Models whose predict is a coroutine, for callers without an event loop; and threads, for callers with one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from types import CoroutineType
from typing import Any, TypeVar

__all__ = ["in_thread", "run_coroutine"]

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


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call *function* in a thread of the event loop's pool, with the caller's context, and await its result.

    When the caller is cancelled, the call ends unheard; a coroutine that it returns is closed.
    """
    import asyncio  # half of what importing palate costs

    call = partial(copy_context().run, _without_stop, function, *arguments)
    call_ended = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(call_ended)
    except asyncio.CancelledError:
        call_ended.add_done_callback(_forget)
        raise


def _without_stop(function: Callable[..., T], *arguments: object) -> T:
    try:
        return function(*arguments)
    except StopIteration as exc:
        # A future cannot hold one, and its awaiter would wait for ever.
        raise RuntimeError("the model raised StopIteration") from exc


def _forget(call_ended: Any) -> None:
    """Take what came of a call that nobody waits for any more."""
    if call_ended.cancelled() or call_ended.exception() is not None:
        return
    result = call_ended.result()
    for part in result if isinstance(result, tuple) else (result,):
        if isinstance(part, CoroutineType):
            part.close()
