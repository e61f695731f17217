"""Random params: every type with every kind of value, unknown and missing ones, keys that are not text."""

from __future__ import annotations

import json
import random
from typing import Any

from differential.pools import ITEMS
from differential.schemas import obj, param

__all__ = ["params_case"]

DEFAULTS: dict[str, Any] = {
    "boolean": True,
    "integer": 3,
    "long": 2**40,
    "float": 0.5,
    "double": 0.1,
    "string": "x",
    "datetime": "2020-01-02T03:04:05",
}
FITTING = {
    "boolean": ("truth",),
    "integer": ("whole", "numpy"),
    "long": ("whole", "numpy"),
    "float": ("real", "whole", "numpy"),
    "double": ("real", "whole", "numpy"),
    "string": ("text",),
    "datetime": ("time", "text", "odd time"),
}
TIMES = ("'2020-05'", "'today'", "'2020-01-01T02:03'", "'2020-01-01T00:00:00.123456'", "'2020-01-01 02:03:04'", "''")
MEMBERS = ("double", "long", "string", "boolean", "datetime")


def params_case(rng: random.Random) -> tuple[str, str]:
    """Return a params schema, and a dict of values for it."""
    specs, values = [], []
    for index in range(rng.choice((1, 1, 2, 3))):
        name, kind = f"p{index}", rng.choice((*DEFAULTS, "object"))
        shape = (-1,) if rng.random() < 0.3 and kind != "object" else None
        specs.append(_spec(rng, name, kind, shape))
        if rng.random() < 0.9:
            values.append((repr(name), _value(rng, kind, specs[-1], shape)))
    if rng.random() < 0.1:
        values.append((rng.choice(("'other'", "3", "None")), "1"))
    if rng.random() < 0.03:
        return json.dumps(specs), rng.choice(("None", "[]", "'p0'", "{}", "3"))
    return json.dumps(specs), "{" + ", ".join(f"{key}: {value}" for key, value in values) + "}"


def _spec(rng: random.Random, name: str, kind: str, shape: tuple[int] | None) -> dict[str, Any]:
    if kind == "object":
        members = {member: rng.choice(MEMBERS) for member in rng.sample("pqr", rng.choice((1, 2)))}
        typed = {member: {"type": scalar, "required": rng.random() < 0.7} for member, scalar in members.items()}
        return param(name, obj(**typed), {member: DEFAULTS[scalar] for member, scalar in members.items()})
    default = DEFAULTS[kind]
    return param(name, kind, default if shape is None else [default], shape=shape)


def _value(rng: random.Random, kind: str, spec: dict[str, Any], shape: tuple[int] | None) -> str:
    if kind == "object":
        given = [(m, k["type"]) for m, k in spec["properties"].items() if k["required"] or rng.random() < 0.6]
        return "{" + ", ".join(f"{m!r}: {_item(rng, k)}" for m, k in given) + "}"
    if (shape is not None) == (rng.random() < 0.95):
        items = ", ".join(_item(rng, kind) for _ in range(rng.choice((0, 1, 2, 2))))
        return rng.choice((f"[{items}]", f"[{items}]", f"np.array([{items}])", f"({items},)" if items else "()"))
    return _item(rng, kind)


def _item(rng: random.Random, kind: str) -> str:
    if rng.random() < 0.15:
        return rng.choice(ITEMS[rng.choice(tuple(ITEMS))])
    if kind == "datetime" and rng.random() < 0.3:
        return rng.choice(TIMES)
    return rng.choice(ITEMS[rng.choice(FITTING[kind])])
