"""Thirty-two threads that load and ask the models of one family, the first of all in a fresh process.

argv: the family, and the folder that zoo.py saved it in. Prints how many answers were compared.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from zoo import NAMES, Call, answer, as_bytes, calls, load, plain_calls

from palate.testing._threads import at_once

FAMILY, FOLDER = sys.argv[1], Path(sys.argv[2])
_THREADS = 32


def names(number: int) -> str:
    """Return the model that is a thread's."""
    return NAMES[FAMILY][number % len(NAMES[FAMILY])]


def expected(name: str, asked: list[Call]) -> list[bytes]:
    """Return what one thread alone is answered by a model that no other thread has seen."""
    model = load(FOLDER, name)
    return [as_bytes(answer(model, call)) for call in asked]


def load_and_ask_first() -> int:
    """Thirty-two threads load and ask; before them nothing of the framework is imported, nor pandas."""

    def work(number: int) -> list[bytes]:
        model = load(FOLDER, names(number))
        return [as_bytes(answer(model, call)) for call in plain_calls(names(number))]

    answers = at_once(work)
    wanted = {name: expected(name, plain_calls(name)) for name in NAMES[FAMILY]}
    assert answers == [wanted[names(number)] for number in range(_THREADS)]
    return sum(map(len, answers))


def ask_one(name: str) -> int:
    """Thirty-two threads ask one model, which nobody has asked before; each begins with another question."""
    model, asked = load(FOLDER, name), calls(name)
    given = [as_bytes(call.data) if hasattr(call.data, "dtype") else None for call in asked]

    def work(number: int) -> list[bytes]:
        turned = [asked[(number + step) % len(asked)] for step in range(len(asked))]
        found = [as_bytes(answer(model, call)) for call in turned]
        return [found[(step - number) % len(asked)] for step in range(len(asked))]

    answers, wanted = at_once(work), expected(name, asked)
    for number, found in enumerate(answers):
        wrong = [asked[place] for place, one in enumerate(found) if one != wanted[place]]
        assert not wrong, f"{name}, thread {number}: {wrong[:2]}"
    assert given == [as_bytes(call.data) if hasattr(call.data, "dtype") else None for call in asked]
    return len(answers) * len(asked)


def load_while_others_ask(name: str) -> int:
    """Half of the threads load the model anew and ask it, the others ask the one that is there."""
    model, asked = load(FOLDER, name), calls(name)[:3]

    def work(number: int) -> list[bytes]:
        other = load(FOLDER, name) if number % 2 else model
        return [as_bytes(answer(other, call)) for call in asked]

    answers = at_once(work)
    assert answers == [expected(name, asked)] * _THREADS
    return len(answers) * len(asked)


def await_many(name: str) -> int:
    """Thirty-two coroutines await one model."""
    model, asked = load(FOLDER, name), calls(name)

    async def main() -> list[Any]:
        waiting = [asked[number % len(asked)] for number in range(_THREADS)]
        return await asyncio.gather(*(model.acall(c.method, c.data, c.params, output=c.output) for c in waiting))

    wanted = expected(name, asked)
    answers = list(map(as_bytes, asyncio.run(main())))
    assert answers == [wanted[number % len(asked)] for number in range(_THREADS)]
    return len(answers)


def main() -> None:
    """Do all of it."""
    compared = load_and_ask_first()
    for name in NAMES[FAMILY]:
        compared += ask_one(name) + load_while_others_ask(name) + await_many(name)
    print(compared)


if __name__ == "__main__":
    main()
