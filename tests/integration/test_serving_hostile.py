"""Hostile clients: each gets a refusal in JSON and nothing else, and the next client gets its answer."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import echo_server
import pytest
from live_server import LiveServer, live_server
from raw_http import RawConnection, connect, post

SCRIPT = Path(echo_server.__file__)
ONE_MEBIBYTE = 1 << 20
SHORT = ("header_timeout=0.6", "body_timeout=0.6", "write_timeout=0.6", "keep_alive_timeout=1.5", "max_body_bytes=1MiB")
GET = b"GET /asgi/echo HTTP/1.1\r\nHost: localhost\r\n"
# What an attacker wants to have read as a request of somebody else.
SMUGGLED = b"GET /asgi/facts HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def chunks(*lines: bytes) -> bytes:
    """Return a request whose body is in chunks, as given."""
    return post("/asgi/echo", b"\r\n".join(lines), CHUNKED, length=None)


# By their number in the catalogue of hostile requests: what is sent, and the statuses that are an answer to it.
REFUSED: dict[str, tuple[bytes, set[int]]] = {
    "H32-length": (post("/asgi/echo", b"{}", length=str(ONE_MEBIBYTE + 1)), {413}),
    "H32-expected": (post("/asgi/echo", b"", "Expect: 100-continue", length=str(ONE_MEBIBYTE + 1)), {413}),
    "H32-chunked": (chunks(b"fffff", b"x" * 0xFFFFF, b"fffff", b"x" * 0xFFFFF, b"0", b"", b""), {413}),
    "H33": (post("/asgi/echo", b"{}", length="-1"), {400}),
    "H34": (post("/asgi/echo", b"{}", length="abc"), {400}),
    "H34-plus": (post("/asgi/echo", b"{}", length="+2"), {400}),
    "H34-list": (post("/asgi/echo", b"{}", length="2, 2"), {400}),
    "H34-hex": (post("/asgi/echo", b"{}", length="0x2"), {400}),
    "H35": (post("/asgi/echo", b"{}", length=str(10**18)), {413}),
    "H35-overflow": (post("/asgi/echo", b"{}", length=str(2**64 + 2)), {400, 413}),
    "H37-different": (post("/asgi/echo", b"{}", "Content-Length: 5"), {400}),
    "H37-same": (post("/asgi/echo", b"{}", "Content-Length: 2"), {400}),
    "H38": (post("/asgi/echo", b"0\r\n\r\n", CHUNKED), {400}),
    "H38-reversed": (post("/asgi/echo", b"0\r\n\r\n", CHUNKED, "Content-Length: 5", length=None), {400}),
    "H38-http/1.0": (post("/asgi/echo", b"0\r\n\r\n", CHUNKED, length=None, version="1.0"), {400}),
    "H38-twice": (post("/asgi/echo", b"0\r\n\r\n", CHUNKED, CHUNKED, length=None), {400}),
    "H38-gzip": (post("/asgi/echo", b"0\r\n\r\n", "Transfer-Encoding: gzip, chunked", length=None), {400, 501}),
    "H38-identity": (post("/asgi/echo", b"{}", "Transfer-Encoding: identity", length=None), {400, 501}),
    "H38-chunked-twice": (
        post("/asgi/echo", b"0\r\n\r\n", "Transfer-Encoding: chunked, chunked", length=None),
        {400, 501},
    ),
    "H38-tab": (post("/asgi/echo", b"0\r\n\r\n", "Transfer-Encoding:\x0bchunked", length=None), {400, 501}),
    "H38-space": (post("/asgi/echo", b"0\r\n\r\n", "Transfer-Encoding : chunked", length=None), {400}),
    "H39": (chunks(b"ZZ", b"{}", b"0", b"", b""), {400}),
    "H39-minus": (chunks(b"-1", b"{}", b"0", b"", b""), {400}),
    "H39-overflow": (chunks(b"f" * 17, b"{}", b"0", b"", b""), {400}),
    "H39-size-lies": (chunks(b"1", b"{}", b"0", b"", b""), {400}),
    "H39-line-feed": (post("/asgi/echo", b"2\n{}\r\n0\r\n\r\n", CHUNKED, length=None), {400}),
    "H40": (chunks(b"2;" + b"a" * 100_000, b"{}", b"0", b"", b""), {400}),
    "H40-many": (chunks(*[b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"x"] * 4000, b"0", b"", b""), {400}),
    "H40-trailers": (chunks(b"2", b"{}", b"0", *[b"X-A: 1234567890"] * 3000, b"", b""), {400, 431}),
    "H41": (post("/asgi/echo", b"{}", "X-A: " + "a" * 100_000), {431}),
    "H41-unfinished": (GET + b"X-A: " + b"a" * 600_000, {431}),
    "H42": (post("/asgi/echo", b"{}", *[f"X-{number}: 1" for number in range(2000)]), {431}),
    "H43": (post("/asgi/echo", b"{}", "X-A: 1", "  folded"), {400}),
    "H43-first": (b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", {400}),
    "H44": (post("/asgi/echo", b"{}", "X-A: a\x00b"), {400}),
    "H44-control": (post("/asgi/echo", b"{}", "X-A: a\x01b"), {400}),
    "H44-carriage-return": (post("/asgi/echo", b"{}", "X-A: a\rb"), {400}),
    "H44-name": (post("/asgi/echo", b"{}", "X(A): b"), {400}),
    "H44-no-name": (post("/asgi/echo", b"{}", ": b"), {400}),
    "H44-line-feed": (GET + b"X-A: b\nX-B: c\r\n\r\n", {400}),
    "H45": (post("/asgi/echo", b"{}", host=None), {400}),
    "H45-twice": (post("/asgi/echo", b"{}", "Host: localhost"), {400}),
    "H45-empty": (post("/asgi/echo", b"{}", host=""), {400}),
    "H46": (post("/asgi/echo", b"{}", host="attacker.example"), {421}),
    "H46-suffix": (post("/asgi/echo", b"{}", host="localhost.attacker.example"), {421}),
    "H46-number": (post("/asgi/echo", b"{}", host="192.0.2.7:8080"), {421}),
    "H46-user": (post("/asgi/echo", b"{}", host="localhost@attacker.example"), {400}),
    "H46-list": (post("/asgi/echo", b"{}", host="localhost, attacker.example"), {400}),
    "H46-target": (post("http://attacker.example/asgi/echo", b"{}"), {421}),
    "H46-encoding twice": (
        post("/asgi/echo", b"{}", "Content-Encoding: gzip", "Content-Encoding: identity"),
        {400},
    ),
    "H47": (post("/asgi/echo", b"{}", version="9.9"), {400, 505}),
    "H47-2.0": (post("/asgi/echo", b"{}", version="2.0"), {400, 505}),
    "H47-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "H47-0.9": (b"GET /\r\n", {400}),
    "H48": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"A" * 200 + b"\r\n\r\n", {400}),
    "H49": (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {414}),
    "H49-unfinished": (b"GET /" + b"a" * 600_000, {414}),
    "H51": (post("/asgi/echo", b"{}", method="BREW"), {501}),
    "H51-lower": (post("/asgi/echo", b"{}", method="get"), {400, 501}),
    "connect": (b"CONNECT attacker.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 501}),
    "proxy": (b"GET attacker.example HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "websocket": (
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
        {501},
    ),
    "expectation": (post("/asgi/echo", b"{}", "Expect: miracles"), {417}),
    "garbage": (b"\x00\xff\xfe\r\n\r\n", {400}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server with short deadlines."""
    with live_server(sys.executable, SCRIPT, *SHORT, ready="/asgi/facts") as running:
        yield running


