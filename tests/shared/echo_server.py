"""A server whose application answers in every way an ASGI application may. argv: settings, as name=value."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from palate.serving._http.exchange import Exchange
from palate.serving._http.refusals import Refusal
from palate.serving._process.workers import serve
from palate.serving.settings import load_settings

Message = MutableMapping[str, Any]
TEXT = (b"content-type", b"text/plain")


class EchoApp:
    """Answers ``/asgi/<how>`` bare, ``/direct/<how>`` without ASGI, the rest through Starlette."""

    def __init__(self) -> None:
        self.direct: dict[tuple[str, str], Callable[[Exchange], None]] = {
            ("POST", "/direct/echo"): lambda exchange: exchange.respond(200, (TEXT,), exchange.body),
            ("GET", "/direct/slow"): self.answer_late,
            ("GET", "/direct/raise"): self.raise_error,
            ("HEAD", "/direct/echo"): lambda exchange: exchange.respond(200, (TEXT,), b"as for GET"),
        }
        self.worker, self.draining, self.gone = 0, False, 0
        self.refusals: dict[int, int] = {}
        self.starlette = Starlette(routes=[Route("/starlette/{how}", self.through_starlette, methods=["GET", "POST"])])

    def begin_worker(self, index: int) -> None:
        self.worker = index

    def begin_drain(self) -> None:
        self.draining = True

    def note_refusal(self, refusal: Refusal) -> None:
        self.refusals[refusal.status] = self.refusals.get(refusal.status, 0) + 1

    def answer_late(self, exchange: Exchange) -> None:
        def note() -> None:
            self.gone += 1

        exchange.on_disconnect = note
        asyncio.get_running_loop().call_later(0.5, exchange.respond, 200, (TEXT,), b"late")

    def raise_error(self, exchange: Exchange) -> None:
        raise LookupError("a secret of the application")

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        elif scope["path"].startswith("/starlette/"):
            await self.starlette(scope, receive, send)
        else:
            how = getattr(self, "do_" + scope["path"].rpartition("/")[2].replace("-", "_"), None)
            await (how or self.do_nothing)(scope, receive, send)

    async def live(self, receive: Any, send: Any) -> None:
        for done in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{done}.complete"})

    async def do_nothing(self, scope: Message, receive: Any, send: Any) -> None:
        await answer(send, 404, b"no such way")

    async def do_echo(self, scope: Message, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await answer(send, 200, body)

    async def do_slow(self, scope: Message, receive: Any, send: Any) -> None:
        await asyncio.sleep(float(scope["query_string"] or 0.5))
        await answer(send, 200, b"slow")

    async def do_wait(self, scope: Message, receive: Any, send: Any) -> None:
        await receive()
        message = await receive()
        assert message["type"] == "http.disconnect"
        self.gone += 1

    async def do_block(self, scope: Message, receive: Any, send: Any) -> None:
        time.sleep(float(scope["query_string"]))
        await answer(send, 200, b"blocked")

    async def do_die(self, scope: Message, receive: Any, send: Any) -> None:
        os._exit(11)

    async def do_big(self, scope: Message, receive: Any, send: Any) -> None:
        await answer(send, 200, b"x" * int(scope["query_string"]))

    async def do_pour(self, scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
        for _ in range(int(scope["query_string"])):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body"})

    async def do_raise(self, scope: Message, receive: Any, send: Any) -> None:
        raise LookupError("a secret of the application")

    async def do_break(self, scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"1\r\nset-cookie: a=b")]})
        await send({"type": "http.response.body", "body": b"never sent"})

    async def do_short(self, scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"four"})

    async def do_silent(self, scope: Message, receive: Any, send: Any) -> None:
        await receive()

    async def do_empty(self, scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": int(scope["query_string"]), "headers": []})
        await send({"type": "http.response.body"})

    async def do_facts(self, scope: Message, receive: Any, send: Any) -> None:
        told = f"{os.getpid()} {self.worker} {self.gone} {self.refusals}"
        await answer(send, 503 if self.draining else 200, told.encode())

    async def through_starlette(self, request: Request) -> Any:
        match request.path_params["how"]:
            case "stream":
                return StreamingResponse(pieces(), media_type="text/plain")
            case "background":
                return PlainTextResponse("later", background=BackgroundTask(self.work_later))
            case _:
                return PlainTextResponse(await request.body(), headers={"x-query": request.url.query})

    async def work_later(self) -> None:
        await asyncio.sleep(0.05)
        self.gone += 100


async def pieces() -> Any:
    """Yield a text little by little."""
    for number in range(5):
        await asyncio.sleep(0.01)
        yield f"piece {number}\n"


async def answer(send: Any, status: int, body: bytes) -> None:
    """Send one whole answer."""
    headers = [TEXT, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def announce(addresses: Any) -> None:
    """Say where it listens."""
    print("Serving an echo on", *addresses, file=sys.stderr, flush=True)


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    preload = given.pop("preload", "yes") == "yes"
    settings = load_settings(None, {}, {"port": "0", **given})
    sys.exit(serve(EchoApp, settings, preload=preload, on_listening=announce))
