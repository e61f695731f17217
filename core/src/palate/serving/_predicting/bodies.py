"""The body of a request: whole within limits, and decompressed within them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from palate.serving.errors import BodyTooLarge, BodyTooSlow, MalformedBody, UnsupportedContent

__all__ = ["ClientGone", "compress", "inflate", "receive_body"]

# zlib's window bits: 32 more finds out by itself whether it is gzip or zlib.
_ANY_HEADER = 32 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_ENCODINGS = ("gzip", "deflate")
_STEP = 1 << 20
_SLICE = 1 << 12
_MOST_DIGITS = 18  # of a length; Python refuses to read a number of thousands
# Shorter bodies do not get shorter by much.
_WORTH_COMPRESSING = 1 << 10
_WINDOWS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class ClientGone(Exception):
    """The client closed the connection before its request had arrived."""


async def receive_body(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    headers: Mapping[bytes, bytes],
    *,
    limit: int,
    timeout: float,
) -> bytes:
    """Return the body that an ASGI server hands over, as it was sent.

    Raises:
        BodyTooLarge: it has more than *limit* bytes, or says it will.
        BodyTooSlow: it did not arrive within *timeout* seconds.
        ClientGone: nobody is there any more.
    """
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > _MOST_DIGITS or int(declared) > limit:
        raise BodyTooLarge(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise BodyTooLarge(limit)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError as exc:
        raise BodyTooSlow(timeout) from exc


def compress(body: bytes, accepted: bytes | None) -> tuple[bytes, bytes | None]:
    """Return a body compressed, and the encoding, for a client that asks for one and nothing else.

    Those that would take any, as most libraries say unasked, are spared the time: between machines that are near each
    other, compressing takes longer than sending.
    """
    window = _WINDOWS.get(accepted) if accepted is not None and len(body) >= _WORTH_COMPRESSING else None
    if window is None:
        return body, None
    packer = zlib.compressobj(1, wbits=window)
    return packer.compress(body) + packer.flush(), accepted


def inflate(body: bytes, encoding: bytes, *, limit: int) -> bytes:
    """Return a compressed body as it was before, holding never more than *limit* bytes of it and a step.

    Args:
        body: as it was sent.
        encoding: the header Content-Encoding.
        limit: how long the result may be.

    Raises:
        UnsupportedContent: an encoding, or several, that is not read here.
        MalformedBody: the body is not of that encoding.
        BodyTooLarge: the result is longer.
    """
    name = encoding.decode("latin-1").strip().lower().removeprefix("x-")
    if name == "identity":
        return body
    if name not in _ENCODINGS:
        raise UnsupportedContent("Content-Encoding", name, supported=_ENCODINGS)
    try:
        try:
            return _inflate(body, _ANY_HEADER, limit)
        except zlib.error:
            if name == "gzip":
                raise
            return _inflate(body, _RAW, limit)  # "deflate" is zlib's form by the standard, and the bare one by custom
    except zlib.error as exc:
        raise MalformedBody(f"it is not {name}, as its Content-Encoding says") from exc


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    inflater = zlib.decompressobj(window)
    # Slice by slice: what follows a member is copied, and a body may be of nothing but members that hold nothing.
    for begin in range(0, len(body), _SLICE):
        rest = body[begin : begin + _SLICE]
        while rest:
            if inflater.eof:  # a gzip file may have several members
                inflater = zlib.decompressobj(window)
            size = _add(inflater.decompress(rest, _STEP), parts, size, limit)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    while not inflater.eof:  # there may be more in it than it gave at once
        part = inflater.decompress(b"", _STEP)
        if not part and not inflater.eof:
            raise zlib.error("it ends too early")
        size = _add(part, parts, size, limit)
    return b"".join(parts)


def _add(part: bytes, parts: list[bytes], size: int, limit: int) -> int:
    size += len(part)
    if size > limit:
        raise BodyTooLarge(limit, decompressed=True)
    parts.append(part)
    return size
