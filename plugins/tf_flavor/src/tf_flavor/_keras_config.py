"""The rules for ``config.json``, the description of a model from which Keras builds it.

Keras builds whatever class a description names: its own by their public names, and classes that somebody registered.
Only names that are listed in this package, and classes that the reader's own process brings, get as far as Keras.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from palate.errors import UnsafeModel
from palate.hookspecs import parse_json
from tf_flavor._keras_costs import elements_of, is_symbolic_call, loops_over_time, spread_axes, steps_of
from tf_flavor._keras_names import is_keras_class, is_keras_function
from tf_flavor._refusing import refuse

__all__ = ["MAX_CONFIG", "Resolve", "check_config"]

_CONFIG = "config.json"
MAX_CONFIG = 64 << 20
_MAX_DEPTH = 100
_MAX_CALLS = 50_000
_MAX_WAITS = 500_000
_MAX_INTEGER = 1 << 24
_MAX_ELEMENTS = 1 << 23
_MAX_SPREAD = 1 << 26
_MAX_TIMES = 1 << 14
# Values that Keras rebuilds without a class: none of them can run anything.
_PLAIN_VALUES = frozenset({"__tensor__", "__numpy__", "__keras_tensor__", "__bytes__", "__ellipsis__", "__slice__"})
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{0,400}")
# What numpy makes of other texts can be of any size: "U500000000".
_DTYPE = re.compile(
    r"(mixed_)?(bool|string|str|object|b?float|u?int|complex)[0-9]{0,3}(_[a-z0-9_/]{1,60})?|(gptq|awq)/[a-z0-9_/\-]{1,60}",
    re.ASCII,
)
# Numbers that may be as large as they like, and lists of such: nothing is made as large as they are.
_NO_SIZES = frozenset(
    """
    args bin_boundaries boundaries decay_steps first_decay_steps seed shared_object_id value vocabulary warmup_steps
    """.split()
)
# How many words there are, which is no length of anything that goes on in time.
_NO_TIMES = frozenset({"input_dim", "max_tokens"})
_HINT_CUSTOM = (
    "pass custom_objects={{'{name}': the class or function}}, or import the module that registers it with "
    "@keras.saving.register_keras_serializable"
)
_HINT_TRUST = "if you trust where it came from, pass trust=True"

Resolve = Callable[[str], object | None]


def check_config(text: bytes, file: str, resolve: Resolve, held: int) -> dict[str, Any]:
    """Check a description.

    Args:
        text: the description.
        file: what the file is called in errors.
        resolve: finds what the reader gave or registered under a name.
        held: how many bytes of weights come with it.

    Returns:
        What the description names of that, by name.

    Raises:
        UnsafeModel: naming *file* and the rule that it breaks.
    """
    try:
        document = parse_json(text, max_bytes=MAX_CONFIG, constants=True)
    except ValueError as exc:
        raise UnsafeModel(file, rule=f"its {_CONFIG} is malformed ({exc!s:.200})") from exc
    if not isinstance(document, dict) or "class_name" not in document:
        refuse(file, f"its {_CONFIG} describes no model")
    checker = _Checker(file, resolve)
    checker.check_costs(checker.check(document, depth=0, sizes=True), held)
    return checker.custom


@dataclass(slots=True)
class _Checker:
    file: str
    resolve: Resolve
    custom: dict[str, Any] = field(default_factory=dict)
    elements: int = 0
    longest: int = 0
    spread: list[int] = field(default_factory=list)
    over_time: bool = False

    def check_costs(self, calls: int, held: int) -> None:
        """Check what the description comes to as a whole."""
        if calls > _MAX_CALLS:
            refuse(self.file, f"its {_CONFIG} comes to {calls:,} calls of layers")
        if self.elements > _MAX_ELEMENTS:
            refuse(self.file, f"its {_CONFIG} asks for tables of {self.elements:,} elements", _HINT_TRUST)
        if sum(self.longest**axes for axes in self.spread if axes) > _MAX_SPREAD:
            refuse(self.file, f"its {_CONFIG} writes out means along axes of up to {self.longest:,}", _HINT_TRUST)
        # A layer of many units holds at least as many bytes; what holds less can be as long as it likes.
        if self.over_time and self.longest > max(held, _MAX_TIMES):
            refuse(self.file, f"its {_CONFIG} may take {self.longest:,} steps in time one by one", _HINT_TRUST)

    def check(self, node: Any, *, depth: int, sizes: bool) -> int:
        """Check *node* and all below it; return how many layers it makes Keras call while it builds the model.

        Args:
            node: any value of the document.
            depth: how many mappings and lists are around it.
            sizes: whether the integer here, or those in the list here, can become the size of something.
        """
        if depth > _MAX_DEPTH:
            refuse(self.file, f"its {_CONFIG} is nested too deeply")
        if isinstance(node, dict):
            return self._check_mapping(node, depth=depth)
        if isinstance(node, list):
            return sum(self.check(item, depth=depth + 1, sizes=sizes) for item in node)
        if sizes and isinstance(node, int) and abs(node) > _MAX_INTEGER:
            refuse(self.file, f"its {_CONFIG} asks for a size of {node:,}", _HINT_TRUST)
        return 0

    def _check_mapping(self, node: dict[str, Any], *, depth: int) -> int:
        self._check_values(node)
        calls = sum(self.check(value, depth=depth + 1, sizes=key not in _NO_SIZES) for key, value in node.items())
        if "class_name" not in node:
            return calls
        self._check_class(node)
        self._check_calls(node)
        self.elements += elements_of(node)
        self.spread.append(spread_axes(node))
        self.over_time |= loops_over_time(node)
        inner = node.get("config")
        layers = inner.get("layers") if isinstance(inner, dict) else None
        if isinstance(layers, list):
            if _later_layers(layers) * len(layers) > _MAX_WAITS:
                refuse(self.file, f"its {_CONFIG} has layers in an order that takes too long to resolve")
            if node["class_name"] == "Sequential":
                calls *= 1 + len(layers) // 2  # Keras builds it anew with each layer that it adds
        return (1 + calls + steps_of(node)) * _repetitions(node)

    def _check_values(self, node: Mapping[str, Any]) -> None:
        name, vocabulary = node.get("name"), node.get("vocabulary")
        if isinstance(name, str) and (not _NAME.fullmatch(name) or ".." in name):
            refuse(self.file, f"its {_CONFIG} names something {name!r:.80}, which could be a path")
        if isinstance(vocabulary, str):
            refuse(
                self.file,
                f"its {_CONFIG} names {vocabulary!r:.80} as a vocabulary, a file or address outside of the model",
                "save the layer after adapt(), or with a list of words",
            )

        for key, value in node.items():
            if key.endswith("dtype") and isinstance(value, str) and not _DTYPE.fullmatch(value):
                refuse(self.file, f"its {_CONFIG} names a type {value!r:.80}")
            if key not in _NO_SIZES | _NO_TIMES:
                numbers = value if isinstance(value, list) else (value,)
                self.longest = max(self.longest, *(abs(n) for n in numbers if isinstance(n, int)), 0)

    def _check_calls(self, node: Mapping[str, Any]) -> None:
        places = node.get("inbound_nodes")
        if places and not (isinstance(places, list) and all(map(is_symbolic_call, places))):
            refuse(self.file, f"its {_CONFIG} calls a {node['class_name']!s:.80} on values, while the model is built")

    def _check_class(self, node: Mapping[str, Any]) -> None:
        class_name, module, registered = (node.get(key) for key in ("class_name", "module", "registered_name"))
        if not isinstance(class_name, str):
            refuse(self.file, f"its {_CONFIG} has a class_name that is no text")
        if class_name in _PLAIN_VALUES and module is None:
            return
        if class_name in ("__lambda__", "Lambda") or class_name.startswith("__"):
            refuse(self.file, f"its {_CONFIG} holds a {class_name}, which is code", _HINT_TRUST)
        if class_name == "function":
            self._check_function(module, node.get("config"), registered)
        elif isinstance(module, str) and is_keras_class(module, class_name):
            if registered not in (None, class_name):
                refuse(self.file, f"its {_CONFIG} says that {module}.{class_name} is registered as {registered!r:.80}")
        elif not self._is_readers_own(registered if "registered_name" in node else class_name):
            self._refuse_name("class", module, class_name, registered)

    def _check_function(self, module: object, name: object, registered: object) -> None:
        if not isinstance(name, str):
            refuse(self.file, f"its {_CONFIG} names a function that is no text")
        if self._is_readers_own(name):
            return
        if not (isinstance(module, str) and is_keras_function(module, name)):
            self._refuse_name("function", module, name, registered)
        if registered not in (None, name, "function"):
            refuse(self.file, f"its {_CONFIG} says that {module}.{name} is registered as {registered!r:.80}")

    def _is_readers_own(self, name: object) -> bool:
        found = self.resolve(name) if isinstance(name, str) else None
        if found is None:
            return False
        self.custom[str(name)] = found
        return True

    def _refuse_name(self, kind: str, module: object, name: str, registered: object) -> None:
        own = registered if isinstance(registered, str) else name
        full = f"{module}.{name}" if isinstance(module, str) else name
        what = f"its {_CONFIG} names the {kind} {full!s:.120}"
        if isinstance(module, str) and module.partition(".")[0] in ("keras", "builtins", "tensorflow", "tf"):
            refuse(self.file, f"{what}, which is not among those that a model may name", _HINT_TRUST)
        refuse(
            self.file, f"{what}, which is neither Keras' own nor known in this process", _HINT_CUSTOM.format(name=own)
        )


def _repetitions(node: Mapping[str, Any]) -> int:
    """Return how often Keras calls what *node* describes: once for each place in the graph, both ways round."""
    places = node.get("inbound_nodes")
    times = max(1, len(places)) if isinstance(places, list) else 1
    return times * 2 if node["class_name"] == "Bidirectional" else times


def _later_layers(layers: list[Any]) -> int:
    """Count how often a layer is called with what a later one returns: Keras tries all of them again for each."""
    places = {layer["name"]: place for place, layer in enumerate(layers) if _is_named(layer)}
    return sum(
        places.get(source, 0) > place
        for place, layer in enumerate(layers)
        if _is_named(layer)
        for source in _sources(layer.get("inbound_nodes"))
    )


def _is_named(layer: Any) -> bool:
    return isinstance(layer, dict) and isinstance(layer.get("name"), str)


def _sources(node: Any) -> Iterator[str]:
    """Name the layers whose results a call takes."""
    if isinstance(node, dict):
        history = node.get("keras_history")
        if isinstance(history, list) and history and isinstance(history[0], str):
            yield history[0]
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _sources(value)
