"""What the server answers to requests that never reach the application: problem documents of RFC 9457.

No text shows anything of the request.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

import httptools

from palate.serving._json import dump_json
from palate.serving._problems import PROBLEM_TYPE, problem_document

__all__ = ["UNKNOWN_METHOD", "UNKNOWN_VERSION", "Refusal", "refusal_of"]

_METHOD = re.compile(rb"[A-Za-z-]+ ")
_TLS_HELLO = b"\x16\x03"


class Refusal(NamedTuple):
    """Why a connection ends here.

    Attributes:
        status: the HTTP status.
        detail: a sentence for the client, with a hint.
    """

    status: int
    detail: str

    def body(self) -> bytes:
        """Return the problem document."""
        return dump_json(problem_document(self.status, self.detail))

    def response(self, defaults: bytes = b"") -> bytes:
        """Return the whole response, after which the connection closes; *defaults* are header lines."""
        body = self.body()
        return b"".join(
            (
                b"HTTP/1.1 %d %b\r\n" % (self.status, HTTPStatus(self.status).phrase.encode()),
                defaults,
                b"retry-after: 1\r\n" if self.status == HTTPStatus.SERVICE_UNAVAILABLE else b"",
                b"content-type: %b\r\ncontent-length: %d\r\n" % (PROBLEM_TYPE, len(body)),
                b"connection: close\r\n\r\n",
                body,
            )
        )


UNKNOWN_METHOD = Refusal(501, "The request's method is not known here. Hint: GET and POST are.")
UNKNOWN_VERSION = Refusal(505, "The HTTP version is not spoken here. Hint: HTTP/1.1 is.")


def refusal_of(error: httptools.HttpParserError, data: bytes) -> Refusal:
    """Return what to answer when the parser gave up on a request; *data* is its beginning, if that is known."""
    if data.startswith(_TLS_HELLO):
        return Refusal(400, "This port speaks plain HTTP. Hint: the address begins with http://, not https://.")
    if isinstance(error, httptools.HttpParserInvalidMethodError) and _METHOD.match(data):
        return UNKNOWN_METHOD
    reason = str(error)
    if "version" in reason.lower():
        return UNKNOWN_VERSION
    # The parser's own sentence says which rule was broken, without the bytes.
    told = reason.strip(" .") or "the parser gave up"
    return Refusal(400, f"The request is not well-formed HTTP: {told}. Hint: nothing after it was read.")
