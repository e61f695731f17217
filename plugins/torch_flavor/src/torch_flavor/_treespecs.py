"""The structure of inputs and outputs, which torch writes as JSON that names types.

torch looks types up by name, and imports modules for enum keys; so the text is read here and written anew with nothing
but tuples, lists and dicts. Named tuples, data classes and the like become dicts of their fields: a reader need not
have those classes, and predictions come out under the same names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from palate.hookspecs import parse_json

__all__ = ["InvalidSpec", "rebuild_spec"]

_TUPLES = ("builtins.tuple", "builtins.list")
_DICTS = ("builtins.dict", "collections.OrderedDict", "collections.defaultdict")
_NAMED_TUPLE = "collections.namedtuple"
_MAX_KEY = 200


class InvalidSpec(ValueError):
    """A text that is no structure, or one of things that have no names."""


def rebuild_spec(text: object, fields_of: Mapping[str, Sequence[str]]) -> str:
    """Return the text of the same structure made of tuples, lists and dicts.

    Args:
        text: what ``treespec_dumps`` wrote.
        fields_of: the fields of each named tuple, as the program lists them.
    """
    if not isinstance(text, str):
        raise InvalidSpec("it is not a text")
    try:
        document = parse_json(text.encode())
    except ValueError as exc:
        raise InvalidSpec("it is not JSON") from exc
    if not isinstance(document, list) or len(document) != 2 or document[0] != 1:
        raise InvalidSpec("it is of an unknown version")
    return json.dumps([1, _rebuild(document[1], fields_of)])


def _rebuild(node: Any, fields_of: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    if not isinstance(node, dict) or not isinstance(node.get("children_spec"), list):
        raise InvalidSpec("a part of it is no structure")
    kind, context = node.get("type"), node.get("context")
    children = [_rebuild(child, fields_of) for child in node["children_spec"]]
    if kind is None:
        if children or context is not None:
            raise InvalidSpec("a value in it has parts")
        return {"type": None, "context": None, "children_spec": []}
    if kind in _TUPLES:
        return {"type": kind, "context": "null", "children_spec": children}
    keys = _keys(kind, context, fields_of)
    if len(keys) != len(children) or len(set(keys)) != len(keys):
        raise InvalidSpec("a dict in it has keys that do not fit its values")
    return {"type": "builtins.dict", "context": json.dumps(keys), "children_spec": children}


def _keys(kind: object, context: object, fields_of: Mapping[str, Sequence[str]]) -> list[Any]:
    if not isinstance(kind, str) or not isinstance(context, str):
        raise InvalidSpec("a part of it has no type")
    if kind == _NAMED_TUPLE:
        keys: Any = list(fields_of.get(context, ()))
    else:
        try:
            keys = parse_json(context.encode())
        except ValueError as exc:
            raise InvalidSpec(f"it holds a {kind:.80}, whose keys cannot be read") from exc
    if kind not in _DICTS and isinstance(keys, list) and len(keys) == 2 and all(isinstance(k, list) for k in keys):
        keys = keys[0]  # a data class: its fields, and those that were None
    elif kind == "collections.defaultdict" and isinstance(keys, list) and len(keys) == 2:
        keys = keys[1]
    if not isinstance(keys, list) or not all(_is_key(key) for key in keys):
        raise InvalidSpec(f"it holds a {kind:.80}, whose parts have no plain names")
    return keys


def _is_key(key: object) -> bool:
    return type(key) is int or (isinstance(key, str) and len(key) <= _MAX_KEY and key.isprintable())