@pytest.fixture
def line(server: LiveServer) -> Iterator[RawConnection]:
    """A connection to it; another one gets its answers afterwards, and nothing was said on stderr of this one."""
    before = server.errors()
    with connect(server.host, server.port) as connection:
        yield connection
    assert server.request("POST", "/asgi/echo", b"good").body == b"good"
    assert server.errors() == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_no_request_is_the_last_thing_read(name: str, line: RawConnection) -> None:
    """It is refused in JSON, the connection ends, and what follows it is not parsed (H73)."""
    sent, statuses = REFUSED[name]
    line.send(sent + SMUGGLED)
    reply = line.reply()
    assert reply.status in statuses, reply
    assert reply.problem()["detail"].endswith(".")
    assert b"Traceback" not in reply.body
    assert reply.header("connection") == "close"
    assert line.rest() == b""


@pytest.mark.parametrize("name", ["H37-different", "H38", "H39", "H43", "H44", "H46", "H49"])
def test_bytes_one_by_one_are_refused_as_well(name: str, line: RawConnection) -> None:
    """The parser's callbacks get a request in any pieces; only the answer counts."""
    sent, statuses = REFUSED[name]
    for start in range(min(len(sent), 400)):
        line.send(sent[start : start + 1])
    line.send(sent[400:])
    assert line.reply().status in statuses
    assert line.rest() == b""


