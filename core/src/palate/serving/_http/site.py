"""What all connections of a process share: limits, deadlines, known request lines, the lines of each response."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import httptools

from palate.serving._http.exchange import DirectHandler, Head, Target
from palate.serving._http.limits import HttpLimits
from palate.serving._http.sweep import Sweep

__all__ = ["HttpSite"]

_REMEMBERED = 256  # request lines; those of clients who ask for the same thing again, which are all that count
_LONGEST = 512  # bytes of one that is remembered
_HEADS, _LONGEST_HEAD = 512, 2048  # as many whole heads, and their bytes


class HttpSite:
    """The server's side of its connections.

    Attributes:
        limits: what a connection may take.
        sweep: looks after the deadlines.
        heads: of requests that were good, by their bytes: each is good again as long as its body has that length.
    """

    __slots__ = ("_direct", "_headers", "_lines", "_targets", "heads", "limits", "sweep")

    def __init__(self, limits: HttpLimits, direct: Mapping[tuple[str, str], DirectHandler]) -> None:
        """Serve within *limits*; *direct* has the handlers of hot routes by method and path."""
        self.limits = limits
        self.sweep = Sweep(limits)
        self._direct = direct
        self.heads: dict[bytes, Head] = {}
        self._targets: dict[tuple[bytes, bytes], Target] = {}
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def target(self, method: bytes, url: bytes) -> Target:
        """Return what a request line asks for. Raises HttpParserError for what is no URL."""
        found = self._targets.get((method, url))
        return found if found is not None else self._parse(method, url)

    def remember(self, key: bytes, head: Head) -> None:
        """Know a head again by its bytes."""
        if len(key) <= _LONGEST_HEAD:
            if len(self.heads) >= _HEADS:
                self.heads.clear()
            self.heads[key] = head

    def header_lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return *headers* as lines; uvicorn makes a new list of them once a second, with the date."""
        if headers is not self._headers:
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._headers = headers
        return self._lines

    def _parse(self, method: bytes, url: bytes) -> Target:
        parsed = httptools.parse_url(url)
        raw = parsed.path or b"/"
        name, path = method.decode("ascii"), urllib.parse.unquote(raw.decode("ascii"))
        target = Target(name, path, raw, parsed.query or b"", self._direct.get((name, path)))
        if len(url) <= _LONGEST:
            if len(self._targets) >= _REMEMBERED:
                self._targets.clear()
            self._targets[method, url] = target
        return target
