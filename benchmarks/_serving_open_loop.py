"""Open-loop load: requests leave when they are due, whether or not earlier ones were answered.

Run by _serving_overload.py as a process of its own, on its own core, with one line of JSON: ``port``, ``path``,
``headers``, ``body`` (a file), ``rate`` (requests in a second), ``seconds`` and ``connections`` (at most). The answer
is one line of JSON: by status, the seconds from when each request was due until its answer was whole; how many requests
found no free connection; and how many connections broke.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop

TICK = 0.0005  # seconds between two looks at what is due
PATIENCE = 30.0  # seconds that answers may take after the last request


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, answered: Callable[[Connection, int], None], broken: Callable[[Connection], None]) -> None:
        self._answered, self._broken = answered, broken
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's

    def send(self, request: bytes, due: float) -> None:
        """Write a request that was due at that time."""
        assert self._transport is not None
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Tell of an answer once it is whole; all of them have a content-length."""
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(rest) >= int(length):
            self._received = b""
            self._answered(self, int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it cannot be used any more."""
        del exc
        self._broken(self)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.abort()


class Load:
    """The requests under way, the connections that are free, and what came back."""

    def __init__(self, port: int, request: bytes, most: int) -> None:
        self._port, self._request, self._most = port, request, most
        self._free: list[Connection] = []
        self._open: set[Connection] = set()
        self._under_way = 0
        self.times: dict[int, list[float]] = defaultdict(list)
        self.unsent = self.broken = 0

    async def run(self, rate: float, seconds: float) -> None:
        """Send for so long, then wait for the answers."""
        while len(self._open) < self._most:
            await self._connect()
        started, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) - started < seconds:
            while started + sent / rate <= now:
                self._send(started + sent / rate)
                sent += 1
            await asyncio.sleep(TICK)
        deadline = time.perf_counter() + PATIENCE
        while self._under_way and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._open):
            connection.close()

    def _send(self, due: float) -> None:
        if not self._free:
            self.unsent += 1
            return
        self._under_way += 1
        self._free.pop().send(self._request, due)

    async def _connect(self) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._answered, self._lost), "127.0.0.1", self._port
        )
        self._open.add(connection)
        self._free.append(connection)

    def _answered(self, connection: Connection, status: int) -> None:
        self.times[status].append(time.perf_counter() - connection.due)
        self._under_way -= 1
        self._free.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        else:
            self.broken += 1
            self._under_way -= 1


async def run(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order."""
    body = Path(order["body"]).read_bytes()
    headers = {"Host": f"127.0.0.1:{order['port']}", "Content-Length": str(len(body)), **order["headers"]}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST {order['path']} HTTP/1.1\r\n{head}\r\n".encode() + body
    load = Load(order["port"], request, order["connections"])
    await load.run(order["rate"], order["seconds"])
    return {"times": load.times, "unsent": load.unsent, "broken": load.broken}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.stdin.read())))))
