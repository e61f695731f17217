"""What may be wrong with the head of a request, beyond what the parser finds (RFC 9112, sections 3.2 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palate.serving._http.limits import HttpLimits
from palate.serving._http.refusals import UNKNOWN_VERSION, Refusal

__all__ = [
    "LONGEST_URL",
    "chunk_overhead",
    "head_size",
    "objection_to",
    "size_objection",
    "unfinished_objection",
    "without_upgrade",
]

LONGEST_URL = 8192  # bytes; RFC 9110 asks for 8000 at least
_CHUNK_COST, _CHUNK_ALLOWANCE = 16, 16 << 10  # bytes around each chunk of a body, and besides
# Two of these and two readers see two messages.
_ONCE = (b"host", b"content-length", b"transfer-encoding", b"content-encoding", b"content-type")
_LINE = 4  # bytes of a header line that are neither name nor value

Headers = Sequence[tuple[bytes, bytes]]


def head_size(headers: Headers) -> int:
    """Return about how many bytes headers had on the wire."""
    return sum(len(name) + len(value) + _LINE for name, value in headers)


def chunk_overhead(chunks: int) -> int:
    """Return how many bytes a body in that many chunks may have around its data."""
    return _CHUNK_ALLOWANCE + _CHUNK_COST * chunks


def objection_to(headers: Headers, fields: Mapping[bytes, bytes], version: str, limits: HttpLimits) -> Refusal | None:
    """Return what is wrong with a head that is complete, or None; *fields* are the headers by name."""
    if version not in ("1.0", "1.1"):
        return UNKNOWN_VERSION
    if objection := size_objection(headers, limits):
        return objection
    if len(headers) != len(fields):
        names = [name for name, _ in headers]
        if any(names.count(name) > 1 for name in _ONCE):
            return Refusal(400, "A header that says what the message is came twice. Hint: send it once.")
    return _host_objection(fields.get(b"host"), version, limits) or _framing_objection(fields, version)


def size_objection(headers: Headers, limits: HttpLimits) -> Refusal | None:
    """Return what is wrong with headers, or trailers, that are too many or too long."""
    fits = len(headers) <= limits.max_headers and head_size(headers) <= limits.max_header_bytes
    return None if fits else _headers_too_large(limits)


def unfinished_objection(url: bytes, size: int, limits: HttpLimits) -> Refusal | None:
    """Return what is wrong with a head of which *size* bytes have come and more will."""
    if len(url) > LONGEST_URL:
        return Refusal(414, "The URL is too long. Hint: send data in the body.")
    return _headers_too_large(limits) if size - len(url) > limits.max_header_bytes else None


def without_upgrade(method: bytes, url: bytes, headers: Headers) -> bytes:
    """Return the head of a request again, without its wish for another protocol."""
    lines = [b"%b %b HTTP/1.1" % (method, url)]
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() != b"upgrade"]
            value = b",".join(kept)
        if name != b"upgrade":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join((*lines, b"", b""))


def _headers_too_large(limits: HttpLimits) -> Refusal:
    told = f"The headers are more than {limits.max_headers:,}, or longer than {limits.max_header_bytes:,} bytes."
    return Refusal(431, told + " Hint: send data in the body.")


def _host_objection(host: bytes | None, version: str, limits: HttpLimits) -> Refusal | None:
    if host is not None:
        return None if host in limits.hosts else limits.hosts.objection(host)
    if version == "1.0":  # which had no such header
        return None
    return Refusal(400, "There is no Host header. Hint: send the name the address has.")


def _framing_objection(fields: Mapping[bytes, bytes], version: str) -> Refusal | None:
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        return None
    if b"content-length" in fields or version == "1.0":
        told = "Transfer-Encoding beside Content-Length, or in HTTP/1.0, leaves it open where the request ends."
        return Refusal(400, told + " Hint: send one of them.")
    if coding.lower() != b"chunked":
        return Refusal(501, "The Transfer-Encoding is not known here. Hint: chunked is.")
    return None
