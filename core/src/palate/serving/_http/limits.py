"""What the server takes from a connection, and which hosts it answers for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from palate.serving._http.refusals import Refusal

__all__ = ["AllowedHosts", "HttpLimits"]

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_REMEMBERED = 256  # values of the Host header that were found good


class AllowedHosts:
    """The hosts a request may name: against DNS rebinding, by which a page makes a browser talk to this server.

    A page can bring any name to resolve to this address, but not a number: a server that is bound to every address
    answers for each of them.
    """

    def __init__(self, names: Collection[str] | None, *, numbers: bool = False) -> None:
        """Allow *names*, in lower case and without ports; None is any. With *numbers*, any address besides."""
        self._names = None if names is None else frozenset(name.encode() for name in names)
        self._numbers = numbers
        self._good: set[bytes] = set()

    def __contains__(self, value: object) -> bool:
        """Whether the value of a Host header was found good before; asked for every request."""
        return value in self._good

    def objection(self, value: bytes) -> Refusal | None:
        """Return what is wrong with the value of a Host header; what is good is remembered."""
        found = _HOST.fullmatch(value)
        if found is None:
            return Refusal(400, "The Host header is not a host. Hint: send the name the address has.")
        name = found[1].lower()
        if not (self._names is None or name in self._names or (self._numbers and _is_number(name))):
            return Refusal(
                421,
                "The server does not answer for this Host. Hint: add the host to the setting allowed_hosts.",
            )
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good.add(value)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What a connection may take. Times are seconds.

    Attributes:
        hosts: the hosts a request may name.
        max_body_bytes: of a request's body as it is sent.
        max_header_bytes: of all header lines of a request together.
        max_headers: of a request.
        max_connections: open at once in this process.
        header_timeout: from a request's first byte until its headers are complete.
        body_timeout: from then until its body is complete.
        write_timeout: during which a client takes nothing of an answer that waits for it.
        keep_alive_timeout: between requests, and before the first.
        on_refusal: told of each request that is refused before the application sees it.
    """

    hosts: AllowedHosts
    max_body_bytes: int
    max_header_bytes: int
    max_headers: int
    max_connections: int
    header_timeout: float
    body_timeout: float
    write_timeout: float
    keep_alive_timeout: float
    on_refusal: Callable[[Refusal], None]


def _is_number(name: bytes) -> bool:
    try:
        ipaddress.ip_address(name.decode().strip("[]"))
    except ValueError:
        return False
    return True
