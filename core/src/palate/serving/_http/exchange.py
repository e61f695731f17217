"""One request that has arrived whole, and its answer: by ASGI (3.0, spec 2.3) or, on hot routes, a plain call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from palate.serving._http.refusals import Refusal
from palate.serving._problems import PROBLEM_TYPE

__all__ = ["AsgiApp", "Connection", "DirectHandler", "Exchange", "Head", "Target"]

logger = logging.getLogger("palate.serving")

Headers = Iterable[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODILESS = frozenset((204, 304))
_JOINED = 1 << 16  # bytes up to which copying a body behind its head is cheaper than a second write
_FAILED = Refusal(500, "The server failed on this request. Hint: the server's log has the cause.")
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Target(NamedTuple):
    """What a request line asks for; the same object for the same line."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    direct: DirectHandler | None


DirectHandler = Callable[["Exchange"], None]


class Head(NamedTuple):
    """The head of a request that is good.

    Attributes:
        target: the request line.
        headers: as they came, names in lower case; not to be changed.
        fields: the same by name; of a name that came several times, the last.
        version: of HTTP.
        length: of the body.
    """

    target: Target
    headers: Sequence[tuple[bytes, bytes]]
    fields: Mapping[bytes, bytes]
    version: str
    length: int


class Connection(Protocol):
    """What an exchange needs of the connection it came on."""

    transport: asyncio.Transport
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    app_state: dict[str, Any]
    writable: asyncio.Future[None] | None
    tasks: set[asyncio.Task[None]]

    def default_headers(self) -> bytes:
        """Return the header lines that every response has."""

    def finish(self, exchange: Exchange) -> None:
        """Go on to what comes after an answer that is complete."""


