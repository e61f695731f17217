"""Bytes of a connection become requests within limits, or a refusal (RFC 9112).

The parser is httptools. A head that was read before, byte for byte, is not read again: clients that keep a connection
send the same one with each request, and parsing it costs three times what the rest does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn

import httptools

from palate.serving._http.exchange import Head, Target
from palate.serving._http.heads import (
    LONGEST_URL,
    chunk_overhead,
    head_size,
    objection_to,
    size_objection,
    unfinished_objection,
    without_upgrade,
)
from palate.serving._http.refusals import UNKNOWN_METHOD, Refusal, refusal_of
from palate.serving._http.site import HttpSite
from palate.serving._http.sweep import BODY, CLOSING, HEAD, IDLE

__all__ = ["RequestReader"]

_SLICE = 1 << 16  # bytes the parser gets at once: limits are held between slices
_END = b"\r\n\r\n"


class _Refused(Exception):
    """Thrown through the parser by a callback that refuses the request."""


class RequestReader(ABC):
    """What a connection reads. After the first fault, or the last request, it reads nothing more.

    Attributes:
        phase: what is being read, as the sweep has it.
        serial: how many times something began or ended; the sweep sees by it that time has not stood still.
        draining: no further request is taken on this connection.
    """

    # Of the request that is being read.
    _url: bytes
    _version: str
    _target: Target
    _headers: list[tuple[bytes, bytes]]  # or trailers, once the headers of a body in chunks are put away
    _trailed: list[tuple[bytes, bytes]] | None  # those headers
    _fields: dict[bytes, bytes]
    _body: bytes  # its first piece
    _parts: list[bytes] | None  # all of them, if there are more
    _size: int

    def __init__(self, site: HttpSite) -> None:
        self.site = site
        self.limits = site.limits
        self.hosts = site.limits.hosts
        self.phase, self.serial = IDLE, 0
        self.draining = False
        self._parser = self._new_parser()
        self._refusal: Refusal | None = None
        self._downgraded: bytes | None = None
        self._span = 0  # bytes since the request began
        self._chunks = 0
        self._key: bytes | None = None  # the head that begins what is being parsed
        self._whole = 0  # bytes of what is being parsed
        self._reset()

    @abstractmethod
    def accept(self, head: Head, body: bytes, *, keep_alive: bool) -> None:
        """Answer a request, or let it wait for those before it; may raise through ``throw``."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> None:
        """Read nothing more, and say why."""

    @abstractmethod
    def ask_for_body(self) -> None:
        """Tell a client that waits for it to send the body, once it is this request's turn."""

    def read(self, data: bytes) -> None:
        """Read on, unless a fault was found before."""
        self._key = None
        if self.phase == IDLE:
            end = data.find(_END) + 4
            self._key, self._whole = data[:end], len(data)
            head = self.site.heads.get(self._key)
            if head is not None and head.length == len(data) - end and not self.draining:
                self.serial += 1
                self.accept(head, data[end:], keep_alive=True)
                return
        if len(data) <= _SLICE:
            self._parse(data)
        else:
            for start in range(0, len(data), _SLICE):
                self._parse(data[start : start + _SLICE])

    def throw(self, refusal: Refusal) -> NoReturn:
        """Refuse the request from within one of the parser's callbacks."""
        self._refusal = refusal
        raise _Refused

    def stop_reading(self) -> None:
        """Let go of the parser, which refers to this reader."""
        self.phase = CLOSING
        del self._parser

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._reset()
        self.phase = HEAD
        self.serial += 1

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Refuse the request before its body comes, or go on to that."""
        headers, limits = self._headers, self.limits
        self._fields = fields = dict(headers)
        self._version = version = self._parser.get_http_version()
        if (
            len(fields) != len(headers)
            or fields.get(b"host") not in self.hosts
            or version != "1.1"
            or b"transfer-encoding" in fields
            or b"upgrade" in fields
            or self._span > limits.max_header_bytes
            or len(headers) > limits.max_headers
        ):
            self._inspect()
            if self._downgraded is not None:
                return
        length = fields.get(b"content-length")
        if length is not None and int(length) > limits.max_body_bytes:
            self._refuse_body()
        if len(self._url) > LONGEST_URL and (objection := unfinished_objection(self._url, 0, limits)):
            self.throw(objection)
        try:
            self._target = self.site.target(self._parser.get_method(), self._url)
        except httptools.HttpParserError:
            self.throw(Refusal(400, "The request's target is not a path. Hint: it begins with a slash."))
        # A target may name a host as well, which counts instead of the Host header (RFC 9112, 3.2.2).
        named = None if self._url.startswith(b"/") else httptools.parse_url(self._url).host
        if named and (objection := self.limits.hosts.objection(named)):
            self.throw(objection)
        self.phase = BODY
        if b"expect" in fields:
            self._key = None
            self._expect(fields[b"expect"])

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(body)
        if self._size > self.limits.max_body_bytes:
            self._refuse_body()
        if not self._body:
            self._body = body
        elif self._parts is None:
            self._parts = [self._body, body]
        else:
            self._parts.append(body)

    def on_chunk_header(self) -> None:
        """Count the chunks of a body."""
        self._chunks += 1

    def on_message_complete(self) -> None:
        """Hand the request over."""
        if self._downgraded is not None:
            return
        headers, key = self._headers, self._key
        if self._trailed is not None:
            if objection := size_objection(headers, self.limits):
                self.throw(objection)
            headers, key = self._trailed, None  # trailers are for nobody here
        body = self._body if self._parts is None else b"".join(self._parts)
        keep_alive = self._version == "1.1" and self._parser.should_keep_alive()
        head = Head(self._target, headers, self._fields, self._version, len(body))
        if keep_alive and key is not None and len(key) + len(body) == self._whole:
            self.site.remember(key, head)
        keep_alive = keep_alive and not self.draining
        self.phase = IDLE if keep_alive else CLOSING
        self._span = 0  # what else came with it is not counted: it is a slice at most
        self.accept(head, body, keep_alive=keep_alive)

    # Between them

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # What follows a request with "Connection: close" is passed over; without this it would be a fault.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _reset(self) -> None:
        self._url = self._body = b""
        self._headers = []
        self._trailed = self._parts = None
        self._size = 0

    def _parse(self, data: bytes) -> None:
        if self.phase == CLOSING:
            return
        fresh, began = self.phase == IDLE, self.serial
        self._span += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._pass_over_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            begins = fresh and self.serial <= began + 1
            self.refuse(self._refusal or refusal_of(error, data if begins else b""))
        else:
            if self.phase == IDLE:
                self._span = 0
            elif self.phase != CLOSING:
                self._check_unfinished()

    def _check_unfinished(self) -> None:
        """Refuse a request that takes too much to tell, while it is still coming."""
        if self.phase == HEAD:
            if objection := unfinished_objection(self._url, self._span, self.limits):
                self.refuse(objection)
        elif self._trailed is not None and self._span - self._size > chunk_overhead(self._chunks):
            self.refuse(Refusal(400, "The chunks have too much around them. Hint: send no extensions."))

    def _inspect(self) -> None:
        """Look at a head that has something unusual about it."""
        if b"upgrade" in self._fields and self._parser.should_upgrade():
            if self._fields[b"upgrade"].lower() == b"websocket":
                self.throw(Refusal(501, "There are no WebSockets here. Hint: send a POST request."))
            self._downgraded = without_upgrade(self._parser.get_method(), self._url, self._headers)
            return
        if objection := objection_to(self._headers, self._fields, self._version, self.limits):
            self.throw(objection)
        if b"transfer-encoding" in self._fields:
            self._trailed, self._headers = self._headers, []
            self._chunks = 0
            self._span -= len(self._url) + head_size(self._trailed)

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Read the request again without its wish for another protocol, which RFC 9110 allows to ignore.

        The parser takes it for granted, and would take the body for that protocol. Java's client wishes for HTTP/2
        with each request.
        """
        head, self._downgraded = self._downgraded, None
        if head is None:
            self.refuse(UNKNOWN_METHOD)
            return
        self._parser = self._new_parser()
        self._span = 0
        self._key = None
        self._parse(head + rest)

    def _refuse_body(self) -> NoReturn:
        told = f"The body is longer than {self.limits.max_body_bytes:,} bytes. Hint: send fewer rows at once."
        self.throw(Refusal(413, told))

    def _expect(self, value: bytes) -> None:
        if value.lower() != b"100-continue":
            self.throw(Refusal(417, "The Expect header has a wish that is not known here. Hint: 100-continue is."))
        self.ask_for_body()
