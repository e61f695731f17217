"""HTTP as well-behaved clients speak it, in each way an application answers: bare ASGI, Starlette, hot routes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import echo_server
import pytest
from live_server import LiveServer, live_server
from raw_http import RawConnection, connect, post

SCRIPT = Path(echo_server.__file__)
ECHOES = ["/asgi/echo", "/direct/echo", "/starlette/echo"]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server with the default limits."""
    with live_server(sys.executable, SCRIPT, ready="/asgi/facts") as running:
        yield running


@pytest.fixture
def line(server: LiveServer) -> Iterator[RawConnection]:
    """A connection to it."""
    with connect(server.host, server.port) as connection:
        yield connection


def get(path: str, *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    """Return a request without a body."""
    return post(path, b"", *headers, method=method, version=version, length=None, kind=None)


def in_chunks(path: str, *pieces: bytes) -> bytes:
    """Return a request with its body in chunks, an extension and a trailer."""
    sent = b"".join(b"%x;note=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return post(path, sent + b"0\r\nX-Trailer: 1\r\n\r\n", "Transfer-Encoding: chunked", length=None)


@pytest.mark.parametrize("path", ECHOES)
def test_a_connection_serves_one_request_after_another(path: str, line: RawConnection) -> None:
    """Bodies of any size, with a length and in chunks, come back whole, on one connection."""
    for body in (b"", b"1", b"x" * 70_000, bytes(range(256)) * 20_000):
        line.send(post(path, body))
        assert line.reply().body == body
        line.send(in_chunks(path, body or b"y", b"z"))
        assert line.reply().body == (body or b"y") + b"z"


@pytest.mark.parametrize("path", ECHOES)
def test_a_request_may_come_in_any_pieces(path: str, line: RawConnection) -> None:
    """Byte by byte it is the same request."""
    for sent in (post(path, b"body", "X-Long: " + "v" * 50), in_chunks(path, b"bo", b"dy")):
        for byte in sent:
            line.send(bytes([byte]))
        assert line.reply().body == b"body"


@pytest.mark.parametrize("path", ECHOES)
def test_a_head_that_was_read_before_is_good_for_any_body_of_its_length(path: str, line: RawConnection) -> None:
    """It is known again by its bytes, and the body still comes in any pieces, and other requests behind it."""
    sent = post(path, b"one\r\n\r\n", "X-Once: only in this test")
    other = sent.replace(b"one", b"two")
    for request, body in ((sent, b"one\r\n\r\n"), (sent, b"one\r\n\r\n"), (other, b"two\r\n\r\n")):
        line.send(request)
        assert line.reply().body == body
    for cut in range(1, len(sent), 7):
        mixed = sent[:cut] + other[cut:]
        line.send(mixed[:cut], mixed[cut:] + sent + post(path, b"last"), pause=0.005)
        assert [line.reply().body for _ in range(3)] == [mixed[-7:], b"one\r\n\r\n", b"last"]
    line.send(sent + b"BREW / HTTP/1.1\r\n\r\n")
    assert [line.reply().status, line.reply().status] == [200, 400]


@pytest.mark.parametrize("path", ECHOES)
def test_requests_sent_ahead_are_answered_in_order(path: str, line: RawConnection) -> None:
    """However long the first one takes, and whatever stands behind them."""
    bodies = [b"%d" % number for number in range(200)]
    line.send(get("/asgi/slow?0.2") + b"".join(post(path, body) for body in bodies) + b"BREW / HTTP/1.1\r\n\r\n")
    assert line.reply().body == b"slow"
    assert [line.reply().body for _ in bodies] == bodies
    assert line.reply().status == 400
    assert line.rest() == b""


def test_too_many_requests_sent_ahead_are_refused(line: RawConnection) -> None:
    """Those that wait are answered; the rest is not kept in memory for a client that reads no answers."""
    line.send(get("/asgi/slow?0.2") + post("/asgi/echo", b"1") * 1000)
    replies = [line.reply() for _ in range(258)]
    assert [reply.status for reply in replies] == [200] * 257 + [503]
    assert line.rest() == b""


@pytest.mark.parametrize(("how", "status"), [("close", 200), ("keep-alive, Close", 200)])
def test_a_client_may_end_the_connection_with_its_request(how: str, status: int, line: RawConnection) -> None:
    """The answer says so too, and what follows is not read."""
    line.send(get("/asgi/echo", f"Connection: {how}") + get("/asgi/facts"))
    reply = line.reply()
    assert (reply.status, reply.header("connection")) == (status, "close")
    assert line.rest() == b""


@pytest.mark.parametrize("path", ["/asgi/echo", "/direct/echo", "/starlette/echo"])
def test_head_has_the_headers_and_no_body(path: str, line: RawConnection) -> None:
    """And the connection goes on."""
    line.send(get(path, method="HEAD") + post("/asgi/echo", b"next"))
    assert line.reply(head=True).header("content-length") is not None
    assert line.reply().body == b"next"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_no_framing_for_one(status: int, line: RawConnection) -> None:
    """RFC 9110 forbids it for 204, and nothing follows that a client would take for the next answer."""
    line.send(get(f"/asgi/empty?{status}") + post("/asgi/echo", b"next"))
    reply = line.reply()
    assert (reply.status, reply.header("content-length"), reply.header("transfer-encoding")) == (status, None, None)
    assert line.reply().body == b"next"


def test_a_stream_comes_piece_by_piece(server: LiveServer, line: RawConnection) -> None:
    """In chunks, each when it is sent; in HTTP/1.0, which has none, until the connection ends."""
    wanted = b"".join(b"piece %d\n" % number for number in range(5))
    assert server.request("GET", "/starlette/stream").body == wanted
    line.send(get("/starlette/stream", version="1.0"))
    head, _, body = line.rest().partition(b"\r\n\r\n")
    assert (body, b"transfer-encoding" in head) == (wanted, False)


def test_http_1_0_needs_no_host(line: RawConnection) -> None:
    """It had none; one answer, and the connection ends."""
    line.send(post("/direct/echo", b"old", version="1.0", host=None))
    assert line.reply().body == b"old"
    assert line.rest() == b""


@pytest.mark.parametrize("path", ECHOES)
def test_a_client_that_asks_before_it_sends_is_told_to_go_on(path: str, line: RawConnection) -> None:
    """100 at once, the answer when the body is there."""
    line.send(post(path, b"", "Expect: 100-continue", length="4"))
    assert line.reply().status == 100
    line.send(b"body" + post(path, b"next"))
    assert [line.reply().body, line.reply().body] == [b"body", b"next"]


def test_the_word_to_go_on_waits_for_the_answers_before_it(line: RawConnection) -> None:
    """Otherwise it would be taken for one of them."""
    line.send(get("/asgi/slow?0.2") + post("/asgi/echo", b"", "Expect: 100-continue", length="4"))
    assert line.reply().body == b"slow"
    assert line.reply().status == 100
    line.send(b"body")
    assert line.reply().body == b"body"


@pytest.mark.parametrize("connection", ["Upgrade, HTTP2-Settings", "Upgrade"])
def test_a_wish_for_http_2_is_passed_over(connection: str, line: RawConnection) -> None:
    """Java's client has it with every request; the body is still a body."""
    wish = (f"Connection: {connection}", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    line.send(post("/asgi/echo", b"body", *wish))
    assert line.reply().body == b"body"
    line.send(post("/asgi/echo", b"next", *wish, "X-A: b") + post("/asgi/echo", b"last"))
    assert [line.reply().body, line.reply().body] == [b"next", b"last"]
    for byte in post("/asgi/echo", b"slow", *wish):
        line.send(bytes([byte]))
    assert line.reply().body == b"slow"


def test_the_path_comes_decoded_and_the_query_does_not(line: RawConnection) -> None:
    """Line breaks that were escaped stay escaped (H53), and a full URL, as for a proxy, is its path."""
    line.send(get("/starlette/a%20b?x=%0d%0aset-cookie:%20a=b"))
    reply = line.reply()
    assert (reply.status, reply.header("x-query")) == (200, "x=%0d%0aset-cookie:%20a=b")
    line.send(get("http://localhost/asgi/empty?201"))
    assert line.reply().status == 201
    line.send(get("/../../etc/passwd") + get("/asgi/../direct/none"))
    assert [line.reply().status, line.reply().status] == [404, 404]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]", "[::1]:8080"])
def test_local_names_are_answered(host: str, line: RawConnection) -> None:
    """With any port: a tunnel's is another one."""
    line.send(post("/asgi/echo", b"1", host=host))
    assert line.reply().status == 200


def test_work_after_the_answer_is_done(server: LiveServer) -> None:
    """Starlette's background tasks run to their end though nothing else refers to them."""
    before = int(server.request("GET", "/asgi/facts").body.split()[2])
    assert server.request("GET", "/starlette/background").body == b"later"
    time.sleep(0.2)
    assert int(server.request("GET", "/asgi/facts").body.split()[2]) == before + 100


def test_every_answer_has_a_date(line: RawConnection) -> None:
    """Refusals too."""
    line.send(get("/asgi/echo") + b"BREW / HTTP/1.1\r\n\r\n")
    assert [line.reply().header("date") is not None for _ in range(2)] == [True, True]