class Exchange:
    """A request and its answer.

    A handler of a hot route is called with it on the event loop and calls ``respond`` once, at once or later; anything
    else goes through ``run``.

    Attributes:
        head: of the request; shared with others that have the same.
        target: the request line.
        fields: the headers by name; of a name that came several times, the last.
        body: whole.
        keep_alive: whether the connection stays open after the answer.
        disconnected: the client is gone; what is still sent is dropped.
        on_disconnect: called when the client goes before the answer is complete.
    """

    __slots__ = (
        "_begun",
        "_chunked",
        "_connection",
        "_gone",
        "_left",
        "_read",
        "_silent",
        "_started",
        "_task",
        "body",
        "complete",
        "disconnected",
        "fields",
        "head",
        "keep_alive",
        "on_disconnect",
        "target",
    )

    def __init__(self, connection: Connection, head: Head, body: bytes, *, keep_alive: bool) -> None:
        self._connection = connection
        self.head = head
        self.target = head.target
        self.fields = head.fields
        self.body = body
        self.keep_alive = keep_alive
        self.complete = False
        self.disconnected = False
        self.on_disconnect: Callable[[], None] | None = None
        self._started = False
        self._gone: asyncio.Future[None] | None = None

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the other end; None behind a socket file."""
        return self._connection.client

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer, once; the content length is added. To a client that is gone nothing is sent.

        Raises:
            RuntimeError: there is an answer already, or a header would break out of its line.
        """
        if self._started:
            raise RuntimeError("this exchange has its answer already")
        if self.disconnected:
            self._started = self.complete = True
            return
        head = self._head(status, headers, b"" if status in _BODILESS else b"content-length: %d\r\n" % len(body))
        self._started = self.complete = True
        if self.target.method == "HEAD" or status in _BODILESS:
            body = b""
        self._write(head, body)
        self._connection.finish(self)

    def disconnect(self) -> None:
        """Note that the client is gone."""
        self.disconnected = True
        self._release()
        if not self.complete and self.on_disconnect is not None:
            self.on_disconnect()

    def fail(self, error: BaseException | str) -> None:
        """Log what the application did wrong and answer 500, or end the connection if the answer has begun."""
        told = error if isinstance(error, str) else "the application raised"
        logger.error("serving: %s", told, exc_info=None if isinstance(error, str) else error)
        if self.complete or self.disconnected:
            return
        self.keep_alive = False
        if self._started:
            self._connection.transport.close()
        else:
            self.respond(500, [(b"content-type", PROBLEM_TYPE)], _FAILED.body())

    def scope(self) -> Message:
        """Return the request as an ASGI connection scope."""
        connection, target = self._connection, self.target
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self.head.version,
            "server": connection.server,
            "client": connection.client,
            "scheme": "http",
            "root_path": "",
            "method": target.method,
            "path": target.path,
            "raw_path": target.raw_path,
            "query_string": target.query,
            "headers": list(self.head.headers),
            "state": connection.app_state.copy(),
        }

    def start(self, app: AsgiApp, loop: asyncio.AbstractEventLoop) -> None:
        """Run *app* for this request, in a task of its own."""
        task = loop.create_task(self._run(app))
        self._task = task
        self._connection.tasks.add(task)

    async def _run(self, app: AsgiApp) -> None:
        self._read = self._chunked = False
        self._begun: Message | None = None
        self._left: int | None = None
        try:
            await app(self.scope(), self._receive, self._send)
            if not (self.complete or self.disconnected):
                self.fail("the application returned without an answer that is complete")
        except asyncio.CancelledError:
            self.fail("a request was cut off, since the server ends")
            raise
        except BaseException as exc:
            self.fail(exc)
            if not isinstance(exc, Exception):
                raise
        finally:
            self._connection.tasks.discard(self._task)

    async def _receive(self) -> Message:
        if not (self._read or self.disconnected):
            self._read = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        if not (self.complete or self.disconnected):
            if self._gone is None:
                self._gone = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self.complete:
            raise RuntimeError(f"ASGI message {kind!r} after an answer that is complete")
        if self._begun is None:
            if kind != "http.response.start":
                raise RuntimeError(f"ASGI message {kind!r} where 'http.response.start' was due")
            self._begun = message
            return
        if kind != "http.response.body":
            raise RuntimeError(f"ASGI message {kind!r} where 'http.response.body' was due")
        if self._connection.writable is not None:
            await asyncio.shield(self._connection.writable)
        if self.disconnected:
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if not self._started:
            self._begin(self._begun, body, more=more)
        elif body and not self._silent:
            self._connection.transport.write(self._framed(body))
        if not more:
            self._end()

    def _begin(self, begun: Message, body: bytes, *, more: bool) -> None:
        status, headers = begun["status"], list(begun.get("headers", ()))
        given = dict(headers)
        if b"connection" in given or b"transfer-encoding" in given:  # both are the server's to say
            self.keep_alive = self.keep_alive and b"close" not in given.get(b"connection", b"").lower()
            headers = [header for header in headers if header[0] not in (b"connection", b"transfer-encoding")]
        self._silent = self.target.method == "HEAD" or status in _BODILESS
        framing = b""
        if b"content-length" in given:
            self._left = None if self._silent else int(given[b"content-length"])
        elif not (more or status in _BODILESS):
            framing, self._left = b"content-length: %d\r\n" % len(body), None if self._silent else len(body)
        elif not self._silent and self.head.version == "1.0":
            self.keep_alive = False  # the end of the connection is the end of the body
        elif not self._silent:
            framing, self._chunked = b"transfer-encoding: chunked\r\n", True
        head = self._head(status, headers, framing)
        framed = b"" if self._silent else self._framed(body)
        self._started = True
        self._write(head, framed)

    def _framed(self, body: bytes) -> bytes:
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("the body of the response is longer than its content-length")
        return body

    def _end(self) -> None:
        if self._left:
            raise RuntimeError("the body of the response is shorter than its content-length")
        if self._chunked:
            self._connection.transport.write(b"0\r\n\r\n")
        self.complete = True
        self._release()
        self._connection.finish(self)

    def _head(self, status: int, headers: Headers, framing: bytes) -> bytes:
        lines = [b"%b: %b\r\n" % header for header in headers]
        text = b"".join(lines)
        # Each line ends once: a line break in a value would smuggle in another header, or another response.
        if text.count(b"\n") != len(lines) or text.count(b"\r") != len(lines):
            raise RuntimeError("a header of the response has a line break in it")
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        return b"".join((_STATUS_LINES[status], self._connection.default_headers(), text, framing, end))

    def _write(self, head: bytes, body: bytes) -> None:
        transport = self._connection.transport
        if len(body) <= _JOINED:
            transport.write(head + body)
        else:
            transport.writelines((head, body))

    def _release(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