def test_a_refusal_shows_nothing_of_the_request(server: LiveServer) -> None:
    """No text of a request comes back, so that nothing can be planted in a log or a page."""
    for name, (sent, _) in REFUSED.items():
        with connect(server.host, server.port) as connection:
            connection.send(sent)
            assert b"attacker" not in connection.reply().body, name


def test_refusals_are_told_to_the_application(server: LiveServer) -> None:
    """Which counts them: nothing else would know of a request that never reached it."""
    before = server.request("GET", "/asgi/facts").body
    with connect(server.host, server.port) as connection:
        connection.send(REFUSED["H39"][0])
        connection.reply()
    assert _refusals(server.request("GET", "/asgi/facts").body) == _refusals(before) + 1


def _refusals(facts: bytes) -> int:
    found = re.search(rb"400: (\d+)", facts)
    return int(found[1]) if found else 0


def test_slow_headers_end_at_the_deadline(line: RawConnection) -> None:
    """A client that sends a byte now and then is told 408 when the deadline is over (H54)."""
    began = time.monotonic()
    trickle = threading.Thread(target=line.send, args=[bytes([byte]) for byte in GET[:9]], kwargs={"pause": 0.1})
    trickle.start()
    reply = line.reply()
    lasted = time.monotonic() - began
    trickle.join()
    assert (reply.status, reply.problem()["title"]) == (408, "Request Timeout")
    assert 0.5 < lasted < 1.5


@pytest.mark.parametrize("sent", [post("/asgi/echo", b"{", length="1000"), chunks(b"2", b"{}", b"")])
def test_a_slow_body_ends_at_the_deadline(sent: bytes, line: RawConnection) -> None:
    """A body shorter than it said is waited for until the deadline, then 408 and the end (H36, H55)."""
    began = time.monotonic()
    line.send(sent)
    assert line.reply().status == 408
    assert 0.5 < time.monotonic() - began < 1.5
    assert line.rest() == b""


def test_a_client_that_does_not_read_is_dropped(server: LiveServer) -> None:
    """An answer that nobody takes holds its memory until the write deadline, no longer (H56)."""
    with connect(server.host, server.port, buffer=4096) as connection:
        connection.send(GET.replace(b"/asgi/echo", b"/asgi/pour?1000") + b"\r\n")
        time.sleep(1.2)
        taken = connection.rest()
    assert 0 < len(taken) < 64 << 20
    assert not taken.endswith(b"0\r\n\r\n")
    assert server.request("POST", "/asgi/echo", b"good").body == b"good"


