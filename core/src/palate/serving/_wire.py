"""What a protocol is to the server: bytes become a call of the model, its answer becomes bytes.

An endpoint knows nothing of sockets, queues or other requests, and is called without any of them in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from palate.errors import Problem

__all__ = ["NO_ROWS", "Answer", "Call", "Endpoint", "Failure", "Request"]

NO_ROWS: Final = object()
"""Data without rows, of which nothing can be held against a signature."""


class Request(NamedTuple):
    """A request whose body has arrived whole and decompressed.

    Attributes:
        body: the bytes.
        headers: by lower-case name; of a name that was sent several times, the last.
        query: what stands behind the path's question mark, undecoded.
    """

    body: bytes
    headers: Mapping[bytes, bytes]
    query: bytes = b""


class Call(NamedTuple):
    """What is asked of a model.

    Attributes:
        method: one of the model's methods.
        data: what ``PyFuncModel.call`` takes for it, not yet held against the signature; or NO_ROWS.
        params: values of the signature's params, or None.
        note: what the endpoint needs again to write the answer; the server hands it back untouched.
    """

    method: str
    data: object
    params: Mapping[str, object] | None = None
    note: object = None


class Answer(NamedTuple):
    """A response, but for what the server adds to each (content-length, request id)."""

    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Failure(NamedTuple):
    """Why there is no answer.

    Attributes:
        status: the HTTP status.
        kind: the name of the error's class.
        message: what was wrong and what to do, without the caller's data.
        problems: each thing that did not fit, for bad input.
        request_id: what the server's log calls this request.
    """

    status: int
    kind: str
    message: str
    problems: Sequence[Problem]
    request_id: str


class Endpoint(Protocol):
    """One route that predicts, for one model, in one protocol; stateless and safe to share between threads."""

    def decode(self, request: Request) -> Call:
        """Return what is asked. Raises InvalidInput, or what ``palate.serving.errors`` has for clients."""

    def encode(self, output: object, call: Call) -> Answer:
        """Return the model's answer in the protocol's form. Raises UnsupportedOutput for what has none."""

    def refuse(self, failure: Failure) -> Answer:
        """Return an error in the protocol's form."""
