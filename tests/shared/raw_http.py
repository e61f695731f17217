"""HTTP by bytes on a socket, for what no client library would send."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["RawConnection", "RawReply", "connect", "post"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_BODILESS = (204, 304)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReply:
    """An answer as it came; ``head`` ends before the empty line."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        found = re.search(rb"\r\n" + name.encode() + rb": *([^\r]*)", self.head + b"\r\n", re.IGNORECASE)
        return found and found[1].decode()

    def problem(self) -> dict[str, Any]:
        """Return the problem document, having held it against RFC 9457 and this answer's status."""
        assert self.header("content-type") == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        assert {"type", "title", "status", "detail"} <= set(document), self
        assert document["status"] == self.status, self
        return document


class RawConnection:
    """A connection that is told what to send and asked what came."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._rest = b""

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send, with a pause between the pieces; that the other end has closed meanwhile is no error."""
        try:
            for piece in pieces:
                self.raw.sendall(piece)
                time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            return

    def reply(self, *, head: bool = False) -> RawReply:
        """Read one answer with a length, or without a body (*head*: to a HEAD request)."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        start, _, rest = self._rest.partition(b"\r\n\r\n")
        status = int(start.split(b" ", 2)[1])
        found = _LENGTH.search(start + b"\r\n")
        length = 0 if head or status in _BODILESS or status < 200 or found is None else int(found[1])
        self._rest = rest
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return RawReply(status=status, head=start, body=body)

    def rest(self) -> bytes:
        """Read until the other end closes; a reset is taken for that."""
        while True:
            try:
                self._more()
            except EOFError:
                taken, self._rest = self._rest, b""
                return taken

    def closes_within(self, seconds: float) -> float:
        """Return after how many seconds the other end closes, having sent nothing more."""
        began = time.monotonic()
        self.raw.settimeout(seconds)
        assert self.rest() == b""
        return time.monotonic() - began

    def _more(self) -> None:
        try:
            piece = self.raw.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise EOFError(f"closed after {self._rest[:200]!r}")
        self._rest += piece


@contextmanager
def connect(host: str, port: int, *, timeout: float = 10.0, buffer: int | None = None) -> Iterator[RawConnection]:
    """Connect; *buffer* is what the kernel takes in for a client that does not read."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as raw:
        if buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw.settimeout(timeout)
        raw.connect((host, port))
        yield RawConnection(raw)


def post(
    path: str,
    body: bytes = b"",
    *headers: str,
    method: str = "POST",
    version: str = "1.1",
    host: str | None = "localhost",
    length: str | None = "",
    kind: str | None = "application/json",
) -> bytes:
    """Return a request; *length* is the body's own if empty, and None for no such header."""
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"Content-Length: {length or len(body)}"] if length is not None else []
    lines += [f"Content-Type: {kind}"] if kind is not None else []
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body
