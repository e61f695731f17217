"""Requests to an ASGI application that has MLflow's routes, in this process; needs nothing but Python."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

__all__ = ["Post", "post_all"]

Post = tuple[str | None, bytes]
"""A content type, and a body."""


def post_all(app: Any, posts: Sequence[Post]) -> list[tuple[int, bytes]]:
    """Start the application, send each body to its ``/invocations``, stop it; return statuses and bodies."""
    return asyncio.run(_post_all(app, posts))


async def _post_all(app: Any, posts: Sequence[Post]) -> list[tuple[int, bytes]]:
    told: asyncio.Queue[str] = asyncio.Queue()
    asked: asyncio.Queue[Any] = asyncio.Queue()

    async def send(message: Any) -> None:
        await told.put(message["type"])

    lifespan = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, asked.get, send))
    await asked.put({"type": "lifespan.startup"})
    assert await told.get() == "lifespan.startup.complete"
    while (await _ask(app, "GET", "/ping", None, b""))[0] != 200:
        await asyncio.sleep(0.02)
    answers = [await _ask(app, "POST", "/invocations", kind, body) for kind, body in posts]
    await asked.put({"type": "lifespan.shutdown"})
    await lifespan
    return answers


async def _ask(app: Any, method: str, path: str, kind: str | None, body: bytes) -> tuple[int, bytes]:
    messages: list[Any] = []
    arriving = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        for message in arriving:
            return message
        return await asyncio.Event().wait()  # the client stays

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", str(len(body)).encode())]
    if kind is not None:
        headers.append((b"content-type", kind.encode()))
    where = {"path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "scheme": "http"}
    who = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "headers": headers, "state": {}}
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, **where, **who}
    try:
        await app(scope, receive, send)
    except Exception:
        if not messages:  # starlette answers with 500, and raises as well
            raise
    status = next(message["status"] for message in messages if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in messages)
