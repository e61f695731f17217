"""The classes and functions of a trusted model that stand in the code beside it; Keras imports none of it by itself."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from tf_flavor._keras_archive import CONFIG

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions

__all__ = ["named_objects"]


def named_objects(stream: IO[bytes], options: LoadOptions) -> dict[str, Any]:
    """Import what the description in a trusted file names of the model's own modules, and return it by name."""
    with zipfile.ZipFile(stream) as archive:
        document = json.loads(archive.read(CONFIG))
    stream.seek(0)
    found: dict[str, Any] = {}
    for module, name, registered in _named(document):
        if options.code.owns(module):
            value = getattr(options.code.import_module(module), name, None)
            if value is not None:
                found[registered] = value
    return found


def _named(node: Any) -> Iterator[tuple[str, str, str]]:
    """Yield module, name, and the name under which Keras looks it up."""
    if isinstance(node, dict):
        module, kind = node.get("module"), node.get("class_name")
        name = node.get("config") if kind == "function" else kind
        if isinstance(module, str) and isinstance(name, str):
            yield module, name, name if kind == "function" else str(node.get("registered_name") or name)
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _named(value)
