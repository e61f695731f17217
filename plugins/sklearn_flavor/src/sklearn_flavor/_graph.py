"""The objects inside a model, and where each of them hangs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Place", "walk"]


@dataclass(frozen=True, slots=True)
class Place:
    """An object of the model and the way to it.

    Attributes:
        step: how the parent holds it: ".steps", "[0]", "['tree']".
    """

    value: Any
    step: str = ""
    parent: Place | None = None

    @property
    def path(self) -> str:
        """Return the way from the model, written as Python would: ``Pipeline.steps[0][1].func``."""
        steps: list[str] = []
        place: Place | None = self
        while place is not None:
            steps.append(place.step or type(place.value).__name__)
            place = place.parent
        return "".join(reversed(steps))


def walk(model: object) -> Iterator[Place]:
    """Yield every object reachable from *model* once, parents first; scalars and numeric arrays have no children."""
    seen: set[int] = set()
    stack = [Place(model)]
    while stack:
        place = stack.pop()
        if id(place.value) in seen:
            continue
        seen.add(id(place.value))
        yield place
        # Reversed, so that places come in the order in which a reader of the model would list them.
        stack.extend(Place(value, step, place) for step, value in reversed(list(_children(place.value))))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"[{key!r:.60}]", item
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif isinstance(value, functools.partial):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif type(value).__name__ == "ndarray" and value.dtype == object:
        for index, item in enumerate(value.ravel()):
            yield f"[{index}]", item
    for name, item in getattr(value, "__dict__", {}).items() if not callable(value) or _is_instance(value) else ():
        yield f".{name}", item
    if hasattr(value, "__self__") and not isinstance(value.__self__, type):
        yield ".__self__", value.__self__


def _is_instance(value: object) -> bool:
    """Whether *value* is an object with attributes of its own, and not a function or a class."""
    return not isinstance(value, type) and not hasattr(value, "__code__") and not hasattr(value, "__qualname__")
