"""What form a body has, what form the answer shall have, and what a body is once it is whole."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.serving._content import BODY_FORMATS, choose_format, format_of_body
from palate.serving._predicting.bodies import ClientGone, compress, inflate, receive_body
from palate.serving.errors import BodyTooLarge, BodyTooSlow, MalformedBody, NotAcceptable, UnsupportedContent

READABLE = ("json", "csv", "arrow")
PARQUET = ("application/vnd.apache.parquet", "application/x-parquet", "application/parquet")
AVAILABLE = ("json", "arrow", "npy")


@pytest.mark.parametrize(
    ("sent", "form"),
    [
        ("application/json", "json"),
        ("Application/JSON", "json"),
        ("application/json; charset=utf-8", "json"),
        ('application/json; charset="UTF8"', "json"),
        ("text/csv;header=present", "csv"),
        ("application/vnd.apache.arrow.file", "arrow"),
    ],
)
def test_content_types_are_read_as_the_standard_has_them(sent: str, form: str) -> None:
    """Case, blanks, quotes and parameters make no difference to the form."""
    assert format_of_body({b"content-type": sent.encode()}, READABLE) == form


def test_parquet_has_three_names() -> None:
    """That of the registry, and the two that clients used before."""
    assert {format_of_body({b"content-type": sent.encode()}, BODY_FORMATS) for sent in PARQUET} == {"parquet"}


def test_what_needs_pyarrow_is_not_offered_without_it() -> None:
    """A server without it names the forms that it reads and writes, and no other."""
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS\n"
        "print(*BODY_FORMATS, '|', *ANSWER_FORMATS)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "json csv npy | json npy csv"


@pytest.mark.parametrize(
    "sent",
    ["", "json", "text/html", "application/x-npy", "application/json; charset=latin-1", "text/csv, text/csv", "\xff"],
)
def test_other_content_types_are_refused(sent: str) -> None:
    """What is no form of the route, or another charset, is refused with the forms there are."""
    with pytest.raises(UnsupportedContent, match="application/json or text/csv"):
        format_of_body({b"content-type": sent.encode("latin-1")}, READABLE)


def test_a_body_has_to_say_what_it_is() -> None:
    """Nothing is guessed where Content-Type is missing."""
    with pytest.raises(UnsupportedContent, match="there is none"):
        format_of_body({}, READABLE)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("application/x-npy", "npy"),
        ("application/x-npy;q=0.2, application/json;q=0.1", "npy"),
        ("text/html, application/xhtml+xml, */*;q=0.1", "json"),
        ("application/*;q=0.5, application/x-npy", "npy"),
        ("application/json;q=0, application/vnd.apache.arrow.stream", "arrow"),
        ("application/x-npy;q=none, application/json", "json"),
    ],
)
def test_the_preferred_form_is_chosen(accept: str | None, form: str) -> None:
    """Qualities decide, then the order of the forms."""
    headers = {} if accept is None else {b"accept": accept.encode()}
    assert choose_format(headers, AVAILABLE) == form


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "", "*"])
def test_forms_that_there_are_not_are_refused(accept: str) -> None:
    """An Accept header that names no form of the answer is told which there are."""
    with pytest.raises(NotAcceptable, match="application/x-npy"):
        choose_format({b"accept": accept.encode()}, AVAILABLE)


@given(st.binary(max_size=3000), st.sampled_from([b"gzip", b"deflate"]))
def test_what_is_compressed_is_inflated(body: bytes, encoding: bytes) -> None:
    """Any body comes out as it went in; two members of gzip come out one after the other."""
    packed, used = compress(body * 400, encoding)
    if used is not None:
        assert inflate(packed, used, limit=len(body) * 400) == body * 400
    assert inflate(gzip.compress(body) + gzip.compress(b"more"), b"gzip", limit=4000) == body + b"more"


@pytest.mark.parametrize(
    "body",
    [b"plain", gzip.compress(b"x" * 100)[:-4], gzip.compress(b"x") + b"rest", b"\x1f\x8b"],
    ids=["plain", "cut", "more behind", "the beginning alone"],
)
def test_what_is_not_compressed_as_it_says_is_malformed(body: bytes) -> None:
    """Plain bodies, those cut short and those with something behind them are refused."""
    with pytest.raises(MalformedBody, match="gzip"):
        inflate(body, b"gzip", limit=1000)


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"rot13", b"\xff"])
def test_other_encodings_are_not_read(encoding: bytes) -> None:
    """Unknown and nested encodings are refused."""
    with pytest.raises(UnsupportedContent):
        inflate(b"", encoding, limit=10)


def test_inflating_stops_at_the_limit() -> None:
    """A bomb is given up long before it has grown."""
    bomb = zlib.compress(bytes(1 << 28))
    with pytest.raises(BodyTooLarge):
        inflate(bomb, b"deflate", limit=1 << 20)
    assert inflate(zlib.compress(bytes(1 << 20)), b"deflate", limit=1 << 20) == bytes(1 << 20)


def test_members_that_hold_nothing_do_not_cost_the_whole_body_each() -> None:
    """Twice as many members take about twice as long, not four times; what follows them is found."""
    member = gzip.compress(b"", 1)

    def seconds(count: int) -> float:
        begin = time.perf_counter()
        assert inflate(member * count + gzip.compress(b"rest"), b"gzip", limit=10) == b"rest"
        return time.perf_counter() - begin

    assert min(seconds(80_000) for _ in range(3)) < 10 * min(seconds(20_000) for _ in range(3))


Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def parts(*sent: bytes, gone: bool = False, slow: float = 0.0) -> Receive:
    """Return what hands over a body in pieces."""
    left = list(sent)

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(slow)
        if not left:
            return {"type": "http.disconnect"}
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left) or gone}

    return receive


def take(receive: Receive, headers: dict[bytes, bytes] | None = None, *, limit: int = 10, timeout: float = 5) -> bytes:
    """Receive a body."""
    return asyncio.run(receive_body(receive, headers or {}, limit=limit, timeout=timeout))


def test_pieces_are_put_together() -> None:
    """A body is whole, whatever it came in; up to the limit."""
    assert take(parts(b"ab", b"", b"cd")) == b"abcd"
    assert take(parts(b"0123456789")) == b"0123456789"


def test_too_much_too_slow_and_gone() -> None:
    """A body that is too long, by its own word or by count, that does not come, or whose sender left, has its error."""
    with pytest.raises(BodyTooLarge):
        take(parts(b"0123456789", b"x"))
    for declared in (b"11", b"-1", b"abc", b"1" * 5000):
        with pytest.raises(BodyTooLarge):
            take(parts(b""), {b"content-length": declared})
    with pytest.raises(BodyTooSlow):
        take(parts(b"a", b"b", slow=0.2), timeout=0.1)
    with pytest.raises(ClientGone):
        take(parts(b"a", gone=True))
