"""Names of requests, by which an answer, a line of the log and an incident find each other."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping

__all__ = ["RequestIds", "accept_id"]

# Without anything that could steer a terminal, break a header or forge a line of a log.
_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestIds:
    """Ids that no other process gives: a random prefix and a count. To be made in the worker, after the fork."""

    __slots__ = ("_count", "_prefix")

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._count = itertools.count(1)

    def next(self) -> str:
        """Return an id that was not given before: 21 characters of letters, digits and a hyphen, or more."""
        return f"{self._prefix}-{next(self._count):08x}"

    def name(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the id of a request: the client's own, where it sent one that is taken, or the next."""
        given = headers.get(b"x-request-id")
        return (accept_id(given) if given is not None else None) or self.next()


def accept_id(value: bytes) -> str | None:
    """Return a client's own id for its request (the header X-Request-ID), or None if it is not taken."""
    return value.decode("ascii") if _ACCEPTED.fullmatch(value) else None
