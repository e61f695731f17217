"""Minutes of mixed load: whether memory stays flat and every answer is right, with faults all the while.

Three kinds of clients share the client's core: good ones send every form of body and compare the predictions with the
model's own; wrong ones send what has to be refused, and a good body after it on the same connection; faulty ones break
off, dawdle or send noise. Among the wrong bodies are rows that fit the signature and that the model itself cannot take,
so that they are joined with good ones and have to be told apart from them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from _serving_bodies import BODIES, Body, make_body, read_answer
from _serving_models import Served, rows_of
from _serving_processes import Running, memory_of
from _tables import Table

__all__ = ["Soak", "soak"]

# Of the memory after warming up, how much more there may be at the end.
FLAT = 0.05
GOOD, WRONG, FAULTY = 12, 3, 3  # clients
SAMPLE = 2.0  # seconds between two looks at the memory
WARM_UP = 0.2  # of the whole time
PATIENCE = 30.0  # seconds for an answer
_FOR_COLUMNS = ("split", "records", "csv", "arrow", "v2 binary columns")
_FOR_TENSOR = ("inputs", "v2 binary", "npy")
_ROWS = (1, 1, 1, 1, 7, 100)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True, kw_only=True)
class Soak:
    """What was seen.

    Attributes:
        right: good answers to good bodies, by form.
        refused: answers to wrong bodies, by status.
        faults: faults done to the server, by kind.
        mistakes: each thing that should not have been; the first few.
        mistaken: how many of them.
        memory: seconds and resident bytes.
    """

    right: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    mistaken: int = 0
    memory: list[tuple[float, int]] = field(default_factory=list)

    def mistake(self, told: str) -> None:
        """Write down what should not have been."""
        self.mistaken += 1
        if len(self.mistakes) < 20:
            self.mistakes.append(told)

    def growth(self) -> float:
        """Return how much more memory there is in the last tenth of the time than just after warming up."""
        whole = self.memory[-1][0]

        def between(start: float, end: float) -> float:
            return statistics.median(size for second, size in self.memory if start * whole <= second <= end * whole)

        return between(0.9, 1.0) / between(WARM_UP, WARM_UP + 0.1) - 1

    def table(self, name: str) -> Table:
        """Return it in words, under the name of what was asked."""
        first, last = self.memory[0][1], self.memory[-1][1]
        answered = sum(self.right.values())
        rows = [
            ["minutes", f"{self.memory[-1][0] / 60:.1f}"],
            ["right answers", f"{answered:,} ({', '.join(f'{name} {n:,}' for name, n in self.right.items())})"],
            ["wrong bodies refused", ", ".join(f"{status}: {n:,}" for status, n in sorted(self.refused.items()))],
            ["faults", ", ".join(f"{name} {n:,}" for name, n in self.faults.items())],
            [f"mistakes (goal: none: {'no' if self.mistaken else 'yes'})", str(self.mistaken)],
            ["RSS MiB at first, at last", f"{first / 2**20:.1f}, {last / 2**20:.1f}"],
            [f"growth (goal ≤ {FLAT:.0%}: {'yes' if self.growth() <= FLAT else 'no'})", f"{self.growth():+.2%}"],
            *(["mistake", told] for told in self.mistakes),
        ]
        return Table(f"Soak: {name}", ["", ""], rows)


def soak(running: Running, served: Served, minutes: float, *, columns: bool) -> Soak:
    """Ask a server of the model with columns, or of its twin with a tensor, for so long."""
    return asyncio.run(_soak(running, served, minutes * 60, _FOR_COLUMNS if columns else _FOR_TENSOR))


async def _soak(running: Running, served: Served, seconds: float, forms: Sequence[str]) -> Soak:
    seen, started = Soak(), time.monotonic()
    good = [
        (form, make_body(form, rows), served.predict(rows).tolist())
        for form in forms
        for rows in (rows_of(count) for count in _ROWS)
    ]
    wrong = list(_wrong_bodies(forms[0]))
    until = started + seconds
    port, chances = running.port, map(random.Random, itertools.count())
    clients: list[Coroutine[Any, Any, None]] = [_good(port, next(chances), seen, good, until) for _ in range(GOOD)]
    clients += [_wrong(port, next(chances), seen, wrong, good, until) for _ in range(WRONG)]
    clients += [_faulty(port, next(chances), seen, good, until) for _ in range(FAULTY)]
    tasks = [asyncio.create_task(client) for client in clients]
    while time.monotonic() < until:
        seen.memory.append((time.monotonic() - started, memory_of(running.process.pid)[0]))
        await asyncio.sleep(min(SAMPLE, seconds / 100))
    await asyncio.gather(*tasks)
    seen.memory.append((time.monotonic() - started, memory_of(running.process.pid)[0]))
    return seen


# -- clients -----------------------------------------------------------------------------------------------------------

# A form, a body, and the predictions; a name, a body, and the statuses that may answer it.
Good = Sequence[tuple[str, Body, Sequence[Any]]]
Wrong = Sequence[tuple[str, Body, range]]


async def _good(port: int, chance: random.Random, seen: Soak, good: Good, until: float) -> None:
    while time.monotonic() < until:
        streams = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(chance.randint(1, 200)):
                await _ask_well(streams, seen, chance.choice(good))
        except (OSError, EOFError) as exc:
            seen.mistake(f"a good client lost its connection: {exc!r}")
        finally:
            streams[1].close()


async def _ask_well(streams: Streams, seen: Soak, asked: tuple[str, Body, Sequence[Any]]) -> None:
    form, body, expected = asked
    status, headers, content = await _ask(streams, body)
    if status != 200:
        seen.mistake(f"{form}: {status} {content[:200]!r}")
    elif read_answer(content, headers) != expected:
        seen.mistake(f"{form}: other predictions")
    else:
        seen.right[form] += 1


async def _wrong(port: int, chance: random.Random, seen: Soak, wrong: Wrong, good: Good, until: float) -> None:
    while time.monotonic() < until:
        streams = await asyncio.open_connection("127.0.0.1", port)
        try:
            name, body, statuses = chance.choice(wrong)
            status, headers, content = await _ask(streams, body)
            seen.refused[status] += 1
            if status not in statuses or b"Traceback" in content:
                seen.mistake(f"{name}: {status} {content[:200]!r}")
            if headers.get("connection") != "close":
                await _ask_well(streams, seen, chance.choice(good))
        except (OSError, EOFError) as exc:
            seen.mistake(f"{name}: lost its connection: {exc!r}")
        finally:
            streams[1].close()
        await asyncio.sleep(0.001)


async def _faulty(port: int, chance: random.Random, seen: Soak, good: Good, until: float) -> None:
    while time.monotonic() < until:
        name = chance.choice(list(_FAULTS))
        seen.faults[name] += 1
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in _FAULTS[name](_request(chance.choice(good)[1]), chance):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(chance.random() * 0.02)
        except OSError:  # the server has hung up, as it may
            pass
        finally:
            writer.transport.abort()
        await asyncio.sleep(0.005)


async def _ask(streams: Streams, body: Body) -> tuple[int, dict[str, str], bytes]:
    reader, writer = streams
    writer.write(_request(body))
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        content = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, content


def _request(body: Body) -> bytes:
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(body.content)), **body.headers}
    lines = [f"POST {body.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body.content


# -- what is wrong -----------------------------------------------------------------------------------------------------

_CLIENT, _MODEL = range(400, 500), range(400, 501)


def _wrong_bodies(form: str) -> Iterator[tuple[str, Body, range]]:
    """Yield a name, a body, and the statuses that may answer it."""
    rows = rows_of(3)
    good = make_body(form, rows)
    for name, content in (
        ("nothing", b""),
        ("cut", good.content[: len(good.content) // 2]),
        ("followed by more", good.content + b" {}"),
        ("a bare NaN", good.content.replace(b"[[", b"[[NaN,", 1)),
        ("a column too many", good.content.replace(b"[[", b"[[1.5,", 1)),
        ("text for a number", good.content.replace(b"[[", b'[["1",', 1)),
        ("deep", b"[" * 100_000),
        ("no UTF-8", b'{"\xff": 1}'),
    ):
        yield name, Body(path=good.path, content=content), _CLIENT
    yield "another type", Body(path=good.path, content=good.content, headers={"Content-Type": "image/png"}), _CLIENT
    yield "another path", Body(path="/nothing/here", content=good.content), _CLIENT
    # Linear models take no NaN, and one may come as a number of a binary form.
    rows[1, 2] = float("nan")
    yield "NaN", make_body("arrow" if form == "split" else "npy", rows), _MODEL


def _cut(request: bytes, chance: random.Random) -> Iterator[bytes]:
    yield request[: chance.randrange(len(request))]


def _dawdle(request: bytes, chance: random.Random) -> Iterator[bytes]:
    del chance
    for start in range(0, min(400, len(request)), 20):
        yield request[start : start + 20]


def _leave(request: bytes, chance: random.Random) -> Iterator[bytes]:
    del chance
    yield request


def _noise(request: bytes, chance: random.Random) -> Iterator[bytes]:
    yield chance.randbytes(min(len(request), 2000))


def _connect_only(request: bytes, chance: random.Random) -> Iterator[bytes]:
    del request, chance
    yield b""


# By name, what is written before the connection is broken off.
_FAULTS: dict[str, Callable[[bytes, random.Random], Iterator[bytes]]] = {
    "cut": _cut,
    "dawdle": _dawdle,
    "leave before the answer": _leave,
    "noise": _noise,
    "connect only": _connect_only,
}
assert set(_FOR_COLUMNS) | set(_FOR_TENSOR) <= set(BODIES)
