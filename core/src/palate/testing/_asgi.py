"""An ASGI application asked in this process, without a server and without a port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

__all__ = ["Response", "post_json"]

Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]


class Response(NamedTuple):
    """What came back: the status, and the document in the body."""

    status: int
    document: Any


def post_json(app: AsgiApp, bodies: Mapping[str, Any], *, seconds: float) -> dict[str, Response]:
    """Start the application, post a document to each path, and end it.

    Args:
        app: what is asked.
        bodies: what is posted, by path; each is written as JSON.
        seconds: how long all of it may take.

    Raises:
        RuntimeError: the application says that it cannot start.
        TimeoutError: it took longer.
    """
    return asyncio.run(asyncio.wait_for(_post_all(app, bodies), seconds))


async def _post_all(app: AsgiApp, bodies: Mapping[str, Any]) -> dict[str, Response]:
    async with _started(app):
        return {path: await _post(app, path, json.dumps(body).encode()) for path, body in bodies.items()}


@asynccontextmanager
async def _started(app: AsgiApp) -> AsyncIterator[None]:
    told: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    living = asyncio.ensure_future(app({"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, heard.put))
    await told.put({"type": "lifespan.startup"})
    answer = await heard.get()
    if answer["type"] != "lifespan.startup.complete":
        raise RuntimeError(f"the application cannot start: {answer.get('message', '')}")
    try:
        yield
    finally:
        await told.put({"type": "lifespan.shutdown"})
        await living


async def _post(app: AsgiApp, path: str, body: bytes) -> Response:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*headers, (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return Response(status, json.loads(b"".join(message.get("body", b"") for message in sent)))
