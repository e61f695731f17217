"""HTTP/1.1 (RFC 9112) for uvicorn's server: its parser is httptools, its limits are ours.

uvicorn's own protocol has no deadlines for headers, bodies and slow readers, no limits on their size, and takes a
message with both Content-Length and Transfer-Encoding. Here a request reaches the application only when all of it has
arrived within the limits, and the first fault of a connection is the last thing that is read of it. There is no timer
per request: one sweep looks at all connections (``_http_sweep``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn, cast

import httptools
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from palate.serving._http_exchange import AsgiApp, Exchange
from palate.serving._http_heads import (
    LONGEST_URL,
    chunk_overhead,
    head_size,
    objection_to,
    size_objection,
    unfinished_objection,
    without_upgrade,
)
from palate.serving._http_refusals import Refusal, refusal_of
from palate.serving._http_site import HttpSite
from palate.serving._http_sweep import BODY, CLOSING, HEAD, IDLE

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["HttpProtocol"]

_SLICE = 1 << 16  # bytes the parser gets at once: limits are held between slices
_PIPELINED = 256  # requests that wait for those before them


class _Refused(Exception):
    """Thrown through the parser by a callback that refuses the request."""


class HttpProtocol(asyncio.Protocol):
    """One connection.

    The application is ASGI. Requests for which the site has a direct handler go to that, as an ``Exchange``, with no
    task, scope or messages between.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        site: HttpSite,
    ) -> None:
        self.app: AsgiApp = config.loaded_app
        self.app_state = app_state
        self.loop = _loop or asyncio.get_running_loop()
        self.server_state = server_state
        self.connections: set[Any] = server_state.connections
        self.tasks = server_state.tasks
        self.site = site
        self.limits = site.limits
        self.hosts = site.limits.hosts
        self.parser = self._new_parser()
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int | None] | None = None
        # What the sweep sees.
        self.phase, self.serial = IDLE, 0
        self.seen, self.seen_at = (0, 0, -1), 0.0
        # What is being answered, and what waits for that.
        self.exchange: Exchange | None = None
        self.pipeline: deque[Exchange | Refusal] = deque()
        self.advancing = self.draining = self.reading_paused = False
        self.writable: asyncio.Future[None] | None = None
        # What is being read.
        self.refusal: Refusal | None = None
        self.downgraded: bytes | None = None
        self.continue_due = False
        self.span = 0
        self.chunks = 0
        self._reset()

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # What follows a request with "Connection: close" is passed over; without this it would be a fault.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _reset(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.fields: dict[bytes, bytes] = {}
        self.trailed: list[tuple[bytes, bytes]] | None = None
        self.body = b""
        self.parts: list[bytes] | None = None
        self.size = 0

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's, which is one in all but its bases
        self.client, self.server = get_remote_addr(self.transport), get_local_addr(self.transport)
        full = len(self.connections) >= self.limits.max_connections
        self.connections.add(self)
        self.site.sweep.watch(self.connections, self.loop)
        if full:
            self._refuse(Refusal(503, "overloaded", "The server has as many connections as it takes. Hint: try again."))

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what is still being answered hears of it."""
        del exc
        self.connections.discard(self)
        self.phase = CLOSING
        self.pipeline.clear()
        self._wake_writers()
        if self.exchange is not None:
            self.exchange.disconnect()
        del self.parser  # it refers to this connection

    def data_received(self, data: bytes) -> None:
        """Read on, unless a fault was found before."""
        if len(data) <= _SLICE:
            self._read(data)
        else:
            for start in range(0, len(data), _SLICE):
                self._read(data[start : start + _SLICE])

    def _read(self, data: bytes) -> None:
        if self.phase == CLOSING:
            return
        began = self.serial
        self.span += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._pass_over_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(self.refusal or refusal_of(error, data))
        else:
            if self.phase == IDLE:
                self.span = 0
            elif self.phase != CLOSING:
                self._check_unfinished(began)

    def eof_received(self) -> None:
        """Let the transport close: a client that has gone half way is taken for gone."""

    def pause_writing(self) -> None:
        """Wait for the client to take what was written, and read nothing more from it before that."""
        self.writable = self.loop.create_future()
        self._pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._wake_writers()
        self._resume_reading()

    def shutdown(self) -> None:
        """Close when what was begun is answered; uvicorn calls it when the server stops."""
        self.draining = True
        if self.exchange is not None:
            self.exchange.keep_alive = False
        elif self.phase == IDLE:
            self._hang_up()

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._reset()
        self.phase = HEAD
        self.serial += 1

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        self.url = self.url + url if self.url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Refuse the request before its body comes, or go on to that."""
        headers, limits = self.headers, self.limits
        self.fields = fields = dict(headers)
        self.version = version = self.parser.get_http_version()
        if (
            len(fields) != len(headers)
            or fields.get(b"host") not in self.hosts
            or version != "1.1"
            or b"transfer-encoding" in fields
            or b"upgrade" in fields
            or self.span > limits.max_header_bytes
            or len(headers) > limits.max_headers
        ):
            self._inspect()
            if self.downgraded is not None:
                return
        length = fields.get(b"content-length")
        if length is not None and int(length) > limits.max_body_bytes:
            self._refuse_body()
        if len(self.url) > LONGEST_URL and (objection := unfinished_objection(self.url, 0, limits)):
            self._throw(objection)
        try:
            self.target = self.site.target(self.parser.get_method(), self.url)
        except httptools.HttpParserError:
            self._throw(Refusal(400, "malformed", "The request's target is not a path. Hint: it begins with a slash."))
        self.phase = BODY
        if b"expect" in fields:
            self._expect(fields[b"expect"])

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self.size += len(body)
        if self.size > self.limits.max_body_bytes:
            self._refuse_body()
        if not self.body:
            self.body = body
        elif self.parts is None:
            self.parts = [self.body, body]
        else:
            self.parts.append(body)

    def on_chunk_header(self) -> None:
        """Count the chunks of a body."""
        self.chunks += 1

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for those before it."""
        if self.downgraded is not None:
            return
        body = self.body if self.parts is None else b"".join(self.parts)
        headers = self.headers
        if self.trailed is not None:
            if objection := size_objection(self.headers, self.limits):
                self._throw(objection)
            headers = self.trailed  # trailers are for nobody here
        keep_alive = self.version == "1.1" and self.parser.should_keep_alive() and not self.draining
        exchange = Exchange(self, self.target, headers, self.fields, body, self.version, keep_alive)
        self.phase = IDLE
        self.continue_due = False
        if self.exchange is None:
            self._start(exchange)
        elif len(self.pipeline) < _PIPELINED:
            self.pipeline.append(exchange)
            self._pause_reading()
        else:
            self._throw(Refusal(503, "overloaded", "Too many requests were sent ahead. Hint: read answers in between."))

    # Answers

    def default_headers(self) -> bytes:
        """Return the header lines that every response has."""
        return self.site.header_lines(self.server_state.default_headers)

    def finish(self, exchange: Exchange) -> None:
        """Go on to what comes after an answer that is complete."""
        self.server_state.total_requests += 1
        self.exchange = None
        self.serial += 1
        if not exchange.keep_alive:
            self._hang_up()
        elif self.pipeline and not self.advancing:
            self._advance()
        elif self.continue_due:
            self._continue()

    def busy(self) -> bool:
        """Return whether an answer is being made."""
        return self.exchange is not None

    def expire(self, phase: int) -> None:
        """End what has taken too long."""
        if phase == HEAD:
            self._refuse(
                Refusal(408, "timeout", "The request's headers did not arrive in time. Hint: send them at once.")
            )
        elif phase == BODY:
            self._refuse(Refusal(408, "timeout", "The request's body did not arrive in time. Hint: send it at once."))
        elif phase == CLOSING:
            self.transport.abort()
        else:
            self._hang_up()

    def _start(self, exchange: Exchange) -> None:
        self.exchange = exchange
        direct = exchange.target.direct
        if direct is None:
            exchange.start(self.app, self.loop)
            return
        try:
            direct(exchange)
        except Exception as exc:
            exchange.fail(exc)

    def _advance(self) -> None:
        """Answer what waits, in a loop: handlers that answer at once would make a recursion of it."""
        self.advancing = True
        while self.pipeline and self.exchange is None and not self.transport.is_closing():
            waiting = self.pipeline.popleft()
            if isinstance(waiting, Refusal):
                self._say(waiting)
            else:
                waiting.keep_alive = waiting.keep_alive and not self.draining
                self._start(waiting)
        self.advancing = False
        if not self.pipeline:
            self._resume_reading()

    def _hang_up(self) -> None:
        self.phase = CLOSING
        self.transport.close()

    # Faults

    def _throw(self, refusal: Refusal) -> NoReturn:
        self.refusal = refusal
        raise _Refused

    def _refuse_body(self) -> NoReturn:
        told = f"The body is longer than {self.limits.max_body_bytes:,} bytes. Hint: send fewer rows at once."
        self._throw(Refusal(413, "too_large", told))

    def _refuse(self, refusal: Refusal) -> None:
        """Read nothing more, and say why when it is this request's turn."""
        self.phase = CLOSING
        self.limits.on_refusal(refusal)
        if self.exchange is None:
            self._say(refusal)
        else:
            self.pipeline.append(refusal)
            self._resume_reading()

    def _say(self, refusal: Refusal) -> None:
        self.transport.write(refusal.response(self.default_headers()))
        # Closing at once would reset the connection, and the client, still sending, would never read the answer.
        self.transport.write_eof()
        self._resume_reading()

    def _inspect(self) -> None:
        """Look at a head that has something unusual about it."""
        if b"upgrade" in self.fields and self.parser.should_upgrade():
            if self.fields[b"upgrade"].lower() == b"websocket":
                self._throw(Refusal(501, "unsupported", "There are no WebSockets here. Hint: send a POST request."))
            self.downgraded = without_upgrade(self.parser.get_method(), self.url, self.headers)
            return
        if refusal := objection_to(self.headers, self.fields, self.version, self.limits):
            self._throw(refusal)
        if b"transfer-encoding" in self.fields:
            self.trailed, self.headers = self.headers, []
            self.chunks = 0
            self.span -= len(self.url) + head_size(self.trailed)

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Read the request again without its wish for another protocol, which RFC 9110 allows to ignore.

        The parser takes it for granted, and would take the body for that protocol. Java's client wishes for HTTP/2
        with each request.
        """
        head, self.downgraded = self.downgraded, None
        if head is None:
            self._refuse(Refusal(501, "unsupported", "The request's method is not known here. Hint: GET and POST are."))
            return
        self.parser = self._new_parser()
        self.span = 0
        self._read(head + rest)

    def _check_unfinished(self, began: int) -> None:
        """Refuse a request that takes too much to tell, while it is still coming."""
        if self.serial > began + 1 or (self.serial == began + 1 and self.exchange is not None):
            self.span = 0  # the piece began with other requests; how much of it was theirs is not known
        elif self.phase == HEAD:
            if objection := unfinished_objection(self.url, self.span, self.limits):
                self._refuse(objection)
        elif self.trailed is not None and self.span - self.size > chunk_overhead(self.chunks):
            self._refuse(Refusal(400, "malformed", "The chunks have too much around them. Hint: send no extensions."))

    def _expect(self, value: bytes) -> None:
        if value.lower() != b"100-continue":
            self._throw(Refusal(417, "unsupported", "The Expect header has a wish that is not known here."))
        if self.exchange is None:
            self._continue()
        else:
            self.continue_due = True

    def _continue(self) -> None:
        self.continue_due = False
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Flow

    def _pause_reading(self) -> None:
        if not self.reading_paused and not self.transport.is_closing():
            self.reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        wanted = self.phase == CLOSING or not (self.pipeline or self.writable)
        if self.reading_paused and wanted and not self.transport.is_closing():
            self.reading_paused = False
            self.transport.resume_reading()

    def _wake_writers(self) -> None:
        if self.writable is not None:
            self.writable.set_result(None)
            self.writable = None
