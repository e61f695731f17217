"""HTTP/1.1 for uvicorn's server, with the limits and deadlines that uvicorn's own protocol has not.

That one waits for headers, bodies and slow readers as long as it takes, has no limits on their size, and takes a
message with both Content-Length and Transfer-Encoding. Here a request reaches the application only when all of it has
arrived within the limits, and the first fault of a connection is the last thing that is read of it. There is no timer
per request: one sweep looks at all connections (``sweep``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from palate.serving._http.exchange import AsgiApp, Exchange, Head
from palate.serving._http.reader import RequestReader
from palate.serving._http.refusals import Refusal
from palate.serving._http.site import HttpSite
from palate.serving._http.sweep import BODY, CLOSING, HEAD, IDLE

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["HttpProtocol"]

_PIPELINED = 256  # requests that wait for those before them


class HttpProtocol(RequestReader, asyncio.Protocol):
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
        super().__init__(site)
        self.app: AsgiApp = config.loaded_app
        self.app_state = app_state
        self.loop = _loop or asyncio.get_running_loop()
        self.server_state = server_state
        self.connections: set[Any] = server_state.connections
        self.tasks = server_state.tasks
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int | None] | None = None
        # What the sweep has seen.
        self.seen, self.seen_at = (0, 0, -1), 0.0
        # What is being answered, and what waits for that.
        self.exchange: Exchange | None = None
        self.pipeline: deque[Exchange | Refusal] = deque()
        self.body_wanted = self.advancing = self.reading_paused = False
        self.writable: asyncio.Future[None] | None = None

    # What uvicorn and the transport call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's, which is one in all but its bases
        self.client, self.server = get_remote_addr(self.transport), get_local_addr(self.transport)
        self.seen_at = self.loop.time()
        full = len(self.connections) >= self.limits.max_connections and not self._make_room()
        self.connections.add(self)
        self.site.sweep.watch(self.connections, self.loop)
        if full:
            self.refuse(Refusal(503, "The server has as many connections as it takes. Hint: try again."))

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest, as nginx does: it is of less use than a new one."""
        idle = [one for one in self.connections if one.phase == IDLE and one.exchange is None]
        if idle:
            min(idle, key=lambda one: one.seen_at)._hang_up()
        return bool(idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what is still being answered hears of it."""
        del exc
        self.connections.discard(self)
        self.stop_reading()
        self.pipeline.clear()
        self._wake_writers()
        if self.exchange is not None:
            self.exchange.disconnect()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self.read(data)

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

    # What the sweep asks and tells

    def busy(self) -> bool:
        """Return whether an answer is being made."""
        return self.exchange is not None

    def expire(self, phase: int) -> None:
        """End what has taken too long."""
        if phase == HEAD:
            self.refuse(Refusal(408, "The headers did not arrive in time. Hint: send them at once."))
        elif phase == BODY:
            self.refuse(Refusal(408, "The body did not arrive in time. Hint: send it at once."))
        elif phase == CLOSING:
            self.transport.abort()
        else:
            self._hang_up()

    # What the reader tells

    def accept(self, head: Head, body: bytes, *, keep_alive: bool) -> None:
        """Answer a request, or let it wait for those before it."""
        self.body_wanted = False
        exchange = Exchange(self, head, body, keep_alive=keep_alive)
        if self.exchange is None:
            self._start(exchange)
        elif len(self.pipeline) < _PIPELINED:
            self.pipeline.append(exchange)
            self._pause_reading()
        else:
            self.throw(Refusal(503, "Too many requests were sent ahead. Hint: read answers in between."))

    def refuse(self, refusal: Refusal) -> None:
        """Read nothing more, and say why when it is this request's turn."""
        self.phase = CLOSING
        self.limits.on_refusal(refusal)
        if self.exchange is None:
            self._say(refusal)
        else:
            self.pipeline.append(refusal)
            self._resume_reading()

    def ask_for_body(self) -> None:
        """Tell a client that waits for it to send the body, once it is this request's turn."""
        self.body_wanted = self.exchange is not None
        if not self.body_wanted:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # What an exchange tells

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
        elif self.body_wanted:
            self.ask_for_body()

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

    def _say(self, refusal: Refusal) -> None:
        self.transport.write(refusal.response(self.default_headers()))
        # Closing at once would reset the connection, and the client, still sending, would never read the answer.
        self.transport.write_eof()
        self._resume_reading()

    def _hang_up(self) -> None:
        self.phase = CLOSING
        self.transport.close()

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
