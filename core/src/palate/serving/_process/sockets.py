"""The sockets a server listens on. They are bound before a model is loaded, so that a taken port is known at once."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
from collections.abc import Sequence

from palate.serving.errors import ServingError
from palate.serving.settings import ServingSettings

__all__ = [
    "AddressUnavailable",
    "address_of",
    "bind_again",
    "bind_sockets",
    "bind_workers",
    "close_sockets",
    "hold_standard_files",
    "raise_file_limit",
    "start_listening",
]

_HINTS = {
    errno.EADDRINUSE: "choose another port, or 0 for any that is free",
    errno.EACCES: "ports below 1024, and some folders, are the administrator's",
    errno.EADDRNOTAVAIL: "listen at an address of this machine",
}
_BACKLOG = 2048  # uvicorn's; the system has its own limit
_SPARE_FILES = 256  # beside those of the connections: libraries, model files, logs


class AddressUnavailable(ServingError, OSError):
    """The server cannot listen at its address."""

    def __init__(self, address: str, *, reason: str, hint: str = "") -> None:
        self.address, self.reason = address, reason
        super().__init__(f"Cannot listen at {address}: {reason}." + (f" Hint: {hint}." if hint else ""))

    @classmethod
    def of(cls, where: Sequence[socket.socket] | str, exc: OSError) -> AddressUnavailable:
        """Return the error for what the system said."""
        shown = where if isinstance(where, str) else ", ".join(map(address_of, where))
        reason = exc.strerror or type(exc).__name__
        return cls(shown, reason=reason.lower(), hint=_HINTS.get(exc.errno or 0, ""))


def bind_sockets(settings: ServingSettings) -> list[socket.socket]:
    """Bind what the settings say; nothing is accepted before a server listens on it.

    Raises:
        AddressUnavailable: the address is taken, not known, or not this machine's.
    """
    return bind_workers(settings, 1)[0]


def bind_workers(settings: ServingSettings, count: int) -> list[list[socket.socket]]:
    """Bind for several workers: each has sockets of its own at one port, and the system spreads connections over them.

    Of a socket that they share, the one who is awake takes a burst of connections alone. A socket file is shared.

    Raises:
        AddressUnavailable: see ``bind_sockets``.
    """
    if settings.uds is not None:
        return [[_bind_file(settings.uds)]] * count
    shown = _shown(settings.host, settings.port)
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as exc:
        raise AddressUnavailable(shown, reason=f"the host is not known ({exc.strerror})") from exc
    addresses = list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
    bound: list[list[socket.socket]] = [[] for _ in range(count)]
    port, dual = settings.port, settings.host == "::"
    try:
        for family, host in addresses:
            # Who shares a port shares it with another server of the same user too; whether there is one shows before.
            with _bind(family, host, port, dual=dual) as probe:
                port = probe.getsockname()[1]
            for sockets in bound:
                sockets.append(_bind(family, host, port, dual=dual, shared=count > 1))
    except OSError as exc:
        close_sockets(bound)
        raise AddressUnavailable.of(shown, exc) from exc
    return bound


def bind_again(living: Sequence[socket.socket]) -> list[socket.socket]:
    """Return sockets at the addresses of those of another worker, for one whose own were closed.

    Raises:
        AddressUnavailable: see ``bind_sockets``.
    """
    made: list[socket.socket] = []
    try:
        for one in living:
            host, port, *_ = one.getsockname()
            dual = one.family == socket.AF_INET6 and not one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            made.append(_bind(one.family, host, port, dual=dual, shared=True))
    except OSError as exc:
        close_sockets([made])
        raise AddressUnavailable.of(living, exc) from exc
    return made


def close_sockets(bound: Sequence[Sequence[socket.socket]]) -> None:
    """Close the sockets of workers."""
    for sockets in bound:
        for one in sockets:
            one.close()


def start_listening(bound: Sequence[socket.socket]) -> None:
    """Let connections wait for a process that accepts them. Raises AddressUnavailable: somebody else listens there."""
    try:
        for one in bound:
            one.listen(_BACKLOG)
    except OSError as exc:
        raise AddressUnavailable.of(bound, exc) from exc


def address_of(bound: socket.socket) -> str:
    """Return where a socket is reached: ``http://host:port`` or ``unix:path``."""
    name = bound.getsockname()
    return f"unix:{name}" if isinstance(name, str) else f"http://{_shown(*name[:2])}"


def hold_standard_files() -> None:
    """Open what of the standard input, output and error was closed, on nothing; before any socket is opened.

    A socket would get that number otherwise, and the logs would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # of free numbers it gets the lowest


def raise_file_limit(connections: int) -> None:
    """Let this process have that many connections, as far as the administrator allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bind(family: int, host: str, port: int, *, dual: bool, shared: bool = False) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # The wildcard means every address, IPv4 too, whatever the machine's default; any other only itself.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def _bind_file(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_abandoned(path)
        made.bind(path)
    except OSError as exc:
        made.close()
        raise AddressUnavailable.of(f"unix:{path}", exc) from exc
    made.setblocking(False)
    return made


def _remove_abandoned(path: str) -> None:
    """Remove the socket of a server that was killed: nobody answers there."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
