"""A request means the same however the network cuts it, and whatever was read before it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from palate.serving._http.exchange import Exchange
from palate.serving._http.limits import AllowedHosts
from palate.serving._http.protocol import HttpProtocol
from palate.serving._http.site import HttpSite
from palate.serving._process.server import limits_of
from palate.serving.settings import ServingSettings

HOST = b"Host: localhost\r\n"
WHOLE = [
    b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nbody",
    b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\n\r\n\r\n",
    b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nX: y\r\n\r\n",
    b"GET /c HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /d HTTP/1.0\r\n\r\n",
    b"GET /e HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"POST /f HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"POST /g HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
    b"POST /h HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\nX: y\r\n\r\n",
    b"POST /i HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"POST /j HTTP/1.1\r\nHost: attacker.example\r\nContent-Length: 0\r\n\r\n",
    b"BREW / HTTP/1.1\r\n\r\n",
]
NOISE = [b"\r\n", b"\n", b" ", b"\0", b":", b"0", b"\r", b"\r\n\r\n", b"\x80", b"", b"Content-Length: 1\r\n", b";"]


class Wire:
    """What was written, and whether the connection is to end."""

    def __init__(self) -> None:
        self.written, self.ending = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.ending = True

    def close(self) -> None:
        self.ending = True

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> None:
        return None


class Server:
    """The part of uvicorn's server that a connection sees."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.tasks: set[Any] = set()
        self.default_headers: list[tuple[bytes, bytes]] = []
        self.total_requests = 0
        self.loaded_app = None


class Everywhere(dict[tuple[str, str], Any]):
    """A handler for each path, which tells what it was asked."""

    def get(self, key: Any, default: Any = None) -> Any:
        return tell


def tell(exchange: Exchange) -> None:
    """Answer with the request."""
    exchange.respond(200, (), b"%b %b" % (exchange.target.raw_path, exchange.body))


def answers(site: HttpSite, pieces: Sequence[bytes]) -> tuple[bytes, bool]:
    """Return what is answered to a connection that brings these pieces; why it refuses is left out."""

    async def receive() -> tuple[bytes, bool]:
        server, wire = Server(), Wire()
        connection = HttpProtocol(server, server, {}, asyncio.get_running_loop(), site=site)  # type: ignore[arg-type]
        connection.connection_made(wire)  # type: ignore[arg-type]
        for piece in pieces:
            connection.data_received(piece)
        connection.connection_lost(None)
        return re.sub(rb"HTTP/1\.1 [45].*", b"refused", wire.written, flags=re.DOTALL), wire.ending

    return asyncio.run(receive())


def new_site() -> HttpSite:
    """Return a site that has read nothing yet."""
    return HttpSite(limits_of(ServingSettings(), lambda _: None), Everywhere())


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A few requests in a row, with something put in or cut out here and there."""
    sent = b"".join(draw(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(sent)))
        sent = sent[:start] + draw(st.sampled_from(NOISE)) + sent[start + draw(st.integers(0, 4)) :]
    return sent


@settings(max_examples=150, deadline=None)
@given(sent=mutants(), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_a_request_means_the_same_in_any_pieces(sent: bytes, cuts: list[int]) -> None:
    """Read at once, again with its head remembered, cut anywhere, and byte by byte."""
    site = new_site()
    ends = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [sent[start:end] for start, end in itertools.pairwise(ends) if start < end]
    wanted = answers(site, [sent])
    assert answers(site, [sent]) == wanted
    assert answers(site, pieces) == wanted
    assert answers(new_site(), [sent[at : at + 1] for at in range(len(sent))]) == wanted


def test_heads_and_hosts_are_remembered_within_bounds() -> None:
    """A client that says something else each time fills no memory."""
    site = new_site()
    for number in range(3000):
        request = b"GET /%d HTTP/1.1\r\nHost: localhost:%d\r\nX: %d\r\n\r\n" % (number, number, number)
        assert answers(site, [request])[0].startswith(b"HTTP/1.1 200")
    assert 0 < len(site.heads) <= 512
    answers(site, [b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 3000 + b"\r\n\r\n"])
    assert max(map(len, site.heads)) <= 2048


def test_a_head_is_remembered_for_its_own_length_only() -> None:
    """And never for a request that ends the connection, or whose framing is not a length."""
    site = new_site()
    for sent in WHOLE:
        answers(site, [sent])
    assert sorted(head.target.path for head in site.heads.values()) == ["/a", "/b", "/c"]


def test_requests_and_connections_leave_nothing_to_collect() -> None:
    """What refers to itself would have to be found by the garbage collector, which costs all requests time."""
    site = new_site()
    answers(site, WHOLE[:2])
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            answers(site, WHOLE[:4])
        # By type(): what other libraries left may run code of its own when it is asked for its class.
        assert not [one for one in gc.get_objects() if type(one) in (Exchange, HttpProtocol)]
    finally:
        gc.enable()


def test_any_host_may_be_allowed() -> None:
    """None is any name that is one; numbers are any address."""
    anyone, numbers = AllowedHosts(None), AllowedHosts(("localhost",), numbers=True)
    assert anyone.objection(b"example.org:80") is None
    assert anyone.objection(b"two, names") is not None
    assert [numbers.objection(host) is None for host in (b"192.0.2.7", b"[2001:db8::1]:1", b"example.org")] == [
        True,
        True,
        False,
    ]