def test_a_client_that_reads_slowly_gets_all_of_it(server: LiveServer) -> None:
    """The write deadline is for clients that take nothing, not for a long answer on a thin line."""
    with connect(server.host, server.port, buffer=65536) as connection:
        connection.send(GET.replace(b"/asgi/echo", b"/asgi/big?4000000") + b"Connection: close\r\n\r\n")
        taken = 0
        while piece := connection.raw.recv(200_000):
            taken += len(piece)
            time.sleep(0.03)
    assert taken > 4_000_000


def test_idle_connections_end_and_block_nobody(server: LiveServer) -> None:
    """Two hundred of them do not keep a request from its answer, and are closed in the end (H57)."""
    with connect(server.host, server.port) as used, ExitStack() as opened:
        used.send(post("/asgi/echo", b"1"))
        assert used.reply().body == b"1"
        idle = [opened.enter_context(connect(server.host, server.port)) for _ in range(200)]
        assert server.request("POST", "/asgi/echo", b"good").body == b"good"
        assert used.closes_within(4.0) > 0.8
        assert all(one.closes_within(4.0) < 4.0 for one in idle)


def test_a_client_that_is_gone_is_noticed(server: LiveServer) -> None:
    """The application hears of it while it works, by ASGI and on a hot route (H58)."""
    before = int(server.request("GET", "/asgi/facts").body.split()[2])
    for path in (b"/asgi/wait", b"/direct/slow"):
        with connect(server.host, server.port) as connection:
            connection.send(GET.replace(b"/asgi/echo", path) + b"\r\n")
            time.sleep(0.1)
    time.sleep(0.6)
    assert int(server.request("GET", "/asgi/facts").body.split()[2]) == before + 2


def test_more_connections_than_there_may_be_are_told_so() -> None:
    """The one that was idle longest makes room; if all are busy it is 503 at once, and a free place is taken again."""
    with live_server(sys.executable, SCRIPT, "max_connections=3", ready="/asgi/facts") as server, ExitStack() as opened:
        lines = [opened.enter_context(connect(server.host, server.port)) for _ in range(3)]
        for line in lines:
            line.send(post("/asgi/echo", b"1"))
            assert line.reply().status == 200
        lines[0].send(post("/asgi/slow?0.8"))
        lines[1].send(post("/asgi/slow?0.8"))
        time.sleep(0.1)
        fourth = opened.enter_context(connect(server.host, server.port))
        assert lines[2].closes_within(1.0) < 1.0
        fourth.send(post("/asgi/slow?0.8"))
        time.sleep(0.1)
        refused = opened.enter_context(connect(server.host, server.port)).reply()
        assert (refused.status, refused.problem()["title"]) == (503, "Service Unavailable")
        assert refused.header("retry-after") == "1"
        assert [line.reply().body for line in (lines[0], lines[1], fourth)] == [b"slow"] * 3
        assert server.request("POST", "/asgi/echo", b"again").body == b"again"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/asgi/raise", "LookupError"),
        ("/direct/raise", "LookupError"),
        ("/asgi/break", "line break"),
        ("/asgi/silent", "without an answer"),
        ("/none/such", None),
    ],
)
def test_what_the_application_does_wrong_stays_in_the_log(path: str, told: str | None, server: LiveServer) -> None:
    """The client gets 500 with nothing of the cause in it; stderr has it."""
    reply = server.request("GET", path)
    assert not any(word in reply.body for word in (b"secret", b"Traceback", b"never sent"))
    assert "set-cookie" not in reply.headers
    assert reply.status == (404 if told is None else 500)
    assert (told or "") in server.errors()


def test_an_answer_that_is_shorter_than_it_said_ends_the_connection(server: LiveServer) -> None:
    """The client sees that something is missing; it would wait for the rest otherwise."""
    with connect(server.host, server.port) as connection:
        connection.send(GET.replace(b"/asgi/echo", b"/asgi/short") + b"\r\n")
        assert connection.rest().endswith(b"four")
