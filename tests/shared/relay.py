"""HTTP servers in threads: one that answers by a function, and one that hands on to another server, with faults."""

from __future__ import annotations

import http.client
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Answer", "Asked", "Hang", "Site", "broken_off", "relay", "site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back: *body* up to *sent* bytes, and then the connection is closed; None sends nothing at all."""

    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None


class Hang(Exception):
    """Raised by a function that answers: says nothing for a while."""


@dataclass(slots=True, kw_only=True)
class Site:
    """A running server, with what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def methods(self) -> list[str]:
        """Return the methods of the requests, in order."""
        return [one.method for one in self.asked]


def broken_off(answer: Answer, share: float = 0.5) -> Answer:
    """Return an answer that ends too soon."""
    return Answer(status=answer.status, body=answer.body, headers=answer.headers, sent=int(len(answer.body) * share))


@contextmanager
def site(answer: Callable[[Asked], Answer], *, certificate: tuple[Path, Path] | None = None) -> Iterator[Site]:
    """Serve what *answer* returns, on a free port of this machine."""
    open_for_all = Site(url="")

    class Handler(_Handler):
        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(method=self.command, path=self.path, headers=headers, body=self.rfile.read(length))
            open_for_all.asked.append(request)
            try:
                self.send(answer(request))
            except Hang:
                time.sleep(5)
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    server = _Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    open_for_all.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield open_for_all
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def relay(backend: str, change: Callable[[Asked, Callable[[Asked], Answer]], Answer]) -> Callable[[Asked], Answer]:
    """Return what answers for ``site`` as *backend* does; *change* gets each request, and the way to ask with it."""
    host = urlsplit(backend).netloc

    def ask(request: Asked) -> Answer:
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request(request.method, request.path, request.body, request.headers)
            got = connection.getresponse()
            headers = {name: value for name, value in got.getheaders() if name.lower() not in _OUR_OWN}
            if request.method == "HEAD":
                headers["Content-Length"] = got.getheader("content-length") or "0"
            return Answer(status=got.status, headers=headers, body=got.read())
        finally:
            connection.close()

    return lambda request: change(request, ask)


_OUR_OWN = frozenset({"content-length", "connection", "transfer-encoding", "date", "server"})


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients here break off on purpose."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Write no log."""

    def send(self, answer: Answer) -> None:
        """Send it as it is."""
        if answer.status is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in answer.headers}:
            self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(ConnectionError):
            self.wfile.write(answer.body if answer.sent is None else answer.body[: answer.sent])
        if answer.sent is not None:
            self.close_connection = True
