"""The JSON of signatures, as MLflow writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["KINDS", "array", "column", "named", "obj", "param", "tensor", "unnamed"]

KINDS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")

Json = dict[str, Any]


def column(kind: str | Json, name: str | int = "a", *, required: bool = True) -> Json:
    """Return one named column; *kind* is a scalar's name or the JSON of a nested type."""
    return {**({"type": kind} if isinstance(kind, str) else kind), "name": name, "required": required}


def array(items: str | Json) -> Json:
    """Return the type of lists of *items*."""
    return {"type": "array", "items": {"type": items} if isinstance(items, str) else items}


def obj(**properties: str | Json) -> Json:
    """Return the type of dicts with these members."""
    members = {name: {"type": kind} if isinstance(kind, str) else kind for name, kind in properties.items()}
    return {"type": "object", "properties": members}


def named(*columns: Json) -> str:
    """Return the signature of named columns."""
    return json.dumps(list(columns))


def unnamed(*kinds: str | Json) -> str:
    """Return the signature of columns without names."""
    return json.dumps([{**({"type": kind} if isinstance(kind, str) else kind), "required": True} for kind in kinds])


def tensor(dtype: str, shape: Sequence[int], name: str | None = None) -> Json:
    """Return one tensor."""
    label = {} if name is None else {"name": name}
    return {**label, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def param(name: str, kind: str | Json, default: object, *, shape: tuple[int] | None = None) -> Json:
    """Return one param."""
    return {"name": name, "default": default, "shape": shape, **({"type": kind} if isinstance(kind, str) else kind)}
